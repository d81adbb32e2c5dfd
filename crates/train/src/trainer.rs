//! The training loop of one network.

use crate::{
    Error, Result,
    batch::Batches,
    checkpoint::{Checkpoint, State, Store},
    curves::write_run_curves,
    gradient::{Ahead, add_gradient, samples_at_once, workers_of},
    guard::Guard,
    init::begun,
    latents::Reconstruction,
    legs::start_of,
    meter::{Meter, mean},
    methods::objective::{Context, Objective},
    metrics_log::{self, Line, MetricsLog, Validation},
    observer::{Event, Observer, Outcome, note, warn},
    sets::Sets,
    watch::Watched,
    workers::{Workers, parts},
};
use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use pig_data::PreparedSet;
use pig_nn::parameters;
use pig_optim::{LearningRate, OptimConfig, Updates};
use std::path::Path;

/// The first position of validation samples, so far from those of training that their noise is different.
const VALIDATION_POSITIONS: u64 = 1 << 48;

const NETWORK_IS_THERE: &str = "the network is there between optimiser steps";

/// Trains one network of a run.
pub struct Trainer<'a, O: Objective> {
    objective: &'a O,
    optim: OptimConfig,
    sets: Sets<'a>,
    device: &'a Device,
    observer: &'a dyn Observer,
    run: &'a Path,
    store: Store,
    /// The step at which the present leg of the training began.
    leg: usize,
    /// What the network was before its first step, if it did not begin with random weights.
    before: Option<O::Network>,
    /// The step of the last preview whose pairs were no copies.
    fine: Option<usize>,
    guard: Guard,
    /// Always `Some`, except while an optimiser step changes its values in place.
    network: Option<O::Network>,
    optimizer: Updates,
    state: State,
    workers: Workers,
    ahead: Ahead,
}

/// What a preview shows of a network.
#[derive(Debug)]
pub struct Shown<'a, M> {
    /// With averaged weights, which sampling uses.
    pub averaged: &'a M,
    /// With the weights of the last step, in the first previews.
    pub raw: Option<&'a M>,
    /// Before the training, in the first preview, if it did not begin with random weights.
    pub before: Option<&'a M>,
}

/// Called with the step and the network, every `train.preview_every` steps and at the last step. Returns what its samples showed.
pub type Preview<'a, M> = dyn FnMut(usize, Shown<'_, M>) -> Result<Option<Watched>> + 'a;

/// Previews that show the weights of the last step beside averaged ones.
pub const PREVIEWS_WITH_RAW: usize = 2;

impl<'a, O: Objective> Trainer<'a, O> {
    /// A network with its initial weights or, on `resume`, with the state of its last checkpoint. `starts` are the steps at which the legs
    /// of its training begin.
    pub fn new(
        objective: &'a O,
        sets: Sets<'a>,
        device: &'a Device,
        run: &'a Path,
        observer: &'a dyn Observer,
        (resume, starts): (bool, &[usize]),
    ) -> Result<Self> {
        let config = objective.context().config;
        let optim = config.train.optim();
        let role = objective.role();
        let store = Store::new(run, role.name()).keeping(&config.train.keep_checkpoints);
        let network = objective.build(device)?;
        let (network, optimizer, mut state, mut before) = if resume {
            let checkpoint = store.load_last()?;
            let network = parameters::import(network, &checkpoint.model)
                .map_err(|source| Error::Architecture { path: run.to_owned(), source })?;
            let mut optimizer = Updates::new(&optim, &network, device);
            optimizer.restore(&checkpoint.optimizer, &checkpoint.ema).map_err(|name| Error::BadFile {
                path: run.to_owned(),
                problem: format!("the optimiser's {name} is missing or has another shape"),
                advice: "resume with the configuration that the run was started with",
            })?;
            note(observer, format!("{}: continues from step {}", role.name(), checkpoint.state.step));
            (network, optimizer, checkpoint.state, None)
        } else {
            let network = begun(objective.start(network), config, role, observer)?;
            let before = config.train.init.is_some().then(|| network.clone());
            let optimizer = Updates::new(&optim, &network, device);
            let mut state = State::new(role.name());
            state.kept_timesteps = objective.kept_timesteps();
            state.micro_batch_size = Some(config.train.micro_batch_size);
            (network, optimizer, state, before)
        };
        let leg = start_of(starts, state.step);
        let begins_leg = leg > 0 && state.step == leg && leg < config.steps(role);
        if begins_leg {
            state.learning_rate = LearningRate::new();
            state.has_ended = false;
            before = Some(averaged(&network, &optimizer, run)?);
        }
        bind(&mut state, objective, begins_leg)?;
        let (images, batch) = (config.train.images_in_step(), config.train.batch_size);
        let ranks = observer.ranks();
        let at_once = samples_at_once(optimizer.is_on_host(), state.micro_batch_size, batch);
        ranks.check(images, at_once, optimizer.is_on_host())?;
        let workers = workers_of((images, batch), state.micro_batch_size, &optimizer);
        let network = Some(network.train());
        let ahead = Ahead::default();
        let guard = Guard::new(role, images, state.step == leg);
        Ok(Self {
            objective,
            optim,
            sets,
            device,
            observer,
            run,
            store,
            leg,
            before,
            fine: None,
            guard,
            network,
            optimizer,
            state,
            workers,
            ahead,
        })
    }

