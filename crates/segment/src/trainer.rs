//! The training loop of a segmenter.

use crate::{
    SEGMENTER,
    config::{SegmentConfig, SegmentFile, TestTimeFlips},
    network::{build, each_prediction},
    pairs::{SegmentData, positions},
    scores::{dice_of, mean_dice},
};
use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use pig_data::{PreparedSet, blur::blur, deform::deform};
use pig_nn::{
    dropout::Dropout,
    parameters::{self, name_hash},
    pass::Pass,
    segmentation::{SegmentationNet, loss::supervised},
};
use pig_optim::{
    OptimConfig, Updates,
    host::{NamedGradients, added, collected},
};
use pig_train::{
    Error, Result,
    checkpoint::{Checkpoint, State, Store},
    gradient::{samples_at_once, workers_of},
    meter::{MEASURED_STEPS, Meter, mean},
    metrics_log::{Line, MetricsLog, Validation},
    observer::{Event, Observer, Outcome, note},
    trainer::averaged,
    workers::{Workers, parts},
};
use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// A key that separates the random draws of augmentation from other draws with the same seed and position.
const DEFORMATION: u64 = 1;

const NETWORK_IS_THERE: &str = "the network is present between optimiser steps";

/// Trains one segmenter.
pub(super) struct SegmentTrainer<'a> {
    file: &'a SegmentFile,
    optim: OptimConfig,
    data: &'a SegmentData<'a>,
    validation: PreparedSet,
    device: &'a Device,
    observer: &'a dyn Observer,
    run: &'a Path,
    store: Store,
    /// Always present, except while an optimiser step changes its values in place.
    network: Option<SegmentationNet>,
    optimizer: Updates,
    state: State,
    steps: usize,
    workers: Workers,
}

impl<'a> SegmentTrainer<'a> {
    /// A segmenter at its start, or in the state of the last checkpoint of the run.
    pub(super) fn new(
        file: &'a SegmentFile,
        data: &'a SegmentData<'a>,
        run: &'a Path,
        device: &'a Device,
        observer: &'a dyn Observer,
    ) -> Result<Self> {
        let optim = file.segment.train.optim();
        let [_, validation] = data.real.parts();
        let store = Store::new(run, SEGMENTER);
        let network = build(file, device)?;
        let mut state = State::new(SEGMENTER);
        let (network, optimizer) = if store.exists()? {
            let checkpoint = store.load_last()?;
            let network = parameters::import(network, &checkpoint.model)
                .map_err(|source| Error::Architecture { path: run.to_owned(), source })?;
            let mut optimizer = Updates::new(&optim, &network, device);
            optimizer.restore(&checkpoint.optimizer, &checkpoint.ema).map_err(|name| Error::BadFile {
                path: run.to_owned(),
                problem: format!("{name} of the optimiser is missing or has another shape"),
                advice: "resume with the configuration that the run was started with",
            })?;
            state = checkpoint.state;
            note(observer, format!("{SEGMENTER}: continues from step {}", state.step));
            (network, optimizer)
        } else {
            state.micro_batch_size = Some(file.segment.train.micro_batch_size);
            let network = parameters::initialise(network, file.segment.train.seed ^ name_hash(SEGMENTER));
            let optimizer = Updates::new(&optim, &network, device);
            (network, optimizer)
        };
        let steps = data.mixture().steps(&file.segment.train);
        let network = Some(network.train());
        let batch = file.segment.train.batch_size;
        let workers = workers_of((batch, batch), state.micro_batch_size, &optimizer);
        Ok(Self {
            file,
            optim,
            data,
            validation,
            device,
            observer,
            run,
            store,
            network,
            optimizer,
            state,
            steps,
            workers,
        })
    }

    /// Whether the training ends before its last step, because the Dice of validation pairs has not risen for as many validations as
    /// `patience` says. It hangs on the saved state alone, so a resumed training ends at the same step.
    fn is_exhausted(&self) -> bool {
        let train = &self.file.segment.train;
        let is_validation = self.state.step.is_multiple_of(train.validate_every);
        let Some((best, lost)) = self.state.best.filter(|_| train.patience > 0 && is_validation) else { return false };
        // A network that has found nothing of any lesion so far has not begun to learn.
        let since = best.max(self.data.mixture().pretraining(train).unwrap_or(0));
        lost < 1.0 && self.state.step >= since + train.patience * train.validate_every
    }

