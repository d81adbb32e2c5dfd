//! The names of the methods' networks.

use pig_nn::network::Role;

/// The frozen network that a role learns from, in messages.
pub(crate) fn teacher(role: Role) -> &'static str {
    match role {
        Role::ModelX => "the guider's frozen autoencoder",
        Role::ModelY => "model_y's frozen model_x",
        Role::Control => "the control's frozen base",
        Role::Latent => "the latent network's frozen autoencoder",
        _ => "a frozen network",
    }
}

/// The name of a role in files and logs.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::ModelX => "model_x",
        Role::ModelY => "model_y",
        Role::Joint => "joint",
        Role::Unconditional => "unconditional",
        Role::SegGuided => "seg_guided",
        Role::Control => "control",
        Role::Autoencoder => "autoencoder",
        Role::Latent => "latent",
    }
}