    /// Optimiser steps done.
    pub fn step(&self) -> usize {
        self.state.step
    }

    /// Trains to the last step, or until the observer asks to stop.
    pub fn run(mut self, preview: &mut Preview<'_, O::Network>) -> Result<Outcome> {
        let config = self.objective.context().config;
        let (train, role) = (&config.train, self.objective.role());
        let steps = config.steps(role);
        if self.state.has_ended {
            // What its last previews showed stays in metrics.jsonl.
            return Ok(Outcome::Finished);
        }
        let ranks = self.observer.ranks();
        let mut log = if ranks.is_first() {
            Some(MetricsLog::open(self.run, role.name(), self.state.step, self.state.metrics.as_ref())?)
        } else {
            None
        };
        let mut meter = Meter::default();
        let due = |step: usize, every: usize| every > 0 && (step.is_multiple_of(every) || step == steps);
        if self.state.step > 0 {
            self.set_fine(self.known_fine()?);
            if ranks.is_first() {
                self.store.tidy(&self.state)?;
            }
            if due(self.state.step, train.preview_every) && self.state.step > self.leg {
                // A training that was killed after this checkpoint has no preview of it; one that is there is kept.
                if self.show(preview, &mut log)? {
                    self.end()?;
                }
            }
        }
        self.observer.event(Event::Begin { stage: role.name().to_owned(), total: steps, done: self.state.step });
        while self.state.step < steps && !self.state.has_ended {
            if ranks.any(self.observer.stop_requested())? {
                self.checkpoint(log.as_ref(), false)?;
                self.observer.event(Event::End);
                return Ok(Outcome::Interrupted);
            }
            let (loss, rate, norm) = self.train_step(steps)?;
            let step = self.state.step;
            self.state.unlogged.push(loss);
            self.guard.trained(step, loss, self.observer);
            meter.images += train.images_in_step();
            let mut line = Line { network: role.name().to_owned(), step, ..Line::default() };
            if step.is_multiple_of(train.log_every) || step == steps {
                line.loss = Some(mean(&std::mem::take(&mut self.state.unlogged)));
                line.learning_rate = Some(rate);
                line.gradient_norm = Some(norm);
                line.images_per_second = Some(meter.take());
            }
            let mut is_best = false;
            if due(step, train.validate_every) && !self.sets.validation.is_empty() {
                let (validation, reconstruction) = self.validate()?;
                line.reconstruction = reconstruction;
                self.guard.validated(validation.mean, self.observer);
                let mean = validation.mean as f32;
                // Devices of several ranks may round differently, and all must decide alike.
                is_best = ranks.first([u8::from(self.state.best.is_none_or(|(_, best)| mean < best))])? == [1];
                if is_best {
                    self.state.best = Some((step, mean));
                }
                line.validation = Some(validation);
            }
            if let Some(log) = log.as_mut().filter(|_| line.loss.is_some() || line.validation.is_some()) {
                log.write(&line)?;
            }
            self.observer.event(Event::Progress { done: step, message: meter.message(loss, &line) });
            if step == steps || due(step, train.checkpoint_every) || is_best || train.keep_checkpoints.contains(&step) {
                self.checkpoint(log.as_ref(), is_best)?;
            }
            if due(step, train.preview_every) {
                if train.stop_on_copies.is_some() {
                    // The training may come back to this step.
                    self.checkpoint(log.as_ref(), false)?;
                }
                if self.show(preview, &mut log)? {
                    self.end()?;
                }
            }
        }
        self.observer.event(Event::End);
        Ok(Outcome::Finished)
    }

