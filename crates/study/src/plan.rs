//! `pig train --dry-run`: what a training would do and cost, without starting it.

use crate::budget::{Budget, NetworkCost, budget};
use burn::{module::Module, tensor::Device};
use pig_data::PreparedSet;
use pig_diffusion::schedule::Schedule;
use pig_optim::Updates;
use pig_train::{
    Config, Result,
    batch::Batches,
    gradient::{Ahead, add_gradient, images_in_work, workers_of},
    imported::frozen::FrozenModelY,
    memory::{self, Needed},
    meter::MEASURED_STEPS,
    methods::{
        objective::{Context, Objective, ObjectiveTask},
        teachers::Teachers,
        with_objective,
    },
    observer::Observer,
    ranks::Ranks,
    run_dir::RunDir,
    training::{self, Ready},
    unlabelled::Folders,
    workers::threads_of_workers,
};
use std::{iter, path::Path, time::Instant};

/// The most seconds that the measured steps of all networks may take; one more step of each comes before them.
const MOST_SECONDS: f64 = 20.0;

/// The least height and width at which steps are measured, if the pictures themselves are larger.
const LEAST_SIDE: usize = 64;

/// The cost of one network.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkPlan {
    /// The cost that is counted without computing.
    pub cost: NetworkCost,
    /// Seconds of one training step, measured on this machine, or scaled from smaller steps.
    pub seconds_a_step: f64,
}

/// What was measured instead of whole steps. Their time is scaled from it by the operations that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scaled {
    /// Images in a step.
    pub images: usize,
    /// Height and width.
    pub size: [usize; 2],
}

/// What a training would do and cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Numbers of training and validation pairs.
    pub pairs: [usize; 2],
    /// Numbers of training and validation groups.
    pub groups: [usize; 2],
    /// Problems found in the data.
    pub warnings: Vec<String>,
    /// The networks in the order of training.
    pub networks: Vec<NetworkPlan>,
    /// What was measured, if whole steps would have taken long.
    pub scaled: Option<Scaled>,
    /// The configuration with what the data decided.
    pub config: Config,
    /// The least memory that the training needs, by count.
    pub needed: Needed,
    /// The memory that the machine had available before the data were read, in bytes, if the system reports it.
    pub available_memory: Option<u64>,
    /// Largest resident memory of this process so far, in bytes, if the system reports it.
    pub peak_memory: Option<u64>,
}

impl Plan {
    /// The cost of the whole training by count.
    pub fn budget(&self) -> Budget {
        Budget { networks: self.networks.iter().map(|network| network.cost.clone()).collect() }
    }
}

