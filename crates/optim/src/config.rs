//! The settings of an optimiser.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The optimiser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam (Kingma and Ba 2015); weight decay is added to the gradient.
    Adam,
    /// AdamW (Loshchilov and Hutter 2019); weight decay shrinks the weights directly.
    #[default]
    #[serde(alias = "adam-w")]
    AdamW,
    /// Muon (Jordan et al. 2024) for the weights within a network, AdamW for its first and last convolution, for biases and norms. The
    /// learning rate means the same for both, and weight decay shrinks the weights directly.
    Muon,
}

/// How the learning rate changes after warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LrSchedule {
    /// Stays constant.
    #[default]
    Constant,
    /// Falls along half a cosine and reaches 0 at `train.steps`.
    Cosine,
    /// Is multiplied by `plateau_factor` when the training loss has not fallen for more than `plateau_patience` epochs.
    Plateau,
}

/// Settings of an optimiser, its learning rate and the moving average of weights. The configuration of the network that is
/// trained defines the keys and their defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimConfig {
    /// The optimiser.
    pub optimizer: OptimizerKind,
    /// Learning rate after warm-up.
    pub learning_rate: f64,
    /// Decay of the gradient's running mean.
    pub adam_beta1: f64,
    /// Decay of the squared gradient's running mean.
    pub adam_beta2: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// How the learning rate changes after warm-up.
    pub lr_schedule: LrSchedule,
    /// Steps over which the learning rate rises from 0.
    pub warmup_steps: usize,
    /// Factor of [`LrSchedule::Plateau`].
    pub plateau_factor: f64,
    /// Epochs without a lower loss that [`LrSchedule::Plateau`] tolerates.
    pub plateau_patience: usize,
    /// Decay of the moving average of weights, 0 for none.
    pub ema_decay: f64,
    /// Whether the decay starts lower and rises: min(ema_decay, (1 + step) / (10 + step)).
    pub ema_warmup: bool,
}

impl OptimConfig {
    /// The moving average's decay at `step`, counted from 0.
    pub(crate) fn ema_decay_at(&self, step: usize) -> f64 {
        match (self.ema_decay > 0.0, self.ema_warmup) {
            (false, _) => 0.0,
            (true, false) => self.ema_decay,
            (true, true) => self.ema_decay.min((1.0 + step as f64) / (10.0 + step as f64)),
        }
    }
}

#[cfg(test)]
impl OptimConfig {
    /// The settings of a typical training.
    pub(crate) fn example() -> Self {
        Self {
            optimizer: OptimizerKind::AdamW,
            learning_rate: 1e-4,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            weight_decay: 0.01,
            lr_schedule: LrSchedule::Constant,
            warmup_steps: 500,
            plateau_factor: 0.25,
            plateau_patience: 4,
            ema_decay: 0.999,
            ema_warmup: true,
        }
    }
}
