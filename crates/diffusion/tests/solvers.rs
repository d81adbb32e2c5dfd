//! Compares the solvers with diffusers' `DPMSolverMultistepScheduler`, `UniPCMultistepScheduler`, `HeunDiscreteScheduler` and
//! `KarrasVeScheduler`: trajectories in f64 from given model outputs and given noise (`tests/peers/solvers.py`; the README
//! in the same folder describes each case).
//!
//! All cases use the sampling loop of the methods. For solvers that add noise, the step functions are called with the noise
//! of the golden file; a separate test checks that the step objects are these functions with keyed noise.

mod common;

use burn::tensor::{DType, Device, Tensor};
use common::{
    difference,
    goldens::{Arrays, arrays, goldens},
    largest, tensor, values,
};
use pig_diffusion::{
    denoiser::Denoiser,
    karras::Churn,
    level::Level,
    noise::{NoiseSource, Stream},
    prediction::{Estimate, PredictionType},
    sampler::{SamplerKind, SamplerSettings},
    schedule::{BetaSchedule, Schedule, ScheduleConfig},
    single::sample_conditional,
    step::{DpmSolver, Heun, Step, UniPc, VarianceType, add_churn, dpm_solver_sde_step, dpm_solver_step},
    timesteps::{TimestepSpacing, Timesteps, Transition},
};
use std::{cell::Cell, collections::BTreeMap};

const DIMS: [usize; 4] = [1, 2, 2, 1];
const COUNT: usize = 4;
/// The number of values per step in `schedulers_inputs`; the first [`COUNT`] of them are used.
const STRIDE: usize = 16;
const TOLERANCE: f64 = 1e-9;
/// s_tmin and s_tmax of the `edm` cases.
const EDM_BOUNDS: (f64, f64) = (0.05, 50.0);

/// One case of `schedulers_solvers_cases.json`.
#[derive(Clone, Debug, serde::Deserialize)]
struct Case {
    name: String,
    sampler: SamplerKind,
    num_train_timesteps: usize,
    num_inference_steps: usize,
    timestep_spacing: TimestepSpacing,
    beta_schedule: BetaSchedule,
    beta_start: Option<f64>,
    beta_end: Option<f64>,
    rescale_betas_zero_snr: bool,
    prediction_type: PredictionType,
    use_karras_sigmas: bool,
    solver_order: Option<usize>,
    s_churn: Option<f64>,
    s_noise: Option<f64>,
}

impl Case {
    /// The schedule of training. Where zero terminal SNR gives alpha_bar_T = 0, diffusers uses 2^-24.
    fn plain_schedule(&self) -> Schedule {
        let default = ScheduleConfig::default();
        let config = ScheduleConfig {
            num_train_timesteps: self.num_train_timesteps,
            beta_schedule: self.beta_schedule,
            beta_start: self.beta_start.unwrap_or(default.beta_start),
            beta_end: self.beta_end.unwrap_or(default.beta_end),
            snr_shift: default.snr_shift,
            rescale_zero_terminal_snr: self.rescale_betas_zero_snr,
        };
        let schedule = Schedule::new(&config).unwrap();
        let last = (self.num_train_timesteps, 2_f64.powi(-24));
        if self.rescale_betas_zero_snr { schedule.with_alpha_bars(&[last]) } else { schedule }
    }

    /// The levels and the moves of a sampling with these settings.
    fn grid(&self) -> (Schedule, Timesteps) {
        let settings = SamplerSettings {
            sampler: self.sampler,
            num_inference_steps: self.num_inference_steps,
            timestep_spacing: self.timestep_spacing,
            use_karras_sigmas: self.use_karras_sigmas,
            solver_order: self.solver_order.unwrap_or(2),
            churn: Churn { s_churn: self.s_churn.unwrap_or(0.0), s_tmin: EDM_BOUNDS.0, s_tmax: EDM_BOUNDS.1 },
            s_noise: self.s_noise.unwrap_or(1.0),
            eta: 0.0,
            variance_type: VarianceType::default(),
            set_alpha_to_one: true,
        };
        settings.levels(&self.plain_schedule()).unwrap()
    }