    /// Trains to the last step, until patience ends, or until the observer requests a stop.
    pub(super) fn run(mut self) -> Result<Outcome> {
        let train = &self.file.segment.train;
        let mut log = MetricsLog::open(self.run, SEGMENTER, self.state.step, self.state.metrics.as_ref())?;
        if self.state.step > 0 {
            self.store.tidy(&self.state)?;
        }
        let mut meter = Meter::default();
        self.observer.event(Event::Begin { stage: SEGMENTER.to_owned(), total: self.steps, done: self.state.step });
        while self.state.step < self.steps && !self.is_exhausted() {
            if self.observer.stop_requested() {
                self.checkpoint(&log, false)?;
                self.observer.event(Event::End);
                return Ok(Outcome::Interrupted);
            }
            let (loss, rate, norm) = self.train_step()?;
            let step = self.state.step;
            self.state.unlogged.push(loss);
            meter.images += train.batch_size;
            let mut line = Line { network: SEGMENTER.to_owned(), step, ..Line::default() };
            if step.is_multiple_of(train.log_every) || step == self.steps {
                line.loss = Some(mean(&std::mem::take(&mut self.state.unlogged)));
                line.learning_rate = Some(rate);
                line.gradient_norm = Some(norm);
                line.images_per_second = Some(meter.take());
            }
            let due = |every: usize| every > 0 && (step.is_multiple_of(every) || step == self.steps);
            let mut is_best = false;
            if due(train.validate_every) {
                line.dice = self.validate()?;
                if let Some(dice) = line.dice {
                    let lost = (1.0 - dice) as f32;
                    is_best = self.state.best.is_none_or(|(_, best)| lost < best);
                    if is_best {
                        self.state.best = Some((step, lost));
                    }
                    // A segmenter's loss of validation is what its Dice lacks to 1; the bar and the curves show the Dice.
                    line.validation = Some(Validation { mean: f64::from(lost), quarters: None });
                }
            }
            if line.loss.is_some() || line.dice.is_some() {
                log.write(&line)?;
            }
            self.observer.event(Event::Progress { done: step, message: meter.message(loss, &line) });
            if step == self.steps || self.is_exhausted() || due(train.checkpoint_every) || is_best {
                self.checkpoint(&log, is_best)?;
            }
        }
        self.observer.event(Event::End);
        if self.state.step < self.steps {
            let (step, patience) = (self.state.step, train.patience);
            note(
                self.observer,
                format!(
                    "{SEGMENTER}: ended at step {step} of {}, after {patience} validations without a greater Dice",
                    self.steps
                ),
            );
        }
        Ok(Outcome::Finished)
    }

    /// The mean number of seconds of a few optimiser steps, after one step that is not counted.
    pub(super) fn seconds_a_step(mut self) -> Result<f64> {
        self.train_step()?;
        let since = Instant::now();
        for _ in 0..MEASURED_STEPS {
            self.train_step()?;
        }
        Ok(since.elapsed().as_secs_f64() / MEASURED_STEPS as f64)
    }

    /// Makes one optimiser step. Returns the loss, the learning rate and the norm of the gradient.
    fn train_step(&mut self) -> Result<(f32, f64, f64)> {
        let (train, step) = (&self.file.segment.train, self.state.step);
        let loss = if self.optimizer.is_on_host() { self.add_gradient() } else { self.add_gradient_of_whole_batch() }?;
        if !loss.is_finite() {
            return Err(Error::Diverged { network: SEGMENTER, step, loss });
        }
        let norm = self.optimizer.norm();
        self.optimizer.clip(norm, train.clip_grad_norm);
        let rate = self.learning_rate(step);
        self.network = self.network.take().map(|network| self.optimizer.step(network, rate, step));
        let epoch = |step: usize| step * train.batch_size / self.data.training.len().max(1);
        self.state.learning_rate.observe(&self.optim, loss, epoch(step + 1) > epoch(step));
        self.state.step += 1;
        Ok((loss, rate, norm))
    }

    /// The learning rate of a step. After a pretraining, warm-up and schedule begin again, at a share of the rate.
    fn learning_rate(&self, step: usize) -> f64 {
        let (train, at) = (&self.file.segment.train, &self.state.learning_rate);
        match self.data.mixture().pretraining(train) {
            None => at.at(&self.optim, step, self.steps),
            Some(first) if step < first => at.at(&self.optim, step, first),
            Some(first) => train.fine_tune_rate * at.at(&self.optim, step - first, self.steps - first),
        }
    }

