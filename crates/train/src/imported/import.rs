//! `pig weights import`: turns a weights file from elsewhere into a model folder.

use crate::{
    Error, Result,
    config::Layers,
    imported::{
        AutoencoderDescription, ControlNetDescription, Description, Model, ModelKind, UNetDescription, diffusers,
        model::FORMAT, settings::Settings,
    },
    run_dir::RunDir,
};
use pig_nn::{autoencoder::AutoencoderConfig, config::UNetConfig, control::ControlConfig};
use pig_weights::{
    file,
    layouts::{self, AutoencoderShape, ConditionShape, Kind, Layout, Named, UNetShape},
};
use std::path::PathBuf;

/// A request to `pig weights import`.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The file, or the folder of diffusers that contains it.
    pub source: PathBuf,
    /// The kind of model that the file must hold; without it, any known kind.
    pub kind: Option<ModelKind>,
    /// Which state dictionary to read, if the file has several.
    pub entry: Option<String>,
    /// Settings that override those of the source, such as `unet.norm_num_groups=16`. A control network's base is `unet` here.
    pub sets: Vec<String>,
    /// The folder to write.
    pub out: PathBuf,
}

/// The result of an import.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The description of the model.
    pub description: Description,
    /// Number of values.
    pub parameters: usize,
    /// Whether the schedule of a U-Net is pig's default, because neither the source nor the user says one.
    pub schedule_is_assumed: bool,
}

/// Reads, renames, checks and writes a model. Nothing is written unless every array has its place in the network.
pub fn import(request: &Request) -> Result<Summary> {
    RunDir::check_new_results(&request.out)?;
    let source = diffusers::locate(&request.source)?;
    let weights = file::read(&source.weights, request.entry.as_deref())?;
    let path = source.weights.as_path();
    let bad = |problem: String| Error::BadFile {
        path: path.to_owned(),
        problem,
        advice: "see `pig weights import --help` for what can be imported",
    };
    let named = layouts::rename(weights.arrays).map_err(bad)?;
    let kind = match named.kind {
        Kind::UNet => ModelKind::UNet,
        Kind::Autoencoder => ModelKind::Autoencoder,
        Kind::ControlNet => ModelKind::ControlNet,
        Kind::Inception => ModelKind::Inception,
    };
    if let Some(wanted) = request.kind.filter(|&wanted| wanted != kind) {
        return Err(Error::Mismatch {
            what: "--kind",
            found: kind.word().to_owned(),
            expected: wanted.word().to_owned(),
            advice: "give the kind that the file holds, or another file",
        });
    }
    let layout = named.layout.word().to_owned();
    // The released code has one schedule, which is pig's default.
    let is_told = source.scheduler.is_some() || request.sets.iter().any(|set| set.starts_with("schedule."));
    let schedule_is_assumed = kind == ModelKind::UNet && named.layout != Layout::Released && !is_told;
    let mut description = Description {
        format: FORMAT,
        kind,
        layout,
        source_sha256: weights.sha256,
        sha256: String::new(),
        unet: None,
        autoencoder: None,
        controlnet: None,
    };
    match kind {
        ModelKind::UNet => description.unet = Some(unet_description(&named, &source, &request.sets)?),
        ModelKind::Autoencoder => {
            description.autoencoder = Some(autoencoder_description(&named, &source, &request.sets)?);
        }
        ModelKind::ControlNet => description.controlnet = Some(controlnet_description(&named, &source, &request.sets)?),
        ModelKind::Inception => {}
    }
    let model = Model { description, arrays: named.arrays, path: source.weights.clone() };
    model.check()?;
    let parameters = model.arrays.values().map(|array| array.values.len()).sum();
    Ok(Summary { description: model.save(&request.out)?, parameters, schedule_is_assumed })
}

/// The U-Net's description. Sizes come from the arrays, the rest from config.json or the conventions of the layout; the user's settings
/// override them.
fn unet_description(named: &Named, source: &diffusers::Source, sets: &[String]) -> Result<UNetDescription> {
    let shape = UNetShape::of(&named.arrays).map_err(|problem| cannot_build(source, problem))?;
    let mut settings = Settings { unet: unet_words(&shape, named.layout, source)?, ..Settings::default() };
    if let Some(scheduler) = &source.scheduler {
        diffusers::read_scheduler(scheduler, &mut settings)?;
    }
    let settings = told(sets, &settings)?;
    Ok(UNetDescription {
        in_channels: shape.in_channels,
        out_channels: shape.out_channels,
        network: settings.unet,
        schedule: settings.schedule,
    })
}