/// Checks everything that a training would check, prepares the data, and measures a few steps; smaller ones if whole steps take long. Writes
/// nothing but prepared pairs to the cache.
pub fn plan(
    config: &Config,
    folders: Folders<'_>,
    out: &Path,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Plan> {
    RunDir::check_free(out)?;
    let available_memory = memory::available();
    let Ready { config, frozen_model_y, run_data, .. } = training::ready(config, folders, None, device, observer)?;
    let [training, _] = run_data.parts();
    let (networks, scaled) = measured_on(Some(&training), &config, frozen_model_y.as_ref(), device)?;
    Ok(Plan {
        pairs: [run_data.splits.training.len(), run_data.splits.validation.len()],
        groups: [run_data.splits.training_groups, run_data.splits.validation_groups],
        warnings: run_data.warnings(),
        networks,
        scaled,
        needed: Needed::of(&config, run_data.dataset.len(), observer.cache().is_some()),
        config,
        available_memory,
        peak_memory: peak_memory(),
    })
}

/// The networks of `config` with the seconds of a step, measured on blank pictures, or scaled from smaller ones.
///
/// # Errors
/// When a network cannot be built.
pub(crate) fn measured(config: &Config, device: &Device) -> Result<Vec<NetworkPlan>> {
    Ok(measured_on(None, config, None, device)?.0)
}

/// The same, on the pairs of `training` if whole steps can be measured, and what was measured instead of whole steps.
fn measured_on(
    training: Option<&PreparedSet>,
    config: &Config,
    frozen: Option<&FrozenModelY>,
    device: &Device,
) -> Result<(Vec<NetworkPlan>, Option<Scaled>)> {
    let whole = Trial { config: config.clone(), costs: budget(config, device)?.networks };
    let in_full = || match training {
        Some(training) => whole.seconds(training, frozen, device),
        None => whole.seconds(&whole.blank(), frozen, device),
    };
    let trials: Vec<Trial> = iter::successors(Some(whole.clone()), |trial| trial.smaller(device)).collect();
    let (seconds, scaled) = match &trials[..] {
        [larger @ .., least] if !larger.is_empty() => {
            let found = least.seconds(&least.blank(), frozen, device)?;
            // From the operations that are counted, what each trial would take.
            let takes = |trial: &Trial| MEASURED_STEPS as f64 * trial.scaled_from(least, &found).iter().sum::<f64>();
            match larger.iter().position(|trial| takes(trial) <= MOST_SECONDS) {
                Some(0) => (in_full()?, None),
                Some(index) => {
                    let trial = &larger[index];
                    let found = trial.seconds(&trial.blank(), frozen, device)?;
                    (whole.scaled_from(trial, &found), Some(trial.scaled()))
                }
                None => (whole.scaled_from(least, &found), Some(least.scaled())),
            }
        }
        _ => (in_full()?, None),
    };
    let network = |(cost, seconds_a_step)| NetworkPlan { cost, seconds_a_step };
    Ok((whole.costs.iter().cloned().zip(seconds).map(network).collect(), scaled))
}

/// Steps that are measured, or that could be.
#[derive(Clone, Debug)]
struct Trial {
    config: Config,
    costs: Vec<NetworkCost>,
}

impl Trial {
    /// The next smaller trial: as many images as are in work at once, then one for each worker, and then half of the height and width;
    /// none if there is none.
    fn smaller(&self, device: &Device) -> Option<Self> {
        let mut config = self.config.clone();
        let (images, threads) = (config.train.images_in_step(), rayon::current_num_threads());
        let (in_work, workers) = (images_in_work(&config.train, threads), threads_of_workers(threads, images).len());
        if in_work < images {
            (config.train.batch_size, config.train.gradient_accumulation_steps) = (in_work, 1);
        } else if workers < images {
            (config.train.batch_size, config.train.gradient_accumulation_steps) = (workers, 1);
            config.train.micro_batch_size = 1;
        } else {
            let slice = config.data.slice_size();
            if slice.iter().any(|&side| side % 2 != 0 || side / 2 < LEAST_SIDE) {
                return None;
            }
            config.data.size = config.data.size.map(|side| side / 2);
        }
        // A network may not fit the smaller pictures, nor blocks of the Haar transform.
        config.check().ok()?;
        let costs = budget(&config, device).ok()?.networks;
        Some(Self { config, costs })
    }

    fn scaled(&self) -> Scaled {
        Scaled { images: self.config.train.images_in_step(), size: self.config.data.size }
    }

    /// Pairs for the measurement.
    fn blank(&self) -> PreparedSet {
        let (data, count) = (&self.config.data, self.config.train.images_in_step());
        PreparedSet::blank(data.size, data.slices, [data.channels.count(), data.mask_channels()], count)
    }

    /// Seconds of one step of each network, measured.
    fn seconds(&self, training: &PreparedSet, frozen: Option<&FrozenModelY>, device: &Device) -> Result<Vec<f64>> {
        let config = &self.config;
        let (schedule, timesteps) = (Schedule::new(&config.schedule)?, config.timesteps()?);
        let mut teachers = Teachers::default();
        if let Some(model) = frozen {
            teachers.autoencoder = model.codec(config, device)?;
        }
        let mut seconds = Vec::new();
        for role in config.trained_roles() {
            let context = Context { config, schedule: &schedule, timesteps: &timesteps, teachers: &teachers };
            seconds.push(with_objective(role, context, Measurement { training, device })?);
            teachers.stand_in(config, role, device)?;
        }
        Ok(seconds)
    }

    /// Seconds of one step of each network, from those of another trial by the operations that are counted.
    fn scaled_from(&self, other: &Self, seconds: &[f64]) -> Vec<f64> {
        let operations = |trial: &Self, index: usize| {
            trial.config.train.images_in_step() as f64 * trial.costs[index].training_flops()
        };
        let scaled = |(index, seconds): (usize, &f64)| seconds * operations(self, index) / operations(other, index);
        seconds.iter().enumerate().map(scaled).collect()
    }
}

/// Measures training steps of one newly initialised network.
struct Measurement<'a> {
    training: &'a PreparedSet,
    device: &'a Device,
}