    /// Adds the gradient of the next step, whose parts are computed by workers. Returns the loss.
    ///
    /// Soft Dice may sum over the whole batch, so the loss is computed from the outputs of all parts. Then every part goes back from the
    /// loss's gradient with respect to its own outputs.
    fn add_gradient(&mut self) -> Result<f32> {
        let train = &self.file.segment.train;
        let positions = positions(train, self.state.step..self.state.step + 1);
        let at_once = samples_at_once(self.optimizer.is_on_host(), self.state.micro_batch_size, train.batch_size);
        let parts = parts(train.batch_size, at_once);
        let this = Forward { file: self.file, data: self.data, device: self.device, state: &self.state };
        let values = self.network().valid();
        let forward = |index: usize| -> Result<_> {
            let network = values.clone().train();
            let own = &positions[parts[index].clone()];
            let (images, target) = this.batch(own)?;
            let logits = network.forward(images, &this.pass(own));
            Ok((network, logits, target))
        };
        let outputs: Vec<_> = self.workers.map(parts.len(), forward).into_iter().collect::<Result<_>>()?;

        let levels = outputs.first().map_or(0, |(_, logits, _)| logits.len());
        let join = |tensors: Vec<Tensor<4>>| Tensor::cat(tensors, 0);
        let joined: Vec<Tensor<4>> = (0..levels)
            .map(|level| join(outputs.iter().map(|(_, logits, _)| logits[level].clone().inner()).collect()))
            .map(|logits| Tensor::from_inner(logits).require_grad())
            .collect();
        let target = join(outputs.iter().map(|(_, _, target)| target.clone()).collect());
        let loss = supervised(&joined, &target, train.dice_sums);
        let gradients = loss.backward();
        let slopes: Vec<Option<Tensor<4>>> = joined.iter().map(|logits| logits.grad(&gradients)).collect();

        let outputs: Vec<_> =
            outputs.into_iter().map(|(network, logits, _)| Mutex::new(Some((network, logits)))).collect();
        let backward = |index: usize| {
            let output = outputs[index].lock().unwrap_or_else(PoisonError::into_inner).take();
            let (network, logits) = output.expect("each part goes back once");
            let part = &parts[index];
            // The gradient of this sum with respect to the outputs is the loss's.
            let sums = logits.into_iter().zip(&slopes).filter_map(|(logits, slopes)| {
                let slopes = slopes.clone()?.narrow(0, part.start, part.len());
                Some((logits * Tensor::from_inner(slopes)).sum())
            });
            let Some(sum) = sums.reduce(|sum, level| sum + level) else { return NamedGradients::new() };
            collected(&network, &mut sum.backward(), 1.0)
        };
        if let Some(gradient) = self.workers.sum(parts.len(), added, backward) {
            self.optimizer.add(gradient);
        }
        Ok(loss.inner().into_scalar())
    }

    /// Adds the gradient of the next step on a device that is fast only with whole batches. Returns the loss.
    fn add_gradient_of_whole_batch(&mut self) -> Result<f32> {
        let train = &self.file.segment.train;
        let positions = positions(train, self.state.step..self.state.step + 1);
        let this = Forward { file: self.file, data: self.data, device: self.device, state: &self.state };
        let (images, target) = this.batch(&positions)?;
        let network = self.network.as_ref().expect(NETWORK_IS_THERE);
        let loss = supervised(&network.forward(images, &this.pass(&positions)), &target, train.dice_sums);
        self.optimizer.accumulate(network, &mut loss.backward(), 1.0);
        Ok(loss.inner().into_scalar())
    }

    fn network(&self) -> &SegmentationNet {
        self.network.as_ref().expect(NETWORK_IS_THERE)
    }

    /// The mean Dice of the averaged network on the validation pairs; None if no pair has a value.
    fn validate(&self) -> Result<Option<f64>> {
        let set = &self.validation;
        let network = averaged(self.network(), &self.optimizer, self.run)?;
        let segment = SegmentConfig { test_time_flips: TestTimeFlips::None, ..self.file.segment.clone() };
        let decision = self.file.decision();
        let dice = |index: usize, found: Vec<f32>| dice_of(&found, set, index, &decision);
        Ok(mean_dice(&each_prediction(&network, set, &segment, self.device, dice)?))
    }

    fn checkpoint(&self, log: &MetricsLog, is_best: bool) -> Result<()> {
        self.store.save(Checkpoint::of(&self.state, self.network(), &self.optimizer, log.mark()?), is_best)
    }
}

/// What a forward pass in training needs beside the network.
struct Forward<'a> {
    file: &'a SegmentFile,
    data: &'a SegmentData<'a>,
    device: &'a Device,
    state: &'a State,
}

impl Forward<'_> {
    /// The settings of a pass over the samples at these positions.
    fn pass(&self, positions: &[u64]) -> Pass {
        let train = &self.file.segment.train;
        let dropout = match self.state.micro_batch_size {
            Some(_) => Dropout::of_samples(train.seed, positions),
            None => Dropout::of_batch(train.seed, self.state.step as u64),
        };
        Pass { dropout, precision: train.precision.on(self.device), ..Pass::default() }
    }

    /// The images, and masks of 0 and 1 for each class, at positions of the training; masks of generated pairs are between 0 and 1 at soft
    /// edges. The random augmentation of each pair is keyed by its position.
    fn batch(&self, positions: &[u64]) -> Result<(Tensor<4>, Tensor<4>)> {
        let (train, set) = (&self.file.segment.train, &self.data.training);
        let (mut images, mut masks) = (Vec::new(), Vec::new());
        for (index, &position) in self.data.mixture().indices(train, positions).into_iter().zip(positions) {
            let (mut image, mut mask) = (set.image(index)?, set.mask(index)?);
            let key = [train.seed, position, DEFORMATION];
            deform(&mut image, &mut mask, set.size, set.channels, &self.file.segment.augment, key);
            images.extend(image);
            let mask: Vec<f32> = mask.into_iter().map(|value| if value > 0.0 { 1.0 } else { 0.0 }).collect();
            let soft = if self.data.mixture().is_generated(index) { train.soft_edges } else { 0.0 };
            masks.extend(if soft > 0.0 { blur(&mask, set.size, set.classes, soft) } else { mask });
        }
        let [height, width] = set.size;
        let tensor = |values: Vec<f32>, channels| {
            Tensor::from_data(TensorData::new(values, [positions.len(), height, width, channels]), self.device)
        };
        Ok((tensor(images, set.channels), tensor(masks, set.classes)))
    }
}
