//! Compares schedules, timesteps and steps with diffusers' `DDIMScheduler` and `DDPMScheduler`: 135 trajectories in f64 from
//! given model outputs and given noise (`tests/peers`; its README describes each file and how it was made).
//!
//! Where diffusers differs from our loops, the step functions are called with diffusers' choices:
//! - DDIM goes from t to t - T/N for every spacing; with `linspace` this is not the next kept timestep, so
//!   `prev_timesteps` is read from the golden file.
//! - `clip_sample` alone clips x_0-hat and keeps eps; our [`Clipped`] recomputes eps, as diffusers does with
//!   `use_clipped_model_output`.
//! - DDPM adds noise whenever its 0-based t > 0, even in the step to the clean image; our `Ddpm` adds none there.

mod common;

use burn::tensor::{DType, Device, Tensor};
use common::{
    difference,
    goldens::{Arrays, arrays, goldens},
    largest, tensor, values,
};
use pig_diffusion::{
    denoiser::{Clipped, Denoiser},
    noise::{NoiseSource, Stream},
    prediction::{Estimate, PredictionType},
    schedule::{BetaSchedule, Schedule, ScheduleConfig, from_network_time},
    single::sample_conditional,
    step::{Ddim, Ddpm, Step, VarianceType, ddim_sigma, ddim_step, ddpm_step},
    timesteps::{TimestepSpacing, Timesteps, Transition},
};
use std::{cell::Cell, collections::BTreeMap};

const DIMS: [usize; 4] = [1, 4, 4, 1];
const TOLERANCE: f64 = 1e-6;

/// One case of `schedulers_cases.json`; our configuration uses the same names as diffusers.
#[derive(Clone, Debug, serde::Deserialize)]
struct Case {
    name: String,
    file: String,
    schedule: String,
    sampler: String,
    num_train_timesteps: usize,
    num_inference_steps: usize,
    timestep_spacing: TimestepSpacing,
    steps_offset: usize,
    beta_schedule: BetaSchedule,
    beta_start: Option<f64>,
    beta_end: Option<f64>,
    rescale_betas_zero_snr: bool,
    prediction_type: PredictionType,
    clip_sample: bool,
    use_clipped_model_output: Option<bool>,
    eta: Option<f64>,
    set_alpha_to_one: Option<bool>,
    variance_type: Option<VarianceType>,
}

impl Case {
    fn schedule(&self) -> Schedule {
        let default = ScheduleConfig::default();
        let config = ScheduleConfig {
            num_train_timesteps: self.num_train_timesteps,
            beta_schedule: self.beta_schedule,
            beta_start: self.beta_start.unwrap_or(default.beta_start),
            beta_end: self.beta_end.unwrap_or(default.beta_end),
            snr_shift: default.snr_shift,
            rescale_zero_terminal_snr: self.rescale_betas_zero_snr,
        };
        Schedule::new(&config).unwrap()
    }

    /// Our timesteps for this case; `steps_offset` is applied with `from_kept`.
    fn timesteps(&self) -> Timesteps {
        let plain = Timesteps::new(self.num_train_timesteps, self.num_inference_steps, self.timestep_spacing).unwrap();
        let shifted: Vec<usize> = plain.iter().map(|at| at.t + self.steps_offset).collect();
        Timesteps::from_kept(&shifted)
    }

    fn is_ddim(&self) -> bool {
        self.sampler == "ddim"
    }
}

/// The cases and their data.
struct Goldens {
    cases: Vec<Case>,
    files: BTreeMap<String, Arrays>,
    inputs: Arrays,
}

impl Goldens {
    fn load() -> Self {
        let cases: Vec<Case> = serde_json::from_slice(&goldens("schedulers_cases.json")).unwrap();
        assert_eq!(cases.len(), 135);
        let files = cases.iter().map(|case| case.file.clone()).collect::<std::collections::BTreeSet<_>>();
        let files = files.into_iter().map(|file| (file.clone(), arrays(&file))).collect();
        Self { cases, files, inputs: arrays("schedulers_inputs.safetensors") }
    }

    fn field(&self, case: &Case, field: &str) -> &[f64] {
        &self.files[&case.file][&format!("{}/{field}", case.name)]
    }

    /// The 16 values of `name` for step `index`.
    fn input(&self, name: &str, index: usize) -> Tensor<4> {
        tensor(&self.inputs[name][16 * index..16 * (index + 1)], DIMS, DType::F64)
    }

    fn timesteps(&self, case: &Case) -> Vec<i64> {
        self.field(case, "timesteps").iter().map(|&t| t as i64).collect()
    }

    fn previous(&self, case: &Case) -> Vec<i64> {
        self.field(case, "prev_timesteps").iter().map(|&t| t as i64).collect()
    }

