//! U-Nets as the denoisers of the paper's algorithms.

use crate::{
    config::UNetConfig,
    dropout::Dropout,
    ops,
    pass::{Pass, Precision},
    recompute::Recomputed,
    unet::UNet,
    volume::Volume,
};
use burn::tensor::{Gradients, Tensor};
use pig_diffusion::{
    denoiser::Denoiser, independent::IndependentDenoiser, joint::JointDenoiser, prediction::PredictionType,
    schedule::network_time,
};
use std::cell::RefCell;

/// A U-Net together with its prediction type, for one forward pass or a whole sampling.
#[derive(Debug)]
pub struct Network<'a> {
    unet: &'a UNet,
    prediction_type: PredictionType,
    pass: Pass,
    is_guided: bool,
    /// With gradient checkpointing, the forward passes whose gradients are still to be computed.
    recomputed: Option<RefCell<Vec<Recomputed>>>,
}

impl<'a> Network<'a> {
    /// The network in evaluation mode.
    pub fn new(unet: &'a UNet, config: &UNetConfig) -> Self {
        Self { unet, prediction_type: config.prediction_type, pass: Pass::default(), is_guided: true, recomputed: None }
    }

    /// The network in training mode, with the dropout of its batch.
    pub fn training(unet: &'a UNet, config: &UNetConfig, dropout: Dropout) -> Self {
        let mut network = Self::new(unet, config);
        network.pass.dropout = dropout;
        network
    }

    /// The same network with the noisy input only: the guide is ignored.
    #[must_use]
    pub fn without_guide(mut self) -> Self {
        self.is_guided = false;
        self
    }

    /// The same network with this precision, if its device supports it ([`Precision::on`]).
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.pass.precision = precision.on(&self.unet.device());
        self
    }

    /// The same network on volumes.
    #[must_use]
    pub fn on_volumes(mut self, volume: Option<Volume>) -> Self {
        self.pass.volume = volume;
        self
    }

    /// The same network with or without gradient checkpointing ([`crate::recompute`]), which keeps less memory for the backward pass
    /// and computes more in it.
    #[must_use]
    pub fn with_gradient_checkpointing(mut self, is_on: bool) -> Self {
        self.recomputed = is_on.then(RefCell::default);
        self
    }

    /// The gradients of a loss of this network's predictions.
    pub fn backward(&self, loss: &Tensor<1>) -> Gradients {
        let mut gradients = loss.backward();
        for pass in self.recomputed.iter().flat_map(RefCell::take) {
            pass.backward(self.unet, &self.pass, &mut gradients);
        }
        gradients
    }

    fn forward(&self, x: Tensor<4>, t: &[usize]) -> Tensor<4> {
        let times: Vec<f32> = t.iter().map(|&t| network_time(t)).collect();
        let Some(passes) = &self.recomputed else { return self.unet.forward(x, &times, &self.pass) };
        let pass = self.unet.forward_recomputed(x, &times, &self.pass);
        let output = pass.output();
        passes.borrow_mut().push(pass);
        output
    }
}

impl Denoiser for Network<'_> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let input = if self.is_guided { ops::concat_channels(noisy.clone(), guide.clone()) } else { noisy.clone() };
        self.forward(input, t)
    }

    fn prediction_type(&self) -> PredictionType {
        self.prediction_type
    }
}

impl JointDenoiser for Network<'_> {
    fn predict(&self, x_t: &Tensor<4>, y_t: &Tensor<4>, t: &[usize]) -> (Tensor<4>, Tensor<4>) {
        if self.unet.time_embedding_y.is_some() {
            return self.predict_at(x_t, y_t, t, t);
        }
        split(&self.forward(ops::concat_channels(x_t.clone(), y_t.clone()), t), x_t, y_t)
    }

    fn prediction_type(&self) -> PredictionType {
        self.prediction_type
    }
}

/// For a network [with a second time](UNet::with_second_time); any other network receives only `t_x`.
impl IndependentDenoiser for Network<'_> {
    fn predict_at(&self, x_t: &Tensor<4>, y_t: &Tensor<4>, t_x: &[usize], t_y: &[usize]) -> (Tensor<4>, Tensor<4>) {
        // The network time of a clean member is one below that of the first timestep.
        let times = |t: &[usize]| -> Vec<f32> {
            t.iter().map(|&t| if t == 0 { network_time(1) - 1.0 } else { network_time(t) }).collect()
        };
        let time = self.unet.embed_two(&times(t_x), &times(t_y));
        let joined = ops::concat_channels(x_t.clone(), y_t.clone());
        split(&self.unet.forward_embedded(joined, &time, None, &self.pass), x_t, y_t)
    }
}

/// Splits the output into the channels of `x_t` and the channels of `y_t`, which follow them.
fn split(output: &Tensor<4>, x_t: &Tensor<4>, y_t: &Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let (x, y) = (x_t.dims()[3], y_t.dims()[3]);
    (output.clone().narrow(3, 0, x), output.clone().narrow(3, x, y))
}
