//! U-Nets as the denoisers of the paper's algorithms.

use crate::{
    config::UNetConfig,
    dropout::Dropout,
    ops,
    pass::{Pass, Precision},
    preconditioning::Preconditioning,
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
    preconditioning: Option<Preconditioning>,
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
            preconditioning: None,
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

    /// The same network with its inputs and outputs scaled by the strength of their channels, if these are given.
    #[must_use]
    pub fn with_preconditioning(mut self, preconditioning: Option<Preconditioning>) -> Self {
        self.preconditioning = preconditioning;
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

impl Network<'_> {
    /// The noisy input as the network's own channels, without and with their scaling.
    fn noisy(&self, x: &Tensor<4>, t: &[usize]) -> [Tensor<4>; 2] {
        let x = self.space.analyse(x.clone());
        let scaled = self.preconditioning.as_ref().map(|scales| scales.noisy(x.clone(), t));
        [x.clone(), scaled.unwrap_or(x)]
    }

    /// Likewise the guide, or the second member of a pair.
    fn second(&self, y: &Tensor<4>, t: &[usize]) -> [Tensor<4>; 2] {
        let y = self.space.analyse(y.clone());
        let scaled = self.preconditioning.as_ref().map(|scales| scales.second(y.clone(), t));
        [y.clone(), scaled.unwrap_or(y)]
    }

    /// Both predictions of a pair by `forward`, which is given the network's input; the channels of y follow those of x.
    fn predict_pair(
        &self,
        [x_t, y_t]: [&Tensor<4>; 2],
        [t_x, t_y]: [&[usize]; 2],
        forward: impl FnOnce(Tensor<4>) -> Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>) {
        let ([x, x_scaled], [y, y_scaled]) = (self.noisy(x_t, t_x), self.second(y_t, t_y));
        let count = x.dims()[3];
        let output = forward(ops::concat_channels(x_scaled, y_scaled));
        let rest = output.dims()[3] - count;
        let (of_x, of_y) = (output.clone().narrow(3, 0, count), output.narrow(3, count, rest));
        let (of_x, of_y) = match &self.preconditioning {
            Some(scales) => (
                scales.output(self.prediction_type, x, of_x, t_x),
                scales.second_output(self.prediction_type, y, of_y, t_y),
            ),
            None => (of_x, of_y),
        };
        (self.space.synthesise(of_x), self.space.synthesise(of_y))
    }
}

impl Denoiser for Network<'_> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let [x, scaled] = self.noisy(noisy, t);
        let input = if self.is_guided {
            let [_, guide] = self.second(guide, t);
            ops::concat_channels(scaled, guide)
        } else {
            scaled
        };
        let output = self.forward(input, t);
        let output = match &self.preconditioning {
            Some(scales) => scales.output(self.prediction_type, x, output, t),
            None => output,
        };
        self.space.synthesise(output)
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
        self.predict_pair([x_t, y_t], [t, t], |input| self.forward(input, t))
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
        let forward = |input| self.unet.forward_embedded(input, &time, None, &self.pass);
        self.predict_pair([x_t, y_t], [t_x, t_y], forward)
    }
}