    /// Compares x after each stored step, and x_0-hat of that step, with the golden file.
    fn check(&self, case: &Case, found: &[(Tensor<4>, Tensor<4>)]) {
        assert_eq!(found.len(), case.num_inference_steps, "{}", case.name);
        let steps = self.field(case, "steps");
        assert!(!steps.is_empty());
        for (row, &step) in steps.iter().enumerate() {
            let (x, x_0) = &found[step as usize];
            for (field, found) in [("x", x), ("pred_x0", x_0)] {
                let wanted = &self.field(case, field)[16 * row..16 * (row + 1)];
                let error = difference(&values(found), wanted) / largest(wanted).max(1.0);
                assert!(error < TOLERANCE, "{}: {field} after step {step} is off by {error:e}", case.name);
            }
        }
    }
}

#[test]
fn alpha_bar_is_diffusers_alphas_cumprod() {
    let goldens = Goldens::load();
    let tables = arrays("schedulers_alphas.safetensors");
    let mut seen = std::collections::BTreeSet::new();
    for case in goldens.cases.iter().filter(|case| seen.insert(case.schedule.clone())) {
        let (schedule, table) = (case.schedule(), &tables[&format!("{}/alphas_cumprod", case.schedule)]);
        assert_eq!(schedule.num_train_timesteps(), table.len());
        let ours: Vec<f64> = (0..table.len()).map(|t| schedule.alpha_bar(from_network_time(t))).collect();
        assert!(difference(&ours, table) < 1e-13, "{}: {:e}", case.schedule, difference(&ours, table));
    }
    assert_eq!(seen.len(), tables.len());
}

/// Every spacing where T/N is an integer, and the offset of `leading` with `from_kept`.
#[test]
fn timesteps_are_diffusers() {
    let goldens = Goldens::load();
    let mut seen = std::collections::BTreeSet::new();
    for case in &goldens.cases {
        assert_eq!(case.num_train_timesteps % case.num_inference_steps, 0);
        let ours: Vec<Transition> = case.timesteps().iter().collect();
        let kept: Vec<i64> = ours.iter().map(|at| at.t as i64 - 1).collect();
        assert_eq!(kept, goldens.timesteps(case), "{}", case.name);
        let next: Vec<i64> = ours.iter().map(|at| at.t_prev as i64 - 1).collect();
        let theirs: Vec<i64> = goldens.previous(case).iter().map(|&t| t.max(-1)).collect();
        let ddim_linspace = case.is_ddim() && case.timestep_spacing == TimestepSpacing::Linspace;
        assert_eq!(next == theirs, !ddim_linspace, "{}", case.name);
        seen.insert(format!("{:?}{}", case.timestep_spacing, case.steps_offset));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["Leading0", "Leading1", "Linspace0", "Trailing0"]);
}

/// x and x_0-hat after every step of a case, from the step functions with diffusers' timesteps and noise.
fn by_functions(goldens: &Goldens, case: &Case) -> Vec<(Tensor<4>, Tensor<4>)> {
    let schedule = case.schedule();
    let mut x = goldens.input("x_T", 0);
    let mut found = Vec::new();
    for (index, (t, prev)) in goldens.timesteps(case).into_iter().zip(goldens.previous(case)).enumerate() {
        let t_ours = from_network_time(t as usize);
        let alpha_bar = schedule.alpha_bar(t_ours);
        let last = usize::from(case.set_alpha_to_one == Some(false));
        let alpha_bar_prev = schedule.alpha_bar(usize::try_from(prev).map_or(last, from_network_time));
        let output = goldens.input("eps", index);
        let mut estimate = Estimate::new(&schedule, case.prediction_type, &x, output, &[t_ours]);
        if case.clip_sample {
            estimate.x_0 = estimate.x_0.clamp(-1.0, 1.0);
        }
        if case.use_clipped_model_output == Some(true) {
            estimate = Estimate::from_x0(&schedule, &x, estimate.x_0, &[t_ours]);
        }
        let noise = goldens.input("variance_noise", index);
        x = if let Some(variance) = case.variance_type {
            let noise = (t > 0).then_some(&noise);
            ddpm_step(&x, &estimate, alpha_bar, alpha_bar_prev, variance, noise)
        } else {
            let sigma = ddim_sigma(alpha_bar, alpha_bar_prev, case.eta.unwrap());
            ddim_step(&estimate, alpha_bar_prev, sigma, (sigma > 0.0).then_some(&noise))
        };
        found.push((x.clone(), estimate.x_0));
    }
    found
}

#[test]
fn step_functions_walk_diffusers_trajectories() {
    let goldens = Goldens::load();
    for case in &goldens.cases {
        assert_eq!(case.is_ddim(), case.variance_type.is_none());
        goldens.check(case, &by_functions(&goldens, case));
    }
}

