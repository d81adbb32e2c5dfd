//! pig's side of `bench/run` and `bench/gpu`: one process runs one case after the other. It reads requests as JSON lines on stdin and answers
//! as JSON lines on stdout.
//!
//! | request | what it does | answer |
//! |---|---|---|
//! | `{"do": "load", "case": {..}}` | builds networks and inputs on the case's device or the CPU | `{"parameters": .., "flops": .., "threads": .., "device": ..}` |
//! | `{"do": "run", "count": 3}` | runs that many steps | `{"seconds": [..]}` |
//! | `{"do": "outputs", "path": ".."}` | runs one step from the first weights, writes its results as safetensors | `{}` |
//! | `{"do": "peak"}` | measures the present arithmetic peak | `{"f32": .., "bf16": .., "level": ..}` |
//!
//! The answer to a request that cannot be met is `{"unsupported": why}`. `bench/torch_worker.py` uses the same protocol. Both derive
//! weights and inputs from names by the rule in `tests/peers/README.md`. `RAYON_NUM_THREADS` sets the number of threads.

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use pig_diffusion::{
    guide::PredictedX0,
    noise::{NoiseSource, Stream},
    pair::algorithm_2,
    schedule::{Schedule, ScheduleConfig},
    step::Ddim,
    timesteps::Timesteps,
};
use pig_kernels::{Level, peak};
use pig_nn::{
    config::UNetConfig,
    cost::forward_flops,
    network::Network,
    ops::is_cpu,
    parameters::{self, name_hash},
    pass::{Pass, Precision},
    unet::UNet,
};
use pig_optim::{
    OptimizerKind, Updates,
    host::{NamedGradients, added, collected},
};
use pig_train::{
    config::TrainConfig,
    role::Role,
    sampler,
    workers::{Workers, parts},
};
use pig_weights::{Array, StateDict};
use safetensors::{Dtype, tensor::TensorView};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    error::Error,
    io::{BufRead, IsTerminal, Stdin, Write},
    path::{Path, PathBuf},
    time::Instant,
};

/// What is written for comparison: shape and values by name.
type Outputs = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "there is one request at a time")]
enum Request {
    Load { case: Case },
    Run { count: usize },
    Outputs { path: PathBuf },
    Peak,
}

/// A case of `bench/cases.toml` in one precision.
#[derive(Clone, Deserialize)]
struct Case {
    work: Work,
    unet: UNetConfig,
    batch: usize,
    size: [usize; 2],
    precision: Precision,
    /// The network time of each sample, counted from 0; for [`Work::Forward`] and [`Work::Train`].
    times: Vec<f32>,
    /// The timestep from which the one step of [`Work::Algorithm2`] goes to 0.
    t: usize,
    learning_rate: f64,
    /// The device that computes, as `pig --device` takes it.
    #[serde(default = "cpu")]
    device: String,
}

fn cpu() -> String {
    "cpu".to_owned()
}