/// A control network's description, made in the same way.
fn controlnet_description(named: &Named, source: &diffusers::Source, sets: &[String]) -> Result<ControlNetDescription> {
    let bad = |problem: String| cannot_build(source, problem);
    let shape = UNetShape::of(&named.arrays).map_err(bad)?;
    let condition = ConditionShape::of(&named.arrays).map_err(bad)?;
    let settings = Settings { unet: unet_words(&shape, named.layout, source)?, ..Settings::default() };
    Ok(ControlNetDescription {
        in_channels: shape.in_channels,
        condition_channels: condition.channels,
        // Both diffusers and MONAI halve the condition at each change of channels.
        condition_stride: 2,
        base: told(sets, &settings)?.unet,
        control: ControlConfig { conditioning_embedding_out_channels: condition.out_channels },
    })
}

/// An autoencoder's description, made in the same way.
fn autoencoder_description(
    named: &Named,
    source: &diffusers::Source,
    sets: &[String],
) -> Result<AutoencoderDescription> {
    let shape = AutoencoderShape::of(&named.arrays).map_err(|problem| cannot_build(source, problem))?;
    let is_maisi = named.layout == Layout::Maisi;
    let (habits, scaling_factor) = match &source.config {
        Some(config) if named.layout == Layout::Diffusers => diffusers::autoencoder_words(config)?,
        _ => {
            let final_silu = named.layout != Layout::Monai && !is_maisi;
            (AutoencoderConfig { final_silu, linear_upsampling: is_maisi, ..AutoencoderConfig::default() }, 1.0)
        }
    };
    let autoencoder = AutoencoderConfig {
        block_out_channels: shape.block_out_channels,
        layers_per_block: shape.layers_per_block,
        decoder_layers_per_block: Some(shape.decoder_layers_per_block),
        attention_levels: shape.attention_levels,
        mid_block: shape.mid_block,
        latent_channels: shape.latent_channels,
        spatial_dims: shape.spatial_dims,
        ..habits
    };
    let told = told(sets, &Settings { autoencoder, ..Settings::default() })?;
    let scaling_factor = told.scaling_factor.unwrap_or(scaling_factor);
    if !(scaling_factor.is_finite() && scaling_factor > 0.0) {
        let (key, expected) = ("scaling_factor".to_owned(), "a number above 0".to_owned());
        return Err(Error::Setting { key, found: scaling_factor.to_string(), expected });
    }
    Ok(AutoencoderDescription { channels: shape.channels, scaling_factor, network: told.autoencoder })
}

fn told(sets: &[String], settings: &Settings) -> Result<Settings> {
    Ok(Layers { file: None, sets: sets.to_vec() }.over_settings(settings)?)
}

fn cannot_build(source: &diffusers::Source, problem: String) -> Error {
    Error::BadFile { path: source.weights.clone(), problem, advice: "pig cannot build such a network" }
}

/// The settings of a U-Net of this shape, before those of the user.
fn unet_words(shape: &UNetShape, layout: Layout, source: &diffusers::Source) -> Result<UNetConfig> {
    let habits = match layout {
        Layout::Released => UNetConfig::default(),
        // MONAI has the numbers of groups and heads in its own configuration, which no checkpoint holds.
        Layout::Monai => {
            UNetConfig { downsample_padding: 1, flip_sin_to_cos: true, freq_shift: 0.0, ..UNetConfig::default() }
        }
        _ => match &source.config {
            Some(config) => diffusers::unet_words(config, shape)?,
            None => diffusers::defaults(),
        },
    };
    Ok(UNetConfig {
        block_out_channels: shape.block_out_channels.clone(),
        layers_per_block: shape.layers_per_block,
        attention_levels: shape.attention_levels.clone(),
        up_attention_levels: shape.up_attention_levels.clone(),
        mid_layers: shape.mid_layers,
        mid_attention: shape.mid_attention,
        num_class_embeds: shape.num_class_embeds,
        spatial_dims: shape.spatial_dims,
        // Of MONAI's U-Nets only MAISI's has these inputs, and only it changes its last skip connection in place.
        control_before_middle: shape.volume_inputs.contains(&true),
        include_top_region_index_input: shape.volume_inputs[0],
        include_bottom_region_index_input: shape.volume_inputs[1],
        include_spacing_input: shape.volume_inputs[2],
        ..habits
    })
}
