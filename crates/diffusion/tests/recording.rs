//! Tests the inputs of each network at each step: denoisers record their inputs, which are compared with a second
//! implementation of the algorithms in plain numbers.
//!
//! The networks return values far outside [-1, 1], so an unwanted clip or threshold would be noticed. `golden_unet.rs` of
//! `nn` tests that the channels reach the U-Net in the order [noisy, guide].

mod common;

use burn::tensor::{DType, Device, Tensor};
use common::{difference, largest, paper_schedule, tensor, values};
use pig_diffusion::{
    denoiser::{Clipped, Denoiser},
    forward::add_noise,
    guide::{Guide, PredictedX0, PreviousX, Thresholded},
    joint::{JointDenoiser, joint_errors, joint_loss, sample_joint},
    noise::{NoiseSource, Stream},
    pair::{algorithm_1, algorithm_2},
    prediction::{Estimate, PredictionType},
    schedule::Schedule,
    single::{conditional_error, sample_conditional, sigmoid_guide_weight},
    step::{Ddim, GivenX0, Step},
    timesteps::{Timesteps, Transition},
};
use std::cell::RefCell;

const DIMS: [usize; 4] = [2, 9, 8, 1];
const COUNT: usize = 2 * 9 * 8;
const KEPT: [usize; 5] = [1000, 640, 333, 90, 3];

/// One event of a run; events are recorded in their order.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    /// A network was evaluated: its name, noisy input, guide, timesteps.
    Network(&'static str, Vec<f64>, Vec<f64>, Vec<usize>),
    /// The condition of model_y was computed from (x_t, x_0-hat, x_{t-1}).
    Guide(Vec<f64>, Vec<f64>, Vec<f64>),
    /// A chain moved: its name, the value before the move, the timesteps.
    Step(&'static str, Vec<f64>, Transition),
    /// The watcher was called with (x_0-hat, y_0-hat).
    Watch(Vec<f64>, Vec<f64>),
}

type Log = RefCell<Vec<Event>>;

/// The output of network `who` for one value.
fn answer(who: &str, noisy: f64, guide: f64, t: usize) -> f64 {
    match who {
        "x" => 0.6 * noisy - 0.3 * guide + 1e-3 * t as f64,
        _ => 0.5 * noisy + 0.2 * guide - 5e-4 * t as f64,
    }
}

/// A network that records its inputs.
struct Recorder<'a> {
    who: &'static str,
    log: &'a Log,
    kind: PredictionType,
}

impl Denoiser for Recorder<'_> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let (n, g) = (values(noisy), values(guide));
        let each = n.len() / t.len();
        let output: Vec<f64> = (0..n.len()).map(|i| answer(self.who, n[i], g[i], t[i / each])).collect();
        self.log.borrow_mut().push(Event::Network(self.who, n, g, t.to_vec()));
        tensor(&output, noisy.dims(), DType::F64)
    }

    fn prediction_type(&self) -> PredictionType {
        self.kind
    }
}

/// The joint network: its x output is computed from (x_t, y_t), its y output from (y_t, x_t).
struct JointRecorder<'a>(&'a Log, PredictionType);

impl JointDenoiser for JointRecorder<'_> {
    fn predict(&self, x_t: &Tensor<4>, y_t: &Tensor<4>, t: &[usize]) -> (Tensor<4>, Tensor<4>) {
        let (x, y) = (values(x_t), values(y_t));
        let each = x.len() / t.len();
        let both = |who, a: &[f64], b: &[f64]| {
            let output: Vec<f64> = (0..a.len()).map(|i| answer(who, a[i], b[i], t[i / each])).collect();
            tensor(&output, x_t.dims(), DType::F64)
        };
        let outputs = (both("x", &x, &y), both("y", &y, &x));
        self.0.borrow_mut().push(Event::Network("joint", x, y, t.to_vec()));
        outputs
    }

    fn prediction_type(&self) -> PredictionType {
        self.1
    }
}

/// A step that records its calls.
struct LoggedStep<'a, S>(&'static str, S, &'a Log);

impl<S: Step> Step for LoggedStep<'_, S> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        self.2.borrow_mut().push(Event::Step(self.0, values(x_t), at));
        self.1.step(x_t, estimate, at)
    }
}