    fn step<'a>(&self, schedule: &'a Schedule, goldens: &'a Goldens) -> Box<dyn Step + 'a> {
        match self.sampler {
            SamplerKind::DpmSolver => Box::new(DpmSolver::new(schedule, None)),
            SamplerKind::DpmSolverSde => Box::new(GivenSde { goldens, schedule, before: None, call: 0 }),
            SamplerKind::UniPc => Box::new(UniPc::new(schedule, self.solver_order.unwrap(), self.num_inference_steps)),
            SamplerKind::Heun => Box::new(Heun::new(schedule, 1.0, (source(vec![0]), Stream::Y))),
            SamplerKind::Edm => {
                // Its own noise is off: `GivenChurn` adds the noise of the golden file.
                let heun = Heun::new(schedule, 0.0, (source(vec![0]), Stream::Y));
                Box::new(GivenChurn { goldens, schedule, heun, s_noise: self.s_noise.unwrap(), call: 0 })
            }
            SamplerKind::Ddim | SamplerKind::Ddpm => panic!("{}: not a solver", self.name),
        }
    }
}

fn source(samples: Vec<u64>) -> NoiseSource {
    NoiseSource::new(3, samples, &Device::flex()).with_dtype(DType::F64)
}

/// The cases and their data.
struct Goldens {
    cases: Vec<Case>,
    tensors: Arrays,
    inputs: Arrays,
}

impl Goldens {
    fn load() -> Self {
        let cases: Vec<Case> = serde_json::from_slice(&goldens("schedulers_solvers_cases.json")).unwrap();
        assert_eq!(cases.len(), 139);
        let tensors = arrays("schedulers_solvers.safetensors");
        Self { cases, tensors, inputs: arrays("schedulers_inputs.safetensors") }
    }

    fn field(&self, case: &Case, field: &str) -> &[f64] {
        &self.tensors[&format!("{}/{field}", case.name)]
    }

    fn input(&self, name: &str, index: usize) -> Tensor<4> {
        tensor(&self.inputs[name][STRIDE * index..STRIDE * index + COUNT], DIMS, DType::F64)
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
        self.goldens.input("eps", self.calls.replace(self.calls.get() + 1))
    }

    fn prediction_type(&self) -> PredictionType {
        self.kind
    }
}

/// The stochastic DPM-Solver++ with the noise of the golden file.
struct GivenSde<'a> {
    goldens: &'a Goldens,
    schedule: &'a Schedule,
    before: Option<(Tensor<4>, Level)>,
    call: usize,
}

impl Step for GivenSde<'_> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        let (from, to) = (Level::at(self.schedule, at.t), Level::at(self.schedule, at.t_prev));
        let noise = self.goldens.input("variance_noise", self.call);
        let noise = (at.t_prev > 0).then_some(&noise);
        let x_prev = dpm_solver_sde_step(x_t, &estimate.x_0, self.before.as_ref(), from, to, noise);
        (self.before, self.call) = (Some((estimate.x_0.clone(), from)), self.call + 1);
        x_prev
    }
}

/// Heun's method, with the noise of the golden file where the noise level rises.
struct GivenChurn<'a> {
    goldens: &'a Goldens,
    schedule: &'a Schedule,
    heun: Heun<'a>,
    s_noise: f64,
    call: usize,
}

impl Step for GivenChurn<'_> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        let flat = Transition { t: at.t, t_prev: at.t_prev.min(at.t) };
        let x = self.heun.step(x_t, estimate, flat);
        let noise = self.goldens.input("variance_noise", self.call).mul_scalar(self.s_noise);
        self.call += 1;
        let level = |t| Level::at(self.schedule, t);
        if at.t_prev > at.t { add_churn(&x, &noise, level(at.t), level(at.t_prev)) } else { x }
    }
}

/// A step that records its results.
struct Kept<'a>(Box<dyn Step + 'a>, Vec<Vec<f64>>);

impl Step for Kept<'_> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        let x_prev = self.0.step(x_t, estimate, at);
        self.1.push(values(&x_prev));
        x_prev
    }
}

