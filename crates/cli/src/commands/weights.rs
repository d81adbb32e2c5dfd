//! `pig weights`.

use crate::{
    args::{Args, KindName, SampleVolume, WeightPrecision, Weights},
    terminal::device,
};
use pig_nn::pass::Precision;
use pig_train::{
    imported::{
        Model, ModelKind,
        export::export,
        import::{Request, Summary, import},
        verify::{Difference, verify},
        volume,
    },
    pruned::{Pruned, prune},
};
use std::process::ExitCode;

/// The name of the control network in a run that has one.
const CONTROL: &str = "control";

/// Imports, verifies or exports.
pub(crate) fn run(args: &Args, command: &Weights) -> anyhow::Result<ExitCode> {
    match command {
        Weights::Import(asked) => {
            let kind = match asked.kind {
                KindName::Auto => None,
                KindName::UNet => Some(ModelKind::UNet),
                KindName::Autoencoder => Some(ModelKind::Autoencoder),
                KindName::ControlNet => Some(ModelKind::ControlNet),
                KindName::Inception => Some(ModelKind::Inception),
            };
            let request = Request {
                source: asked.source.clone(),
                kind,
                entry: asked.entry.clone(),
                sets: asked.sets.clone(),
                out: asked.out.clone(),
            };
            print_import(args, asked.out.as_path(), &import(&request)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Weights::Verify(asked) => {
            let model = Model::open(&asked.model, asked.network.as_deref())?;
            let control = asked.control.as_deref().map(|path| Model::open(path, Some(CONTROL))).transpose()?;
            let found = verify(&model, control.as_ref(), &asked.reference, &device(args)?)?;
            // NaN does not count as equal.
            let equal = found.relative <= asked.tolerance;
            print_verify(args, &found, asked.tolerance, equal)?;
            Ok(if equal { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        Weights::SampleVolume(asked) => sample_volume(args, asked),
        Weights::Prune(asked) => {
            let precision = match asked.precision {
                WeightPrecision::F32 => Precision::F32,
                WeightPrecision::Bf16 => Precision::Bf16,
            };
            let Pruned { before, after } = prune(&asked.run, &asked.out, precision)?;
            if args.machine.json {
                let json = serde_json::json!({ "out": asked.out, "bytes_before": before, "bytes_after": after });
                println!("{}", serde_json::to_string_pretty(&json)?);
            } else {
                let megabytes = |bytes: u64| bytes as f64 / 1e6;
                println!(
                    "{}: weights of {:.1} MB, where the checkpoints of {} take {:.1} MB",
                    asked.out.display(),
                    megabytes(after),
                    asked.run.display(),
                    megabytes(before)
                );
            }
            Ok(ExitCode::SUCCESS)
        }
        Weights::Export(asked) => {
            let model = Model::open(&asked.model, asked.network.as_deref())?;
            let class = export(&model, &asked.out)?;
            if args.machine.json {
                println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "out": asked.out, "class": class }))?);
            } else {
                println!("{}: diffusers' {class}", asked.out.display());
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn sample_volume(args: &Args, asked: &SampleVolume) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        !asked.out.exists(),
        "{}: the file exists and is never overwritten; choose another --out",
        asked.out.display()
    );
    let request = volume::Request {
        unet: asked.unet.clone(),
        control: asked.control.clone(),
        autoencoder: asked.autoencoder.clone(),
        inputs: asked.inputs.clone(),
        seed: asked.seed,
        sets: asked.sets.clone(),
    };
    let sampled = volume::sample(&request, &device(args)?, &mut |_| {})?;
    volume::write(&sampled, &asked.out)?;
    let [channels, depth, height, width] = sampled.shape;
    if args.machine.json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "out": asked.out, "shape": sampled.shape }))?);
    } else {
        println!("{}: a volume of {depth} x {height} x {width} voxels, {channels} channel(s)", asked.out.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn print_import(args: &Args, out: &std::path::Path, summary: &Summary) -> anyhow::Result<()> {
    let Summary { description, parameters, schedule_is_assumed } = summary;
    let warning = format!(
        "only outputs of the source prove that this model computes the same: pig weights verify {} --reference STORED.npz",
        out.display()
    );
    if args.machine.json {
        let json = serde_json::json!({
            "model": out,
            "kind": description.kind,
            "layout": description.layout,
            "parameters": parameters,
            "source_sha256": description.source_sha256,
            "sha256": description.sha256,
            "unet": description.unet,
            "autoencoder": description.autoencoder,
            "controlnet": description.controlnet,
            "schedule_is_assumed": schedule_is_assumed,
            "warning": warning,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(());
    }
    println!(
        "{}: {} of {}'s layout, {parameters} parameters",
        out.display(),
        description.kind.word(),
        description.layout
    );
    println!("SHA-256 of the source: {}", description.source_sha256);
    println!("SHA-256 of the model:  {}", description.sha256);
    if let Some(unet) = description.unet.as_ref().filter(|_| *schedule_is_assumed) {
        eprintln!(
            "warning: the source has no scheduler_config.json: a schedule of {} steps and the prediction type {} are assumed, which no \
             output of the network shows; if it was trained with others, give them: --set schedule.num_train_timesteps=1000, \
             --set unet.prediction_type=v_prediction",
            unet.schedule.num_train_timesteps,
            serde_json::json!(unet.network.prediction_type)
        );
    }
    eprintln!("warning: {warning}");
    Ok(())
}

fn print_verify(args: &Args, found: &Difference, tolerance: f64, equal: bool) -> anyhow::Result<()> {
    let Difference { absolute, relative, values } = found;
    if args.machine.json {
        let json = serde_json::json!({
            "largest_absolute": absolute, "largest_relative": relative, "values": values, "tolerance": tolerance,
            "equal": equal,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        let verdict = if equal { "equal" } else { "different" };
        println!(
            "{verdict} within {tolerance:e}: largest difference {absolute:.3e}, {relative:.3e} of the largest value, {values} values"
        );
    }
    Ok(())
}