impl ObjectiveTask for Measurement<'_> {
    /// Seconds of one step.
    type Output = Result<f64>;

    fn run<O: Objective>(self, objective: &O) -> Result<f64> {
        let Context { config, schedule, .. } = objective.context();
        let micro_batch = Some(config.train.micro_batch_size);
        let batches = Batches {
            set: self.training,
            unlabelled: None,
            augment: &config.data.augment,
            schedule,
            device: self.device,
        };
        let network = objective.start(objective.build(self.device)?);
        let mut optimizer = Updates::new(&config.train.optim(), &network, self.device);
        let mut network = network.train();
        let workers = workers_of((config.train.images_in_step(), config.train.batch_size), micro_batch, &optimizer);
        let mut ahead = Ahead::default();
        let mut since = Instant::now();
        for step in 0..=MEASURED_STEPS {
            if step == 1 {
                since = Instant::now();
            }
            let at = (micro_batch, step);
            let alone = (&workers, Ranks::default());
            add_gradient(objective, &network, &batches, at, alone, &mut optimizer, &mut ahead)?;
            optimizer.clip(optimizer.norm(), config.train.clip_grad_norm);
            network = optimizer.step(network, 0.0, step);
        }
        Ok(since.elapsed().as_secs_f64() / MEASURED_STEPS as f64)
    }
}

/// The largest resident size of this process so far, in bytes; only Linux reports it without a library.
pub fn peak_memory() -> Option<u64> {
    let status = pig_files::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_train::config::Layers;

    fn whole(sets: &[&str]) -> Trial {
        let small = [
            "method=joint",
            "data.size=[256, 128]",
            "model_x.block_out_channels=[8, 16]",
            "model_x.norm_num_groups=8",
            "model_x.attention_levels=[]",
            "model_x.mid_attention=false",
            "train.batch_size=32",
            "train.micro_batch_size=4",
        ];
        let sets = small.iter().chain(sets).map(|&set| set.to_owned()).collect();
        let config = Layers { file: None, sets }.load().unwrap();
        let costs = budget(&config, &pig_device::testing::device()).unwrap().networks;
        Trial { config, costs }
    }

    fn trials(whole: Trial) -> Vec<Scaled> {
        let device = pig_device::testing::device();
        iter::successors(Some(whole), |trial| trial.smaller(&device)).map(|trial| trial.scaled()).collect()
    }

    #[test]
    fn trials_have_fewer_images_and_then_smaller_ones() {
        let found = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap().install(|| trials(whole(&[])));
        let expected = [(32, [256, 128]), (8, [256, 128]), (2, [256, 128]), (2, [128, 64])];
        assert_eq!(found, expected.map(|(images, size)| Scaled { images, size }));
        // Slices of a volume keep their number.
        let volume = whole(&["data.slices=4", "data.size=[1024, 128]", "model_x.spatial_dims=3"]);
        assert_eq!(trials(volume).last().unwrap().size, [512, 64]);
    }

    #[test]
    fn seconds_are_scaled_by_operations() {
        let device = pig_device::testing::device();
        let whole = whole(&[]);
        let fewer = whole.smaller(&device).unwrap();
        let images = fewer.scaled().images as f64;
        assert_eq!(whole.scaled_from(&fewer, &[2.0]), [2.0 * 32.0 / images]);
        let one_each = fewer.smaller(&device).unwrap();
        let smaller = one_each.smaller(&device).unwrap();
        let found = one_each.scaled_from(&smaller, &[1.0])[0];
        // All but the time embedding grows with the pixels.
        assert!((3.9..4.0).contains(&found), "{found}");
    }
}