/// A network with fixed outputs, one per call.
struct Given<'a> {
    goldens: &'a Goldens,
    kind: PredictionType,
    calls: Cell<usize>,
}

impl Denoiser for Given<'_> {
    fn predict(&self, _noisy: &Tensor<4>, _guide: &Tensor<4>, _t: &[usize]) -> Tensor<4> {
        let index = self.calls.replace(self.calls.get() + 1);
        self.goldens.input("eps", index)
    }

    fn prediction_type(&self) -> PredictionType {
        self.kind
    }
}

/// A step that records its results.
struct Kept<'a>(Ddim<'a>, Vec<(Tensor<4>, Tensor<4>)>);

impl Step for Kept<'_> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        let x_prev = self.0.step(x_t, estimate, at);
        self.1.push((x_prev.clone(), estimate.x_0.clone()));
        x_prev
    }
}

fn source(samples: Vec<u64>) -> NoiseSource {
    NoiseSource::new(3, samples, &Device::flex()).with_dtype(DType::F64)
}

/// The sampling loop itself, for the cases in which diffusers does the same: DDIM with eta 0, moves to the next kept
/// timestep, and clipping only together with recomputed eps.
#[test]
fn the_loop_walks_diffusers_trajectories() {
    let goldens = Goldens::load();
    let mut walked = 0;
    for case in &goldens.cases {
        let same_clip = Some(case.clip_sample) == case.use_clipped_model_output;
        if case.eta != Some(0.0) || case.timestep_spacing == TimestepSpacing::Linspace || !same_clip {
            continue;
        }
        walked += 1;
        let (schedule, x_start) = (case.schedule(), goldens.input("x_T", 0));
        let ddim = Ddim {
            schedule: &schedule,
            eta: 0.0,
            set_alpha_to_one: case.set_alpha_to_one.unwrap(),
            noise: (source(vec![0]), Stream::Y),
        };
        let mut step = Kept(ddim, Vec::new());
        let model = Given { goldens: &goldens, kind: case.prediction_type, calls: Cell::new(0) };
        let (timesteps, condition) = (case.timesteps(), x_start.zeros_like());
        if case.clip_sample {
            let model = Clipped(model);
            sample_conditional(&model, &schedule, &timesteps, &condition, &mut step, x_start, &mut |_, _| {});
        } else {
            sample_conditional(&model, &schedule, &timesteps, &condition, &mut step, x_start, &mut |_, _| {});
        }
        goldens.check(case, &step.1);
    }
    assert_eq!(walked, 35);
}

/// The step objects give the results of the step functions with noise keyed by (stream, t), and add no noise where the
/// variance is 0 or in the move to the clean image.
#[test]
fn step_objects_are_the_step_functions_with_keyed_noise() {
    let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
    let noise = source(vec![5, 9]);
    let draw = |stream, step| noise.draw(stream, step, [3, 2, 1]);
    let (x_t, x_0) = (draw(Stream::TrainX, 1), draw(Stream::TrainY, 1));
    for (t, t_prev) in [(1024, 1020), (500, 496), (4, 0), (1, 0)] {
        let (at, t_all) = (Transition { t, t_prev }, [t, t]);
        let estimate = Estimate::from_x0(&schedule, &x_t, x_0.clone(), &t_all);
        let (a, b) = (schedule.alpha_bar(t), schedule.alpha_bar(t_prev));
        let keyed = draw(Stream::X, t);
        for eta in [0.0, 0.5, 1.0] {
            let mut ddim = Ddim { schedule: &schedule, eta, set_alpha_to_one: true, noise: (noise.clone(), Stream::X) };
            let wanted = ddim_step(&estimate, b, ddim_sigma(a, b, eta), Some(&keyed));
            assert!(difference(&values(&ddim.step(&x_t, &estimate, at)), &values(&wanted)) < 1e-14);
        }
        for variance in [VarianceType::FixedSmall, VarianceType::FixedLarge] {
            let mut ddpm = Ddpm { schedule: &schedule, variance, noise: (noise.clone(), Stream::X) };
            let wanted = ddpm_step(&x_t, &estimate, a, b, variance, (t_prev > 0).then_some(&keyed));
            assert!(difference(&values(&ddpm.step(&x_t, &estimate, at)), &values(&wanted)) < 1e-14);
        }
        let one = ddim_step(&estimate, b, ddim_sigma(a, b, 1.0), Some(&keyed));
        let small = ddpm_step(&x_t, &estimate, a, b, VarianceType::FixedSmall, Some(&keyed));
        assert!(difference(&values(&one), &values(&small)) < 1e-11, "eta 1 must equal ancestral sampling");
    }
}