/// A guide that records its inputs.
struct LoggedGuide<'a, G>(&'a G, &'a Log);

impl<G: Guide> Guide for LoggedGuide<'_, G> {
    fn guide(&self, x_t: &Tensor<4>, x_0: &Tensor<4>, x_prev: &Tensor<4>) -> Tensor<4> {
        self.1.borrow_mut().push(Event::Guide(values(x_t), values(x_0), values(x_prev)));
        self.0.guide(x_t, x_0, x_prev)
    }
}

fn ddim(schedule: &Schedule) -> Ddim<'_> {
    let noise = NoiseSource::new(0, vec![0, 1], &Device::flex()).with_dtype(DType::F64);
    Ddim { schedule, eta: 0.0, set_alpha_to_one: true, noise: (noise, Stream::X) }
}

/// Uneven values between -2 and 2.
fn wave(phase: f64) -> Vec<f64> {
    (0..COUNT).map(|i| 2.0 * (phase + 0.7 * i as f64 + 0.01 * (i * i) as f64).sin()).collect()
}

/// alpha_bar_t by the paper's product, Eq. (3), independent of the schedule under test.
fn alpha_bar(t: usize) -> f64 {
    (1..=t).map(|i| 1.0 - (1e-4 + (0.02 - 1e-4) * (i - 1) as f64 / 1023.0)).product()
}

fn zip(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}

/// Eq. (6), (7) in plain numbers: (x_0-hat, x_{t-1}) from x_t and eps. With `clip`, x_0-hat is clipped to [-1, 1] and eps is
/// recomputed from x_t and the clipped x_0-hat.
fn move_by_eps(x_t: &[f64], eps: &[f64], at: Transition, clip: bool) -> (Vec<f64>, Vec<f64>) {
    let (a, b) = (alpha_bar(at.t), alpha_bar(at.t_prev));
    let mut x_0 = zip(x_t, eps, |x, e| (x - (1.0 - a).sqrt() * e) / a.sqrt());
    let mut eps = eps.to_vec();
    if clip {
        x_0 = x_0.iter().map(|v| v.clamp(-1.0, 1.0)).collect();
        eps = zip(x_t, &x_0, |x, x_0| (x - a.sqrt() * x_0) / (1.0 - a).sqrt());
    }
    let x_prev = zip(&x_0, &eps, |x_0, e| b.sqrt() * x_0 + (1.0 - b).sqrt() * e);
    (x_0, x_prev)
}

/// The released code's threshold in plain numbers.
fn threshold(x_0: &[f64]) -> Vec<f64> {
    let [batch, height, width, _] = DIMS;
    let mut cut = Vec::new();
    for sample in 0..batch {
        let smooth: Vec<f64> = (0..height * width)
            .map(|i| {
                let (row, column) = (i / width, i % width);
                let rows = row.saturating_sub(2)..(row + 3).min(height);
                let near: Vec<f64> = rows
                    .flat_map(|r| (column.saturating_sub(2)..(column + 3).min(width)).map(move |c| r * width + c))
                    .map(|j| x_0[sample * height * width + j])
                    .collect();
                near.iter().sum::<f64>() / near.len() as f64
            })
            .collect();
        let most = smooth.iter().copied().fold(f64::MIN, f64::max);
        let least = smooth.iter().copied().fold(f64::MAX, f64::min);
        cut.extend(smooth.iter().map(|&v| if v > 0.75 * most + 0.25 * least { 1.0 } else { -1.0 }));
    }
    cut
}

fn transitions() -> Vec<Transition> {
    Timesteps::from_kept(&KEPT).iter().collect()
}

/// How the expected run differs from the paper's.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Paper,
    PreviousX,
    Thresholded,
    Clipped,
    GivenMask,
}