#[test]
fn the_loop_walks_diffusers_trajectories() {
    let goldens = Goldens::load();
    let mut worst = BTreeMap::<String, (usize, f64)>::new();
    for case in &goldens.cases {
        let (schedule, timesteps) = case.grid();
        let mut step = Kept(case.step(&schedule, &goldens), Vec::new());
        let model = Given { goldens: &goldens, kind: case.prediction_type, calls: Cell::new(0) };
        let start = goldens.input("x_T", 0);
        let condition = start.zeros_like();
        sample_conditional(&model, &schedule, &timesteps, &condition, &mut step, start, &mut |_, _| {});
        let steps = goldens.field(case, "steps");
        let entry = worst.entry(serde_json::to_value(case.sampler).unwrap().as_str().unwrap().to_owned()).or_default();
        for (row, &index) in steps.iter().enumerate() {
            let wanted = &goldens.field(case, "x")[COUNT * row..COUNT * (row + 1)];
            let error = difference(&step.1[index as usize], wanted) / largest(wanted).max(1.0);
            assert!(error < TOLERANCE, "{}: x after call {index} is off by {error:e}", case.name);
            entry.1 = entry.1.max(error);
        }
        entry.0 += 1;
    }
    println!("sampler: (cases, largest error): {worst:?}");
    assert_eq!(worst.keys().collect::<Vec<_>>(), ["dpm-solver++", "dpm-solver++-sde", "edm", "heun", "uni-pc"]);
}

/// The timestep of each call of the network.
#[test]
fn timesteps_are_diffusers() {
    let goldens = Goldens::load();
    for case in &goldens.cases {
        let ours: Vec<f64> = case.grid().1.iter().map(|at| at.t as f64 - 1.0).collect();
        assert_eq!(ours, goldens.field(case, "timesteps"), "{}", case.name);
    }
}

/// The step objects that add noise are the step functions with noise keyed by (stream, t), and add none in the move to the
/// clean image.
#[test]
fn objects_are_the_functions_with_keyed_noise() {
    let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
    let noise = source(vec![5, 9]);
    let draw = |stream, step| noise.draw(stream, step, [3, 2, 1]);
    let level = |t| Level::at(&schedule, t);
    let mut solver = DpmSolver::new(&schedule, Some((noise.clone(), Stream::X)));
    let (mut x, mut before) = (draw(Stream::X, 0), None);
    for (index, (t, t_prev)) in [(1024, 600), (600, 8), (8, 0)].into_iter().enumerate() {
        let estimate = Estimate::from_x0(&schedule, &x, draw(Stream::TrainX, index), &[t, t]);
        let keyed = draw(Stream::X, t);
        let keyed = (t_prev > 0).then_some(&keyed);
        let wanted = dpm_solver_sde_step(&x, &estimate.x_0, before.as_ref(), level(t), level(t_prev), keyed);
        let found = solver.step(&x, &estimate, Transition { t, t_prev });
        assert!(difference(&values(&found), &values(&wanted)) < 1e-14);
        (before, x) = (Some((estimate.x_0, level(t))), found);
    }

    let mut heun = Heun::new(&schedule, 1.1, (noise.clone(), Stream::Y));
    let mut flat = Heun::new(&schedule, 1.1, (noise.clone(), Stream::Y));
    let start = draw(Stream::Y, 0);
    let estimate = |x: &Tensor<4>, t| Estimate::from_x0(&schedule, x, draw(Stream::TrainY, t), &[t, t]);
    let down = Transition { t: 700, t_prev: 500 };
    let low = heun.step(&start, &estimate(&start, 700), down);
    flat.step(&start, &estimate(&start, 700), down);
    let again = estimate(&low, 500);
    let corrected = flat.step(&low, &again, Transition { t: 500, t_prev: 500 });
    let raised = heun.step(&low, &again, Transition { t: 500, t_prev: 520 });
    let wanted = add_churn(&corrected, &draw(Stream::Y, 500).mul_scalar(1.1), level(500), level(520));
    assert!(difference(&values(&raised), &values(&wanted)) < 1e-14);
    assert!(difference(&values(&raised), &values(&corrected)) > 0.01);
}

/// The history changes a move by the expected amount, and does not change the last move.
#[test]
fn history_extrapolates_to_the_middle_and_is_left_out_at_the_end() {
    let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
    let of = |v: f64| tensor(&[v; COUNT], DIMS, DType::F64);
    let level = |t| Level::at(&schedule, t);
    let (from, to, before) = (level(500), level(400), (of(0.2), level(600)));
    let step = |before: Option<&_>, to| values(&dpm_solver_step(&of(1.0), &of(0.3), before, from, to))[0];
    let (h, h_before) = (to.lambda() - from.lambda(), from.lambda() - before.1.lambda());
    let added = to.alpha * (1.0 - (-h).exp()) * h / (2.0 * h_before) * (0.3 - 0.2);
    assert!((step(Some(&before), to) - step(None, to) - added).abs() < 1e-14 && added > 1e-3);
    let clean = Level::new(1.0);
    assert_eq!(step(Some(&before), clean), 0.3);
    assert_eq!(step(None, clean), 0.3);
}