    /// Shows a preview in the first rank, after the checkpoint: one that cannot be drawn or written must not cost the training. Returns
    /// whether its pairs end the training.
    fn show(&mut self, preview: &mut Preview<'_, O::Network>, log: &mut Option<MetricsLog>) -> Result<bool> {
        let ends = match log {
            Some(log) => self.show_here(preview, log)?,
            None => false,
        };
        self.observer.ranks().any(ends)
    }

    fn show_here(&mut self, preview: &mut Preview<'_, O::Network>, log: &mut MetricsLog) -> Result<bool> {
        let train = &self.objective.context().config.train;
        let (step, every) = (self.state.step, train.preview_every);
        let averaged = self.averaged()?;
        let shown = (step - self.leg).div_ceil(every.max(1));
        let raw = (shown <= PREVIEWS_WITH_RAW).then(|| self.network().valid());
        let shown =
            Shown { averaged: &averaged, raw: raw.as_ref(), before: self.before.as_ref().filter(|_| shown == 1) };
        let watched = match preview(step, shown) {
            Ok(Some(watched)) => watched,
            Ok(None) => return Ok(false),
            Err(error) => {
                warn(self.observer, format!("no preview at step {step}: {error}"));
                return Ok(false);
            }
        };
        let suspected = watched.suspected_copies;
        log.write(&Line {
            network: self.objective.role().name().to_owned(),
            step,
            watched: Some(watched),
            ..Line::default()
        })?;
        if let Err(error) = write_run_curves(self.run) {
            warn(self.observer, format!("no curves at step {step}: {error}"));
        }
        let copies = suspected.zip(train.stop_on_copies);
        if copies.is_some_and(|(share, most)| share >= most) {
            return Ok(true);
        }
        self.set_fine(Some(step));
        Ok(false)
    }

    /// Remembers the step of the last preview whose pairs were no copies, and keeps its checkpoint.
    fn set_fine(&mut self, step: Option<usize>) {
        let train = &self.objective.context().config.train;
        if train.stop_on_copies.is_some() {
            self.fine = step;
            let keep: Vec<usize> = train.keep_checkpoints.iter().copied().chain(step).collect();
            self.store = Store::new(self.run, self.objective.role().name()).keeping(&keep);
        }
    }

    /// The step of the last preview whose pairs were no copies, as metrics.jsonl says.
    fn known_fine(&self) -> Result<Option<usize>> {
        let most = self.objective.context().config.train.stop_on_copies.unwrap_or(f64::INFINITY);
        let is_fine = |line: &Line| {
            line.network == self.objective.role().name()
                && line.step <= self.state.step
                && line
                    .watched
                    .as_ref()
                    .is_some_and(|watched| watched.suspected_copies.is_none_or(|share| share < most))
        };
        Ok(metrics_log::read(self.run)?.iter().filter(|line| is_fine(line)).map(|line| line.step).max())
    }