/// Algorithm 2 in plain numbers: all expected events, and (x_0-hat, y_0-hat).
fn expected(mode: Mode, mask: &[f64], noise: &[f64], y_start: &[f64]) -> (Vec<Event>, Vec<f64>, Vec<f64>) {
    let on_forward_chain = |t| {
        let a = alpha_bar(t);
        zip(mask, noise, |m, e| a.sqrt() * m + (1.0 - a).sqrt() * e)
    };
    let mut x_t = if mode == Mode::GivenMask { on_forward_chain(KEPT[0]) } else { noise.to_vec() };
    let mut y_t = y_start.to_vec();
    let mut events = Vec::new();
    let clip = mode == Mode::Clipped;
    for at in transitions() {
        let t = vec![at.t; 2];
        events.push(Event::Network("x", x_t.clone(), y_t.clone(), t.clone()));
        let (x_0, by_ddim) = move_by_eps(&x_t, &zip(&x_t, &y_t, |x, y| answer("x", x, y, at.t)), at, clip);
        let x_prev = if mode == Mode::GivenMask { on_forward_chain(at.t_prev) } else { by_ddim };
        events.push(Event::Step("x", x_t.clone(), at));
        events.push(Event::Guide(x_t.clone(), x_0.clone(), x_prev.clone()));
        let condition = match mode {
            Mode::PreviousX => x_prev.clone(),
            Mode::Thresholded => threshold(&x_0),
            Mode::Paper | Mode::Clipped | Mode::GivenMask => x_0.clone(),
        };
        events.push(Event::Network("y", y_t.clone(), condition.clone(), t));
        let (y_0, y_prev) = move_by_eps(&y_t, &zip(&y_t, &condition, |y, c| answer("y", y, c, at.t)), at, clip);
        events.push(Event::Step("y", y_t.clone(), at));
        events.push(Event::Watch(x_0, y_0));
        (x_t, y_t) = (x_prev, y_prev);
    }
    (events, x_t, y_t)
}

/// Whether two lists agree except for rounding.
fn close(found: &[f64], wanted: &[f64]) -> bool {
    found.len() == wanted.len() && difference(found, wanted) <= 1e-9 * (1.0 + largest(wanted))
}

fn assert_events(found: &[Event], wanted: &[Event]) {
    assert_eq!(found.len(), wanted.len());
    for (i, pair) in found.iter().zip(wanted).enumerate() {
        let same = match pair {
            (Event::Network(a, n, g, t), Event::Network(b, m, h, u)) => a == b && t == u && close(n, m) && close(g, h),
            (Event::Guide(a, b, c), Event::Guide(d, e, f)) => close(a, d) && close(b, e) && close(c, f),
            (Event::Step(a, x, at), Event::Step(b, y, to)) => a == b && at == to && close(x, y),
            (Event::Watch(a, b), Event::Watch(c, d)) => close(a, c) && close(b, d),
            _ => false,
        };
        assert!(same, "event {i}: found {:?}, expected {:?}", pair.0, pair.1);
    }
}

/// Runs Algorithm 2 with recording parts and compares every event and both results with `expected`.
fn check(mode: Mode, guide: &impl Guide) {
    let (mask, noise, y_start) = (wave(0.3), wave(1.1), wave(2.5));
    let (events, x_end, y_end) = expected(mode, &mask, &noise, &y_start);
    let schedule = paper_schedule();
    let log = Log::default();
    let of = |v: &[f64]| tensor(v, DIMS, DType::F64);
    let network = |who| Recorder { who, log: &log, kind: PredictionType::Epsilon };
    let (x_start, mut step_x): (Tensor<4>, Box<dyn Step + '_>) = if mode == Mode::GivenMask {
        let given = GivenX0 { schedule: &schedule, x_0: of(&mask), eps: of(&noise) };
        (add_noise(&schedule, &of(&mask), &of(&noise), &[KEPT[0]; 2]), Box::new(LoggedStep("x", given, &log)))
    } else {
        (of(&noise), Box::new(LoggedStep("x", ddim(&schedule), &log)))
    };
    let mut step_y = LoggedStep("y", ddim(&schedule), &log);
    let mut watch = |turn: &pig_diffusion::pair::Turn<'_>| {
        log.borrow_mut().push(Event::Watch(values(&turn.x.x_0), values(&turn.y.x_0)));
    };
    let timesteps = Timesteps::from_kept(&KEPT);
    let guide = LoggedGuide(guide, &log);
    let (steps, start) = ((&mut step_x, &mut step_y), (x_start, of(&y_start)));
    let (x_0, y_0) = if mode == Mode::Clipped {
        let (x, y) = (Clipped(network("x")), Clipped(network("y")));
        algorithm_2(&x, &y, &schedule, &timesteps, &guide, steps, start, &mut watch)
    } else {
        algorithm_2(&network("x"), &network("y"), &schedule, &timesteps, &guide, steps, start, &mut watch)
    };
    assert_events(&log.borrow(), &events);
    assert!(close(&values(&x_0), &x_end) && close(&values(&y_0), &y_end));
}

