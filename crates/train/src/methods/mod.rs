//! The methods: what each network's loss is. One file a method.

pub mod controlnet;
pub mod ddpm;
pub mod frozen;
pub mod joint;
pub mod ldm;
pub mod objective;
pub mod pig;
pub mod seg_guided;
pub mod unet;

mod condition;
mod refinements;

use controlnet::ControlObjective;
use ldm::AutoencoderObjective;
use objective::{Context, ObjectiveTask};
use pig_nn::network::Role;
use unet::UNetObjective;

/// Does `task` with the objective of `role`.
pub fn with_objective<T: ObjectiveTask>(role: Role, context: Context<'_>, task: T) -> T::Output {
    match role {
        Role::Control => task.run(&ControlObjective { context }),
        Role::Autoencoder => task.run(&AutoencoderObjective { context }),
        _ => task.run(&UNetObjective { role, context }),
    }
}