    /// Ends the training before its last step, because its pairs are copies, at the last preview whose pairs were none.
    fn end(&mut self) -> Result<()> {
        let (step, name) = (self.state.step, self.objective.role().name());
        self.state.has_ended = true;
        if !self.observer.ranks().is_first() {
            return Ok(());
        }
        self.store.end_at(self.fine)?;
        let kept = self.fine.map_or_else(
            || format!("no earlier preview was free of them, so its weights are those of step {step}"),
            |fine| format!("its weights are those of step {fine}, the last preview before"),
        );
        warn(
            self.observer,
            format!(
                "{name}: the training ends at step {step}, since its pairs may be copies of training images (train.stop_on_copies); {kept}. \
                 More pairs, data.augment or dropout in the networks let it go on longer"
            ),
        );
        Ok(())
    }

    /// Makes one optimiser step. Returns the loss, the learning rate and the gradient's norm.
    fn train_step(&mut self, steps: usize) -> Result<(f32, f64, f64)> {
        let (config, step) = (self.objective.context().config, self.state.step);
        let train = &config.train;
        let unlabelled = self.sets.unlabelled.filter(|_| self.objective.role().takes_unlabelled());
        let batches = self.batches(self.sets.training, unlabelled);
        let micro_batch = self.state.micro_batch_size;
        let network = self.network.as_ref().expect(NETWORK_IS_THERE);
        let (workers, updates, ahead) = ((&self.workers, self.observer.ranks()), &mut self.optimizer, &mut self.ahead);
        let loss = add_gradient(self.objective, network, &batches, (micro_batch, step), workers, updates, ahead)?;
        if !loss.is_finite() {
            return Err(Error::Diverged { network: self.objective.role().name(), step, loss });
        }
        let own = self.optimizer.norm();
        // All ranks have the same gradient, but a sum on another device may be rounded differently.
        let norm = if self.optimizer.is_on_host() {
            own
        } else {
            f64::from_le_bytes(self.observer.ranks().first(own.to_le_bytes())?)
        };
        self.optimizer.clip(norm, train.clip_grad_norm);
        let rate = self.state.learning_rate.at(&self.optim, step - self.leg, steps - self.leg);
        self.network = self.network.take().map(|network| self.optimizer.step(network, rate, step));
        let images = train.images_in_step();
        let epoch = |step: usize| step * images / self.sets.training.len().max(1);
        self.state.learning_rate.observe(&self.optim, loss, epoch(step + 1) > epoch(step));
        self.state.step += 1;
        Ok((loss, rate, norm))
    }

    fn network(&self) -> &O::Network {
        self.network.as_ref().expect(NETWORK_IS_THERE)
    }