/// The largest absolute value of model_y's guide in an expected run.
fn largest_guide(mode: Mode) -> f64 {
    let (events, ..) = expected(mode, &wave(0.3), &wave(1.1), &wave(2.5));
    let guides = events.iter().filter_map(|e| match e {
        Event::Network("y", _, guide, _) => Some(largest(guide)),
        _ => None,
    });
    guides.fold(0.0, f64::max)
}

/// The paper: model_x receives (x_t, y_t, t), x moves, model_y receives (y_t, x_0-hat of the same step, t), y moves. model_y
/// receives x_0-hat without clipping or thresholding.
#[test]
fn model_y_is_given_x_0_hat_of_the_same_step() {
    check(Mode::Paper, &PredictedX0);
    assert!(largest_guide(Mode::Paper) > 10.0);
}

/// Line 9: the last step goes to alpha_bar_0 = 1, so the chains end at the last estimates x_0-hat and y_0-hat.
#[test]
fn the_pair_returned_is_the_last_estimate() {
    let (schedule, log) = (paper_schedule(), Log::default());
    let network = |who| Recorder { who, log: &log, kind: PredictionType::Epsilon };
    let mut last = (Vec::new(), Vec::new());
    let (x_0, y_0) = algorithm_2(
        &network("x"),
        &network("y"),
        &schedule,
        &Timesteps::from_kept(&KEPT),
        &PredictedX0,
        (&mut ddim(&schedule), &mut ddim(&schedule)),
        (tensor(&wave(1.1), DIMS, DType::F64), tensor(&wave(2.5), DIMS, DType::F64)),
        &mut |turn| last = (values(&turn.x.x_0), values(&turn.y.x_0)),
    );
    assert_eq!((values(&x_0), values(&y_0)), last);
}

#[test]
fn model_y_is_given_x_t_minus_1_when_asked() {
    check(Mode::PreviousX, &PreviousX);
    assert!(largest_guide(Mode::PreviousX) > 2.0);
}

#[test]
fn model_y_is_given_the_thresholded_x_0_hat_when_asked() {
    check(Mode::Thresholded, &Thresholded);
    let (events, ..) = expected(Mode::Thresholded, &wave(0.3), &wave(1.1), &wave(2.5));
    for event in events {
        if let Event::Network("y", _, guide, _) = event {
            assert!(guide.contains(&1.0) && guide.contains(&-1.0));
        }
    }
}

#[test]
fn clipping_cuts_x_0_hat_and_recomputes_eps_when_asked() {
    check(Mode::Clipped, &PredictedX0);
    assert_eq!(largest_guide(Mode::Clipped), 1.0);
}

/// A given mask follows Eq. (9) with the same noise at all steps; model_x is evaluated at (x_t, y_t), and model_y receives
/// its x_0-hat.
#[test]
fn a_given_mask_enters_through_model_x() {
    check(Mode::GivenMask, &PredictedX0);
    let (_, x_end, _) = expected(Mode::GivenMask, &wave(0.3), &wave(1.1), &wave(2.5));
    assert!(close(&x_end, &wave(0.3)), "the chain must end at the mask");
}

/// A given mask is passed to model_y directly, for `clean`: the condition is the same at every step.
#[test]
fn a_given_condition_stays_the_same() {
    let (condition, mut y_t) = (wave(0.3), wave(2.5));
    let schedule = paper_schedule();
    let log = Log::default();
    let model = Recorder { who: "y", log: &log, kind: PredictionType::Epsilon };
    let mut watched = Vec::new();
    let y_0 = sample_conditional(
        &model,
        &schedule,
        &Timesteps::from_kept(&KEPT),
        &tensor(&condition, DIMS, DType::F64),
        &mut ddim(&schedule),
        tensor(&y_t, DIMS, DType::F64),
        &mut |at, estimate| watched.push((at, values(&estimate.x_0))),
    );
    let mut events = Vec::new();
    for (at, (watched_at, y_0_hat)) in transitions().into_iter().zip(watched) {
        events.push(Event::Network("y", y_t.clone(), condition.clone(), vec![at.t; 2]));
        let (y_0, y_prev) = move_by_eps(&y_t, &zip(&y_t, &condition, |y, c| answer("y", y, c, at.t)), at, false);
        assert!(watched_at == at && close(&y_0_hat, &y_0));
        y_t = y_prev;
    }
    assert_events(&log.borrow(), &events);
    assert!(close(&values(&y_0), &y_t));
}