impl Case {
    fn pass(&self) -> Pass {
        Pass { precision: self.precision, ..Pass::default() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Work {
    Forward,
    Train,
    #[serde(rename = "algorithm-2")]
    Algorithm2,
}

fn main() -> Result<(), Box<dyn Error>> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!("this program waits for requests of bench/run; start that instead");
        return Ok(());
    }
    // This runs in a thread of the pool, as the computations of `pig` do.
    rayon::scope(|_| serve(&stdin).map_err(|error| error.to_string()))?;
    Ok(())
}

fn serve(requests: &Stdin) -> Result<(), Box<dyn Error>> {
    let mut job = None;
    for line in requests.lock().lines() {
        let answer = answer(serde_json::from_str(&line?)?, &mut job)?;
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{answer}")?;
        stdout.flush()?;
    }
    Ok(())
}

fn answer(request: Request, job: &mut Option<Job>) -> Result<Value, Box<dyn Error>> {
    match (request, job) {
        (Request::Load { case }, job) => {
            let opened = match case.device.parse().and_then(pig_device::open) {
                Ok(opened) => opened,
                Err(error) => return Ok(json!({ "unsupported": error.to_string() })),
            };
            if case.precision.on(&opened.device) != case.precision {
                return Ok(json!({ "unsupported": "this processor has no bf16 products" }));
            }
            let (flops, device) = (flops(&case), format!("{} ({})", opened.label(), opened.name));
            // The memory of the previous case is free before this one takes its own.
            *job = None;
            let loaded = job.insert(Job::new(case, opened.device)?);
            let parameters: usize = loaded.networks().into_iter().map(parameters::count).sum();
            let threads = rayon::current_num_threads();
            Ok(json!({ "parameters": parameters, "flops": flops, "threads": threads, "device": device }))
        }
        (Request::Peak, _) => {
            let level = Level::best();
            Ok(json!({ "f32": peak::f32_flops(level), "bf16": peak::bf16_flops(level), "level": level.name() }))
        }
        (Request::Run { count }, Some(job)) => {
            let seconds = (0..count).map(|_| job.timed_step()).collect::<Result<Vec<f64>, _>>()?;
            Ok(json!({ "seconds": seconds }))
        }
        (Request::Outputs { path }, Some(job)) => {
            write(&path, &Job::new(job.case.clone(), job.device.clone())?.outputs())?;
            Ok(json!({}))
        }
        (Request::Run { .. } | Request::Outputs { .. }, None) => Err("no case was loaded".into()),
    }
}

/// Operations of one step. A backward pass counts as two forward passes: the gradients with respect to the data and to the weights.
fn flops(case: &Case) -> f64 {
    let passes = match case.work {
        Work::Forward => 1.0,
        Work::Algorithm2 => 2.0,
        Work::Train => 3.0,
    };
    passes * case.batch as f64 * forward_flops(&case.unet, Role::ModelX.channels(1, 1), [1, case.size[0], case.size[1]])
}

/// A loaded case, and the workers among which `pig` would divide its batch.
struct Job {
    case: Case,
    device: Device,
    kind: Kind,
    workers: Workers,
}

#[expect(clippy::large_enum_variant, reason = "a process holds one")]
enum Kind {
    Forward { unet: UNet, x: Tensor<4> },
    Train { unet: Option<UNet>, x: Tensor<4>, target: Tensor<4>, updates: Option<Updates>, step: usize },
    Algorithm2 { model_x: UNet, model_y: UNet, x: Tensor<4>, y: Tensor<4>, schedule: Schedule },
}

impl Job {
    fn new(case: Case, device: Device) -> Result<Self, Box<dyn Error>> {
        let images = |name, channels| images(name, [case.batch, channels, case.size[0], case.size[1]], &device);
        let network = |role: Role, prefix| -> Result<UNet, Box<dyn Error>> {
            Ok(filled(UNet::new(&case.unet, role.channels(1, 1), &device)?, prefix)?)
        };
        let kind = match case.work {
            Work::Forward => Kind::Forward { unet: network(Role::ModelX, "")?, x: images("input.x", 2) },
            // The optimiser allocates its memory in the first step, as PyTorch's does.
            Work::Train => Kind::Train {
                unet: Some(network(Role::ModelX, "")?.train()),
                x: images("input.x", 2),
                target: images("target", 1),
                updates: None,
                step: 0,
            },
            Work::Algorithm2 => Kind::Algorithm2 {
                model_x: network(Role::ModelX, "model_x.")?,
                model_y: network(Role::ModelY, "model_y.")?,
                x: images("x_T", 1),
                y: images("y_T", 1),
                schedule: Schedule::new(&ScheduleConfig::default())?,
            },
        };
        let most = match case.work {
            Work::Train => case.batch.div_ceil(samples_at_once(&case, &device)),
            Work::Algorithm2 if is_cpu(&device) => case.batch,
            Work::Forward | Work::Algorithm2 => 1,
        };
        Ok(Self { case, device, kind, workers: Workers::new(most) })
    }

    fn networks(&self) -> Vec<&UNet> {
        match &self.kind {
            Kind::Forward { unet, .. } => vec![unet],
            Kind::Train { unet, .. } => unet.iter().collect(),
            Kind::Algorithm2 { model_x, model_y, .. } => vec![model_x, model_y],
        }
    }