    fn batches(&self, set: &'a PreparedSet, unlabelled: Option<&'a PreparedSet>) -> Batches<'a> {
        let objective: &'a O = self.objective;
        let context = objective.context();
        Batches {
            set,
            unlabelled,
            augment: &context.config.data.augment,
            schedule: context.schedule,
            device: self.device,
        }
    }

    /// The network with averaged weights.
    fn averaged(&self) -> Result<O::Network> {
        averaged(self.network(), &self.optimizer, self.run)
    }

    /// The loss of the averaged network on held-out pairs, at timesteps spread over each quarter of 1..=T, and for an autoencoder
    /// how well it reconstructs them. Every call uses the same pairs, timesteps and noise.
    fn validate(&self) -> Result<(Validation, Option<Reconstruction>)> {
        let network = self.averaged()?;
        if !self.objective.is_timed() {
            let (mean, reconstruction) = self.validation_loss(&network, 0)?;
            return Ok((Validation { mean, quarters: None }, reconstruction));
        }
        let mut quarters = [0.0; 4];
        for (quarter, mean) in quarters.iter_mut().enumerate() {
            *mean = self.validation_loss(&network, quarter)?.0;
        }
        Ok((Validation { mean: quarters.iter().sum::<f64>() / 4.0, quarters: Some(quarters) }, None))
    }

    /// The mean loss in one quarter of the timesteps.
    fn validation_loss(&self, network: &O::Network, quarter: usize) -> Result<(f64, Option<Reconstruction>)> {
        let Context { config, schedule, .. } = self.objective.context();
        let (set, last) = (self.sets.validation, schedule.num_train_timesteps());
        let (objective, batches) = (self.objective, self.batches(set, None));
        let count = set.len().min(config.train.validation_samples).max(1);
        let parts = parts(count, config.train.batch_size);
        let of_part = |index: usize| -> Result<_> {
            let part = &parts[index];
            let indices: Vec<usize> = part.clone().map(|i| i * set.len() / count).collect();
            let t = part.clone().map(|i| spread(quarter, i, count, last)).collect();
            let position = |i: usize| VALIDATION_POSITIONS + (quarter * count + i) as u64;
            let batch = batches.fixed(config.train.seed, &indices, part.clone().map(position).collect(), t)?;
            let loss: Tensor<1> = objective.loss(network, &batch);
            let sum = f64::from(loss.into_scalar::<f32>()) * part.len() as f64;
            Ok((sum, objective.reconstruction(network, &batch)))
        };
        let (mut sum, mut reconstruction) = (0.0, None::<Reconstruction>);
        for found in self.workers.map(parts.len(), of_part) {
            let (loss, found) = found?;
            sum += loss;
            if let Some(found) = found {
                reconstruction = Some(reconstruction.unwrap_or_default().and(found));
            }
        }
        Ok((sum / count as f64, reconstruction))
    }

    /// Writes a checkpoint in the first rank, which has the log. All ranks must have the same weights.
    fn checkpoint(&self, log: Option<&MetricsLog>, is_best: bool) -> Result<()> {
        self.observer.ranks().agree_on_bytes("the weights", || bytes_of(self.network()))?;
        let Some(log) = log else { return Ok(()) };
        self.store.save(Checkpoint::of(&self.state, self.network(), &self.optimizer, log.mark()?), is_best)
    }
}

/// All weights of a network, for a hash.
fn bytes_of(network: &impl Module) -> Vec<u8> {
    parameters::export(network)
        .values()
        .flat_map(|array| array.values.iter().flat_map(|value| value.to_le_bytes()))
        .collect()
}

/// `network` in evaluation mode with the averaged weights of its optimiser. Weights that do not fit are an error: the raw
/// weights must never replace the average. `path` is for the message.
pub fn averaged<M: Module>(network: &M, optimizer: &Updates, path: &Path) -> Result<M> {
    parameters::import(network.valid(), &optimizer.ema())
        .map_err(|source| Error::Architecture { path: path.to_owned(), source })
}

/// Timestep of validation pair `i` of `count` in a quarter of 1..=last: evenly spread from the first timestep of the quarter on.
fn spread(quarter: usize, i: usize, count: usize, last: usize) -> usize {
    let (from, to) = (quarter * last / 4 + 1, ((quarter + 1) * last / 4).max(quarter * last / 4 + 1));
    from + (i * (to - from + 1) / count).min(to - from)
}

/// Records which frozen network this network learns from. On resume it must be the same, unless a further training begins.
fn bind(state: &mut State, objective: &impl Objective, begins_leg: bool) -> Result<()> {
    let Some(sha256) = objective.frozen_sha256() else { return Ok(()) };
    match &state.frozen_sha256 {
        Some(recorded) if recorded != sha256 && !begins_leg => Err(Error::Mismatch {
            what: objective.role().teacher_words(),
            found: sha256.to_owned(),
            expected: recorded.clone(),
            advice: "the frozen network has been trained further or replaced; retrain the network that learns from it",
        }),
        _ => {
            state.frozen_sha256 = Some(sha256.to_owned());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_timesteps_cover_all_quarters() {
        let all: Vec<usize> = (0..4).flat_map(|q| (0..128).map(move |i| spread(q, i, 128, 1024))).collect();
        assert_eq!((all.iter().min(), all.iter().max()), (Some(&1), Some(&1023)));
        assert!(all.windows(2).all(|w| w[0] < w[1]));
        assert!((0..4).all(|q| (0..8).all(|i| (1..=2).contains(&spread(q, i, 8, 2)))));
    }
}