fn check_joint(clip: bool) {
    let (mut x_t, mut y_t) = (wave(1.1), wave(2.5));
    let schedule = paper_schedule();
    let log = Log::default();
    let of = |v: &[f64]| tensor(v, DIMS, DType::F64);
    let (mut step_x, mut step_y) = (LoggedStep("x", ddim(&schedule), &log), LoggedStep("y", ddim(&schedule), &log));
    let (x_0, y_0) = sample_joint(
        &JointRecorder(&log, PredictionType::Epsilon),
        &schedule,
        &Timesteps::from_kept(&KEPT),
        (&mut step_x, &mut step_y),
        (of(&x_t), of(&y_t)),
        clip,
        &mut |turn| log.borrow_mut().push(Event::Watch(values(&turn.x.x_0), values(&turn.y.x_0))),
    );
    let mut events = Vec::new();
    for at in transitions() {
        events.push(Event::Network("joint", x_t.clone(), y_t.clone(), vec![at.t; 2]));
        let (x_0, x_prev) = move_by_eps(&x_t, &zip(&x_t, &y_t, |x, y| answer("x", x, y, at.t)), at, clip);
        let (y_0, y_prev) = move_by_eps(&y_t, &zip(&y_t, &x_t, |y, x| answer("y", y, x, at.t)), at, clip);
        events.push(Event::Step("x", x_t, at));
        events.push(Event::Step("y", y_t, at));
        events.push(Event::Watch(x_0, y_0));
        (x_t, y_t) = (x_prev, y_prev);
    }
    assert_events(&log.borrow(), &events);
    assert!(close(&values(&x_0), &x_t) && close(&values(&y_0), &y_t));
}

/// The joint network is evaluated once per step, with both chains at the same t.
#[test]
fn the_joint_network_is_given_both_chains() {
    check_joint(false);
    check_joint(true);
}

/// The members of one training batch, with one timestep per sample.
struct Batch {
    x_0: Vec<f64>,
    y_0: Vec<f64>,
    eps_1: Vec<f64>,
    eps_2: Vec<f64>,
    t: [usize; 2],
}

impl Batch {
    fn new() -> Self {
        Self { x_0: wave(0.1), y_0: wave(0.9), eps_1: wave(1.7), eps_2: wave(3.1), t: [7, 801] }
    }

    /// Eq. (3) for values with the layout of the batch.
    fn noised(&self, clean: &[f64], eps: &[f64]) -> Vec<f64> {
        self.each(clean, eps, |a, c, e| a.sqrt() * c + (1.0 - a).sqrt() * e)
    }

    fn each(&self, a: &[f64], b: &[f64], f: impl Fn(f64, f64, f64) -> f64) -> Vec<f64> {
        (0..COUNT).map(|i| f(alpha_bar(self.t[i / (COUNT / 2)]), a[i], b[i])).collect()
    }

    /// The outputs of network `who`.
    fn answers(&self, who: &str, noisy: &[f64], guide: &[f64]) -> Vec<f64> {
        (0..COUNT).map(|i| answer(who, noisy[i], guide[i], self.t[i / (COUNT / 2)])).collect()
    }

    /// The correct outputs of the network.
    fn target(&self, kind: PredictionType, clean: &[f64], eps: &[f64]) -> Vec<f64> {
        self.each(clean, eps, |a, c, e| match kind {
            PredictionType::Epsilon => e,
            PredictionType::VPrediction => a.sqrt() * e - (1.0 - a).sqrt() * c,
            PredictionType::Sample => c,
        })
    }
}

const KINDS: [PredictionType; 3] = [PredictionType::Epsilon, PredictionType::VPrediction, PredictionType::Sample];

fn mean_square(a: &[f64], b: &[f64]) -> f64 {
    zip(a, b, |a, b| (a - b) * (a - b)).iter().sum::<f64>() / a.len() as f64
}

