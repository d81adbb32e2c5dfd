//! U-Nets as the denoisers of the paper's algorithms.

use crate::{
    config::UNetConfig,
    dropout::Dropout,
    ops,
    pass::{Pass, Precision},
    recompute::Recomputed,
    space::Space,
    unet::UNet,
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
    space: Space,
    is_guided: bool,
    /// With gradient checkpointing, the forward passes whose gradients are still to be computed.
    recomputed: Option<RefCell<Vec<Recomputed>>>,
}

impl<'a> Network<'a> {
    /// The network in evaluation mode.
    pub fn new(unet: &'a UNet, config: &UNetConfig) -> Self {
        Self {
            unet,
            prediction_type: config.prediction_type,
            pass: Pass::default(),
            space: Space::default(),
            is_guided: true,
            recomputed: None,
        }
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

    /// The same network, which is told what was changed in each sample of a training batch.
    #[must_use]
    pub fn told(mut self, told: &[f32]) -> Self {
        self.pass.told = told.to_vec();
        self
    }

    /// The same network with this precision, if its device supports it ([`Precision::on`]).
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.pass.precision = precision.on(&self.unet.device());
        self
    }

    /// The same network in another space. Its inputs and predictions stay in pixels.
    #[must_use]
    pub fn in_space(mut self, space: Space) -> Self {
        (self.pass.volume, self.space) = (space.volume, space);
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

    /// The noisy input and the guide, or both members of a pair, as the network reads them.
    fn input(&self, first: &Tensor<4>, second: &Tensor<4>) -> Tensor<4> {
        ops::concat_channels(self.space.analyse(first.clone()), self.space.analyse(second.clone()))
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

impl Network<'_> {
    /// Splits the output into the predictions of x and y; the channels of y follow those of x.
    fn split(&self, output: &Tensor<4>, x_t: &Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let x = x_t.dims()[3] * self.space.bands();
        let part = |from, count| self.space.synthesise(output.clone().narrow(3, from, count));
        (part(0, x), part(x, output.dims()[3] - x))
    }
}

impl Denoiser for Network<'_> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let input = if self.is_guided { self.input(noisy, guide) } else { self.space.analyse(noisy.clone()) };
        self.space.synthesise(self.forward(input, t))
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
        self.split(&self.forward(self.input(x_t, y_t), t), x_t)
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
        let time = self.unet.embed_two(&times(t_x), &times(t_y), &self.pass.told);
        self.split(&self.unet.forward_embedded(self.input(x_t, y_t), &time, None, &self.pass), x_t)
    }
}