    /// Seconds of one step, until the device has finished it.
    fn timed_step(&mut self) -> Result<f64, Box<dyn Error>> {
        let start = Instant::now();
        match &mut self.kind {
            Kind::Forward { unet, x } => {
                unet.forward(x.clone(), &self.case.times, &self.case.pass()).into_data();
            }
            Kind::Train { unet, x, target, updates, step } => {
                // The network is taken out, so that the optimiser changes its values in place.
                if let Some(network) = unet.take() {
                    let new = || Updates::new(&adam().optim(), &network, &self.device);
                    let updates = updates.get_or_insert_with(new);
                    if updates.is_on_host() {
                        updates.add(gradients(&network, x, target, &self.case, &self.workers, &self.device).2);
                    } else {
                        // Outside the host's memory, gradients stay on the device.
                        let output = network.forward(x.clone(), &self.case.times, &self.case.pass());
                        let loss = (output - target.clone()).square().mean();
                        updates.accumulate(&network, &mut loss.backward(), 1.0);
                    }
                    *unet = Some(updates.step(network, self.case.learning_rate, *step));
                    *step += 1;
                }
            }
            Kind::Algorithm2 { model_x, model_y, x, y, schedule } => {
                let parts = one_step(&self.case, (model_x, model_y), (x, y), schedule, &self.workers, &self.device);
                for (x_0, y_0) in parts {
                    x_0.into_data();
                    y_0.into_data();
                }
            }
        }
        self.device.sync().map_err(|error| format!("{error:?}"))?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// What one step of a freshly loaded case computes.
    fn outputs(&self) -> Outputs {
        match &self.kind {
            Kind::Forward { unet, x } => {
                let output = unet.forward(x.clone(), &self.case.times, &self.case.pass());
                Outputs::from([("output".to_owned(), channels_first(output))])
            }
            Kind::Train { unet, x, target, .. } => {
                let Some(unet) = unet else { return Outputs::new() };
                let (output, loss, gradients) = gradients(unet, x, target, &self.case, &self.workers, &self.device);
                let flat = |values: Vec<f32>| (vec![values.len()], values);
                let mut outputs: Outputs =
                    gradients.into_iter().map(|(name, values)| (format!("grad.{name}"), flat(values))).collect();
                outputs.insert("output".to_owned(), channels_first(output));
                outputs.insert("loss".to_owned(), flat(vec![loss]));
                outputs
            }
            Kind::Algorithm2 { model_x, model_y, x, y, schedule } => {
                let parts = one_step(&self.case, (model_x, model_y), (x, y), schedule, &self.workers, &self.device);
                let (x_0, y_0): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
                let (x_0, y_0) = (Tensor::cat(x_0, 0), Tensor::cat(y_0, 0));
                Outputs::from([("x_0".to_owned(), channels_first(x_0)), ("y_0".to_owned(), channels_first(y_0))])
            }
        }
    }
}

/// The outputs, the loss and the gradients of a part of a batch.
type Part = (Vec<Tensor<4>>, f32, NamedGradients);

/// The samples that `pig train` takes through the network at once: a micro-batch on the CPU, the whole batch on other devices.
fn samples_at_once(case: &Case, device: &Device) -> usize {
    if is_cpu(device) { TrainConfig::default().micro_batch_size } else { case.batch }
}

/// Forward pass, mean squared error, backward pass, in the parts of `pig train`: the output, the loss, and the gradients of all
/// parameters on the host.
fn gradients(
    unet: &UNet,
    x: &Tensor<4>,
    target: &Tensor<4>,
    case: &Case,
    workers: &Workers,
    device: &Device,
) -> (Tensor<4>, f32, NamedGradients) {
    let (values, parts) = (unet.valid(), parts(case.batch, samples_at_once(case, device)));
    let of_part = |index: usize| {
        let part = parts[index].clone();
        let rows = |tensor: &Tensor<4>| tensor.clone().narrow(0, part.start, part.len());
        let unet = values.clone().train();
        let output = unet.forward(rows(x), &case.times[part.clone()], &case.pass());
        let share = part.len() as f32 / case.batch as f32;
        let loss = (output.clone() - rows(target)).square().mean();
        let gradients = collected(&unet, &mut loss.backward(), share);
        (vec![output.inner()], share * loss.inner().into_scalar::<f32>(), gradients)
    };
    let add = |(a, loss, first): Part, (b, other, second): Part| ([a, b].concat(), loss + other, added(first, second));
    let sum = workers.sum(parts.len(), add, of_part);
    let (outputs, loss, gradients) = sum.expect("a case has samples");
    (Tensor::cat(outputs, 0), loss, gradients)
}

/// The settings of PyTorch's Adam, without an average of the weights.
fn adam() -> TrainConfig {
    TrainConfig { optimizer: OptimizerKind::Adam, weight_decay: 0.0, ema_decay: 0.0, ..TrainConfig::default() }
}

/// Algorithm 2 with one kept timestep: the results of each worker's samples.
fn one_step(
    case: &Case,
    (model_x, model_y): (&UNet, &UNet),
    (x, y): (&Tensor<4>, &Tensor<4>),
    schedule: &Schedule,
    workers: &Workers,
    device: &Device,
) -> Vec<(Tensor<4>, Tensor<4>)> {
    let [_, height, width, _] = x.dims();
    let at_once =
        if is_cpu(device) { sampler::samples_at_once(case.batch, height * width, workers) } else { case.batch };
    let parts = parts(case.batch, at_once);
    workers.map(parts.len(), |index| {
        let part = parts[index].clone();
        let rows = |tensor: &Tensor<4>| tensor.clone().narrow(0, part.start, part.len());
        let noise = NoiseSource::new(0, part.clone().map(|id| id as u64).collect(), device);
        let ddim = |stream| Ddim { schedule, eta: 0.0, set_alpha_to_one: true, noise: (noise.clone(), stream) };
        algorithm_2(
            &Network::new(model_x, &case.unet).with_precision(case.precision),
            &Network::new(model_y, &case.unet).with_precision(case.precision),
            schedule,
            &Timesteps::from_kept(&[case.t]),
            &PredictedX0,
            (&mut ddim(Stream::X), &mut ddim(Stream::Y)),
            (rows(x), rows(y)),
            &mut |_| {},
        )
    })
}

/// The rule for weights that the peers use: the elements of the tensor `name`, from FNV-1a and splitmix64.
fn fill(name: &str, count: usize, scale: f64, shift: f64) -> Vec<f32> {
    let hash = name_hash(name);
    let value = |i: u64| {
        let mut z = hash.wrapping_add(i).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let uniform = (z >> 11) as f64 / (1_u64 << 53) as f64;
        ((2.0 * uniform - 1.0) * scale + shift) as f32
    };
    (0..count as u64).map(value).collect()
}

/// Fills every parameter from `prefix` and its name, with the scale that the rule has for its shape.
fn filled(unet: UNet, prefix: &str) -> Result<UNet, parameters::ParameterError> {
    let named = |(name, array): (String, Array)| {
        let (scale, shift) = match array.shape.as_slice() {
            [_, rest @ ..] if !rest.is_empty() => ((3.0 / rest.iter().product::<usize>() as f64).sqrt(), 0.0),
            _ if name.ends_with(".weight") => (0.2, 1.0),
            _ => (0.1, 0.0),
        };
        let values = fill(&format!("{prefix}{name}"), array.values.len(), scale, shift);
        (name, Array { shape: array.shape, values })
    };
    let arrays: StateDict = parameters::export(&unet).into_iter().map(named).collect();
    parameters::import(unet, &arrays)
}

/// The input `name`: filled as `[batch, channels, height, width]`, returned as `[batch, height, width, channels]`.
fn images(name: &str, [batch, channels, height, width]: [usize; 4], device: &Device) -> Tensor<4> {
    let pixels = height * width;
    let values = fill(name, batch * channels * pixels, 1.0, 0.0);
    let at = |i: usize| {
        let (sample, pixel, channel) = (i / (pixels * channels), i / channels % pixels, i % channels);
        values[(sample * channels + channel) * pixels + pixel]
    };
    let moved: Vec<f32> = (0..values.len()).map(at).collect();
    Tensor::from_data(TensorData::new(moved, [batch, height, width, channels]), device)
}

/// Shape and values of `[batch, height, width, channels]` in PyTorch's order, `[batch, channels, height, width]`.
fn channels_first(tensor: Tensor<4>) -> (Vec<usize>, Vec<f32>) {
    let tensor = tensor.permute([0, 3, 1, 2]);
    let shape = tensor.dims().to_vec();
    (shape, tensor.into_data().try_into_vec::<f32>().expect("networks compute in f32"))
}

fn write(path: &Path, outputs: &Outputs) -> Result<(), Box<dyn Error>> {
    let bytes = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let stored: BTreeMap<&String, (&Vec<usize>, Vec<u8>)> =
        outputs.iter().map(|(name, (shape, values))| (name, (shape, bytes(values)))).collect();
    let views: BTreeMap<&String, TensorView<'_>> = stored
        .iter()
        .map(|(name, (shape, data))| Ok((*name, TensorView::new(Dtype::F32, (*shape).clone(), data)?)))
        .collect::<Result<_, safetensors::SafeTensorError>>()?;
    Ok(safetensors::serialize_to_file(views, None, path)?)
}