/// Algorithm 1: model_x is evaluated once, with (x_t of Eq. (9), y_t of Eq. (10), t), and the loss is line 6.
#[test]
fn algorithm_1_gives_the_noised_pair_and_returns_the_mean_square() {
    let (batch, schedule) = (Batch::new(), paper_schedule());
    let of = |v: &[f64]| tensor(v, DIMS, DType::F64);
    let (x_t, y_t) = (batch.noised(&batch.x_0, &batch.eps_1), batch.noised(&batch.y_0, &batch.eps_2));
    for kind in KINDS {
        let log = Log::default();
        let model = Recorder { who: "x", log: &log, kind };
        let pair = (&of(&batch.x_0), &of(&batch.y_0));
        let noise = (&of(&batch.eps_1), &of(&batch.eps_2));
        let loss = algorithm_1(&model, &schedule, pair, noise, &batch.t).into_scalar::<f64>();
        assert_events(&log.borrow(), &[Event::Network("x", x_t.clone(), y_t.clone(), batch.t.to_vec())]);
        let wanted = mean_square(&batch.target(kind, &batch.x_0, &batch.eps_1), &batch.answers("x", &x_t, &y_t));
        assert!((loss - wanted).abs() < 1e-12 * wanted, "{kind:?}: {loss}, expected {wanted}");
    }
}

/// model_y's error on one batch, value by value, with its condition passed on unchanged; and the released code's weight.
#[test]
fn conditional_error_is_the_square_by_value() {
    let (batch, schedule) = (Batch::new(), paper_schedule());
    let of = |v: &[f64]| tensor(v, DIMS, DType::F64);
    let y_t = batch.noised(&batch.y_0, &batch.eps_2);
    let condition: Vec<f64> = wave(4.0).iter().map(|v| 3.0 * v).collect();
    for kind in KINDS {
        let log = Log::default();
        let model = Recorder { who: "y", log: &log, kind };
        let (y_0, eps) = (of(&batch.y_0), of(&batch.eps_2));
        let error = conditional_error(&model, &schedule, &y_0, &eps, &of(&condition), &batch.t);
        assert_events(&log.borrow(), &[Event::Network("y", y_t.clone(), condition.clone(), batch.t.to_vec())]);
        let target = batch.target(kind, &batch.y_0, &batch.eps_2);
        let wanted = zip(&target, &batch.answers("y", &y_t, &condition), |a, b| (a - b) * (a - b));
        assert!(close(&values(&error), &wanted), "{kind:?}");
    }
    let weight = values(&sigmoid_guide_weight(&tensor(&[-1.0, 0.0, 1.0], [1, 1, 3, 1], DType::F64)));
    assert!(difference(&weight, &[0.268_941_421_369_995, 0.5, 0.731_058_578_630_005]) < 1e-14);
}

#[test]
fn joint_loss_is_the_mean_of_both_mean_squares() {
    let (batch, schedule) = (Batch::new(), paper_schedule());
    let of = |v: &[f64]| tensor(v, DIMS, DType::F64);
    let (x_t, y_t) = (batch.noised(&batch.x_0, &batch.eps_1), batch.noised(&batch.y_0, &batch.eps_2));
    for kind in KINDS {
        let log = Log::default();
        let pair = (&of(&batch.x_0), &of(&batch.y_0));
        let noise = (&of(&batch.eps_1), &of(&batch.eps_2));
        let (of_x, of_y) = joint_errors(&JointRecorder(&log, kind), &schedule, pair, noise, &batch.t);
        let loss = joint_loss(of_x.mean(), of_y.mean()).into_scalar::<f64>();
        assert_events(&log.borrow(), &[Event::Network("joint", x_t.clone(), y_t.clone(), batch.t.to_vec())]);
        let of_x = mean_square(&batch.target(kind, &batch.x_0, &batch.eps_1), &batch.answers("x", &x_t, &y_t));
        let of_y = mean_square(&batch.target(kind, &batch.y_0, &batch.eps_2), &batch.answers("y", &y_t, &x_t));
        let wanted = 0.5 * (of_x + of_y);
        assert!((loss - wanted).abs() < 1e-12 * wanted, "{kind:?}: {loss}, expected {wanted}");
    }
}
