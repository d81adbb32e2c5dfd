//! diffusers' folders: the places of the files, and the contents of config.json and scheduler_config.json.

use crate::{Error, Result, imported::settings::Settings};
use pig_nn::{autoencoder::AutoencoderConfig, config::UNetConfig};
use pig_weights::layouts::UNetShape;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// File names of the weights in a folder, in order of preference.
pub(crate) const WEIGHTS: [&str; 2] = ["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"];
/// Names of the index of weights in several files, taken if there is none of [`WEIGHTS`].
const INDEXES: [&str; 2] = ["diffusion_pytorch_model.safetensors.index.json", "diffusion_pytorch_model.bin.index.json"];
pub(crate) const CONFIG: &str = "config.json";
const SCHEDULER: &str = "scheduler_config.json";
/// The default of `AutoencoderKL`.
const DEFAULT_SCALING_FACTOR: f64 = 0.18215;

/// The files of a source.
#[derive(Debug)]
pub(crate) struct Source {
    /// The arrays.
    pub(crate) weights: PathBuf,
    /// config.json, if there is one.
    pub(crate) config: Option<Json>,
    /// scheduler_config.json, if there is one.
    pub(crate) scheduler: Option<Json>,
}

/// A JSON object with its file.
#[derive(Debug)]
pub(crate) struct Json {
    path: PathBuf,
    object: Map<String, Value>,
}

impl Json {
    fn read(path: &Path) -> Result<Option<Self>> {
        if !path.is_file() {
            return Ok(None);
        }
        let text = pig_files::read(path).map_err(Error::io(path, "read"))?;
        // Editors of Windows begin a file with a byte order mark.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        let object = serde_json::from_slice(text).map_err(|error| Error::BadFile {
            path: path.to_owned(),
            problem: error.to_string(),
            advice: "download it again; it must be one JSON object",
        })?;
        Ok(Some(Self { path: path.to_owned(), object }))
    }

    fn wrong(&self, key: &str, expected: &str) -> Error {
        let found = self.object.get(key).map_or("nothing".to_owned(), Value::to_string);
        Error::BadFile {
            path: self.path.clone(),
            problem: format!("{key} = {found}, expected {expected}"),
            advice: "pig cannot build such a network",
        }
    }

    /// The value at `key`; null counts as none.
    fn get(&self, key: &str) -> Option<&Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    fn number(&self, key: &str, default: f64) -> Result<f64> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_f64().ok_or_else(|| self.wrong(key, "a number")),
        }
    }

    fn whole(&self, key: &str, default: usize) -> Result<usize> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_u64().map(|n| n as usize).ok_or_else(|| self.wrong(key, "a whole number")),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong(key, "true or false")),
        }
    }

    /// Fails unless the value is absent, null or one of `known`.
    fn only(&self, key: &str, known: &[Value]) -> Result<()> {
        match self.get(key) {
            Some(value) if !known.contains(value) => {
                let words: Vec<String> = known.iter().map(Value::to_string).collect();
                Err(self.wrong(key, &format!("nothing or {}", words.join(" or "))))
            }
            _ => Ok(()),
        }
    }
}

/// The files of `source`, which is a weights file or a folder. If the folder has a subfolder `unet`, the files are read from there.
pub(crate) fn locate(source: &Path) -> Result<Source> {
    let folder = if source.is_dir() {
        let inner = source.join("unet");
        if inner.is_dir() { inner } else { source.to_owned() }
    } else {
        source.parent().map(Path::to_owned).unwrap_or_default()
    };
    let weights = if source.is_dir() {
        let found = WEIGHTS.iter().chain(&INDEXES).map(|name| folder.join(name)).find(|path| path.is_file());
        found.ok_or_else(|| Error::BadFile {
            path: folder.clone(),
            problem: format!("has neither {} nor {}, nor an index of several files", WEIGHTS[0], WEIGHTS[1]),
            advice: "give the file itself, or a folder that diffusers wrote",
        })?
    } else {
        source.to_owned()
    };
    // Pipelines of one network, such as google/ddpm-cat-256, hold all files in one folder; others have one beside the network's.
    let mut scheduler = Json::read(&folder.join(SCHEDULER))?;
    if let (None, Some(pipeline)) = (&scheduler, folder.parent()) {
        scheduler = Json::read(&pipeline.join("scheduler").join(SCHEDULER))?;
    }
    Ok(Source { weights, config: Json::read(&folder.join(CONFIG))?, scheduler })
}

/// The defaults of `UNet2DModel`.
pub(crate) fn defaults() -> UNetConfig {
    UNetConfig {
        attention_head_dim: Some(8),
        norm_eps: 1e-5,
        downsample_padding: 1,
        flip_sin_to_cos: true,
        freq_shift: 0.0,
        ..UNetConfig::default()
    }
}

