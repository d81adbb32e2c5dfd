//! Gradient checkpointing (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"): the forward pass keeps only the
//! inputs of the layers, and the backward pass computes each layer again.
//!
//! A residual block keeps one tensor instead of five; a training step costs one more forward pass. It works on every device,
//! because it uses only tensor operations: the gradients of each layer are computed by a separate autodiff graph.

use crate::{
    dropout::Position,
    ops,
    pass::Pass,
    unet::{UNet, first_classes},
};
use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Gradients, Tensor},
};

/// A forward pass that can be computed again, layer by layer.
#[derive(Debug)]
pub struct Recomputed {
    output: Tensor<4>,
    sinusoids: Tensor<2>,
    time: Tensor<2>,
    inputs: Vec<Input>,
}

/// The inputs of a layer.
#[derive(Debug)]
struct Input {
    h: Tensor<4>,
    skip: Option<Tensor<4>>,
    dropout: Position,
}

impl UNet {
    /// As [`UNet::forward`], for a network with gradients and an `x` without: the output has the same values.
    pub fn forward_recomputed(&self, x: Tensor<4>, times: &[f32], pass: &Pass) -> Recomputed {
        let network = self.valid();
        ops::without_keeping_weights(|| {
            let sinusoids = network.sinusoids(times);
            let time = network.time(sinusoids.clone(), &first_classes(times.len()), &pass.told);
            let (mut h, mut skips, mut inputs) = (x.inner(), Vec::new(), Vec::new());
            for stage in network.stages() {
                let skip = if stage.takes_skip { skips.pop() } else { None };
                inputs.push(Input { h: h.clone(), skip: skip.clone(), dropout: pass.dropout.position() });
                h = stage.layer.forward(h, skip, &time, pass);
                if stage.leaves_skip {
                    skips.push(h.clone());
                }
            }
            Recomputed { output: Tensor::from_inner(h).require_grad(), sinusoids, time, inputs }
        })
    }
}

impl Recomputed {
    /// The network's output, `[batch, height, width, out]`; [`backward`](Self::backward) starts from its gradient.
    pub fn output(&self) -> Tensor<4> {
        self.output.clone()
    }

    /// Adds the gradients of the network's parameters to `gradients`, the gradients of a loss that was computed from the output.
    /// `unet` and `pass` are those of the forward pass.
    pub fn backward(self, unet: &UNet, pass: &Pass, gradients: &mut Gradients) {
        let Some(mut dh) = self.output.grad_remove(gradients) else { return };
        let time = leaf(self.time);
        let (mut dtime, mut dskips) = (time.clone().inner().zeros_like(), Vec::new());
        let stages = unet.stages();
        for (index, (stage, input)) in stages.into_iter().zip(self.inputs).enumerate().rev() {
            if stage.leaves_skip
                && let Some(dskip) = dskips.pop()
            {
                dh = dh + dskip;
            }
            pass.dropout.restore(&input.dropout);
            // The gradient of the network's input is not needed.
            let h = if index == 0 { Tensor::from_inner(input.h) } else { leaf(input.h) };
            let skip = input.skip.map(leaf);
            let y = stage.layer.forward(h.clone(), skip.clone(), &time, pass);
            let mut computed = (y * Tensor::from_inner(dh)).sum().backward();
            stage.layer.visit(&mut Mover { from: &mut computed, to: gradients });
            if let Some(part) = time.grad_remove(&mut computed) {
                dtime = dtime + part;
            }
            dskips.extend(skip.and_then(|skip| skip.grad_remove(&mut computed)));
            match h.grad_remove(&mut computed) {
                Some(next) => dh = next,
                None => break,
            }
        }
        let classes = first_classes(self.sinusoids.dims()[0]);
        let time = unet.time(self.sinusoids, &classes, &pass.told);
        let mut computed = (time * Tensor::from_inner(dtime)).sum().backward();
        unet.time_embedding.visit(&mut Mover { from: &mut computed, to: gradients });
        unet.augment_layer.visit(&mut Mover { from: &mut computed, to: gradients });
        unet.class_embedding.visit(&mut Mover { from: &mut computed, to: gradients });
    }
}

/// A tensor whose gradient is kept.
fn leaf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_inner(x).require_grad()
}

/// Moves the gradients of parameters from one autodiff graph to those of the loss.
struct Mover<'a> {
    from: &'a mut Gradients,
    to: &'a mut Gradients,
}

impl ModuleVisitor for Mover<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let param = param.val();
        let Some(gradient) = param.grad_remove(self.from) else { return };
        // A network may be evaluated twice for one loss.
        let sum = match param.grad_remove(self.to) {
            Some(other) => other + gradient,
            None => gradient,
        };
        param.grad_replace(self.to, sum);
    }
}