/// The settings of config.json that do not follow from the arrays. A setting that pig's U-Net does not have is refused by name.
pub(crate) fn unet_words(json: &Json, shape: &UNetShape) -> Result<UNetConfig> {
    let text = |word: &str| Value::from(word);
    json.only("_class_name", &[text("UNet2DModel"), text("UNet2DConditionModel"), text("ControlNetModel")])?;
    json.only("act_fn", &[text("silu"), text("swish")])?;
    json.only("time_embedding_type", &[text("positional")])?;
    json.only("resnet_time_scale_shift", &[text("default")])?;
    json.only("downsample_type", &[text("conv")])?;
    json.only("upsample_type", &[text("conv")])?;
    json.only("mid_block_type", &[text("UNetMidBlock2D")])?;
    json.only("mid_block_scale_factor", &[Value::from(1), Value::from(1.0)])?;
    json.only("center_input_sample", &[Value::from(false)])?;
    json.only("conv_in_kernel", &[Value::from(3)])?;
    json.only("conv_out_kernel", &[Value::from(3)])?;
    for key in
        ["addition_embed_type", "class_embed_type", "time_cond_proj_dim", "encoder_hid_dim", "time_embedding_act_fn"]
    {
        json.only(key, &[])?;
    }
    let levels = shape.block_out_channels.len();
    let of_decoder = shape.up_attention_levels.as_ref().unwrap_or(&shape.attention_levels);
    for (key, plain, attending, attends) in [
        ("down_block_types", "DownBlock2D", "AttnDownBlock2D", &shape.attention_levels),
        ("up_block_types", "UpBlock2D", "AttnUpBlock2D", of_decoder),
    ] {
        let attends = |level: usize| attends.contains(&level);
        let level = |index: usize| if key == "up_block_types" { levels - 1 - index } else { index };
        let wanted: Vec<&str> =
            (0..levels).map(|index| if attends(level(index)) { attending } else { plain }).collect();
        json.only(key, &[Value::from(wanted)])?;
    }
    let groups = json.whole("norm_num_groups", UNetConfig::default().norm_num_groups)?;
    json.only("attn_norm_num_groups", &[Value::from(groups)])?;
    let default = defaults();
    let heads = match json.object.get("attention_head_dim") {
        Some(Value::Null) => None,
        None => default.attention_head_dim,
        // One head with all channels, at each level.
        Some(Value::Array(widths)) if *widths == shape.block_out_channels => None,
        // A list has one number per level; here all must be equal.
        Some(Value::Array(widths)) if widths.iter().all(|width| Some(width) == widths.first()) => {
            widths.first().and_then(Value::as_u64).map(|width| width as usize)
        }
        Some(Value::Number(_)) => Some(json.whole("attention_head_dim", 0)?),
        Some(_) => return Err(json.wrong("attention_head_dim", "one number for all levels")),
    };
    Ok(UNetConfig {
        attention_head_dim: heads,
        norm_num_groups: groups,
        norm_eps: json.number("norm_eps", default.norm_eps)?,
        dropout: json.number("dropout", 0.0)?,
        downsample_padding: json.whole("downsample_padding", default.downsample_padding)?,
        flip_sin_to_cos: json.flag("flip_sin_to_cos", default.flip_sin_to_cos)?,
        freq_shift: json.number("freq_shift", default.freq_shift)?,
        ..default
    })
}

/// The settings of an autoencoder's config.json that do not follow from the arrays, and its scaling factor.
pub(crate) fn autoencoder_words(json: &Json) -> Result<(AutoencoderConfig, f64)> {
    json.only("_class_name", &[Value::from("AutoencoderKL")])?;
    json.only("act_fn", &[Value::from("silu"), Value::from("swish")])?;
    json.only("shift_factor", &[])?;
    let default = AutoencoderConfig::default();
    let norm_num_groups = json.whole("norm_num_groups", default.norm_num_groups)?;
    Ok((AutoencoderConfig { norm_num_groups, ..default }, json.number("scaling_factor", DEFAULT_SCALING_FACTOR)?))
}

/// The schedule and the prediction type of scheduler_config.json.
pub(crate) fn read_scheduler(json: &Json, settings: &mut Settings) -> Result<()> {
    json.only("trained_betas", &[])?;
    let schedule = &mut settings.schedule;
    schedule.num_train_timesteps = json.whole("num_train_timesteps", 1000)?;
    schedule.beta_start = json.number("beta_start", schedule.beta_start)?;
    schedule.beta_end = json.number("beta_end", schedule.beta_end)?;
    schedule.rescale_zero_terminal_snr = json.flag("rescale_betas_zero_snr", false)?;
    if let Some(word) = json.get("beta_schedule") {
        let parsed = serde_json::from_value(word.clone());
        schedule.beta_schedule =
            parsed.map_err(|_| json.wrong("beta_schedule", "linear, scaled_linear or squaredcos_cap_v2"))?;
    }
    if let Some(word) = json.get("prediction_type") {
        let parsed = serde_json::from_value(word.clone());
        settings.unet.prediction_type =
            parsed.map_err(|_| json.wrong("prediction_type", "epsilon, v_prediction or sample"))?;
    }
    Ok(())
}
