//! `pig weights export`: writes a model in diffusers' layout.

use crate::{
    Error, Result, checkpoint,
    imported::{
        AutoencoderDescription, ControlNetDescription, Model, ModelKind, UNetDescription,
        diffusers::{CONFIG, WEIGHTS},
    },
    run_dir::RunDir,
};
use pig_nn::{autoencoder::AutoencoderConfig, config::UNetConfig};
use serde_json::{Value, json};
use std::path::Path;

/// diffusers' classes.
const UNET: &str = "UNet2DModel";
const CONDITIONAL: &str = "UNet2DConditionModel";
const AUTOENCODER: &str = "AutoencoderKL";
const CONTROL: &str = "ControlNetModel";

/// Writes `config.json` and `diffusion_pytorch_model.safetensors` for the `from_pretrained` of one of diffusers' classes, and returns
/// the name of the class. A model that fits none of the classes is refused with the reason.
pub fn export(model: &Model, folder: &Path) -> Result<&'static str> {
    RunDir::check_free(folder)?;
    let refused = |problem: String| Error::BadFile {
        path: model.path.clone(),
        problem,
        advice: "diffusers has no such network; use the files that the model was imported from",
    };
    if model.spatial_dims() != 2 {
        return Err(refused(format!("a network of {} axes, expected 2", model.spatial_dims())));
    }
    let (class, config) = match model.description.kind {
        ModelKind::UNet => Ok(unet(model.unet_description()?)),
        ModelKind::Autoencoder => autoencoder(model.autoencoder_description()?).map(|config| (AUTOENCODER, config)),
        ModelKind::ControlNet => control(model.controlnet_description()?).map(|config| (CONTROL, config)),
        ModelKind::Inception => Err("the FID's Inception, expected a U-Net, an autoencoder or a ControlNet".to_owned()),
    }
    .map_err(refused)?;
    std::fs::create_dir_all(folder).map_err(Error::io(folder, "create"))?;
    let weights = folder.join(WEIGHTS[0]);
    pig_files::write(&weights, &checkpoint::serialise(&weights, &model.arrays)?)?;
    pig_files::write_json(&folder.join(CONFIG), &config)?;
    Ok(class)
}

/// Only `UNet2DConditionModel` can have a middle of one residual block; every other network is a `UNet2DModel`.
fn unet(words: &UNetDescription) -> (&'static str, Value) {
    let network = &words.network;
    let class = if network.mid_layers == 1 { CONDITIONAL } else { UNET };
    let levels = network.block_out_channels.len();
    let mut up = block_types(levels, network.decoder_attention_levels(), ["UpBlock2D", "AttnUpBlock2D"]);
    up.reverse();
    let mut config = shared(network);
    let own = json!({
        "_class_name": class,
        "dropout": network.dropout,
        "in_channels": words.in_channels,
        "mid_block_type": if network.mid_layers == 0 { Value::Null } else { "UNetMidBlock2D".into() },
        "num_class_embeds": network.num_class_embeds,
        "out_channels": words.out_channels,
        "time_embedding_type": "positional",
        "up_block_types": up,
    });
    extend(&mut config, own);
    if class == UNET {
        extend(&mut config, json!({ "add_attention": network.mid_attention }));
    }
    (class, config)
}

/// The settings that U-Net and ControlNet share.
fn shared(network: &UNetConfig) -> Value {
    json!({
        "act_fn": "silu",
        // A list has one number per level; the conditional classes have no value for one head with all channels.
        "attention_head_dim": match network.attention_head_dim {
            None if network.mid_layers == 1 => json!(network.block_out_channels),
            width => json!(width),
        },
        "block_out_channels": network.block_out_channels,
        "down_block_types": block_types(
            network.block_out_channels.len(),
            &network.attention_levels,
            ["DownBlock2D", "AttnDownBlock2D"],
        ),
        "downsample_padding": network.downsample_padding,
        "flip_sin_to_cos": network.flip_sin_to_cos,
        "freq_shift": network.freq_shift,
        "layers_per_block": network.layers_per_block,
        "norm_eps": network.norm_eps,
        "norm_num_groups": network.norm_num_groups,
    })
}

fn extend(config: &mut Value, other: Value) {
    if let (Value::Object(config), Value::Object(other)) = (config, other) {
        config.extend(other);
    }
}

/// The block type of each level from the full size down: `plain` without attention, `attending` in the levels of `attends`.
fn block_types(levels: usize, attends: &[usize], [plain, attending]: [&'static str; 2]) -> Vec<&'static str> {
    (0..levels).map(|level| if attends.contains(&level) { attending } else { plain }).collect()
}

fn autoencoder(words: &AutoencoderDescription) -> std::result::Result<Value, String> {
    let network = &words.network;
    let default = AutoencoderConfig::default();
    if network.decoder_layers() != network.layers_per_block + 1 {
        let (encoder, decoder) = (network.layers_per_block, network.decoder_layers());
        return Err(format!(
            "{encoder} residual blocks in the encoder and {decoder} in the decoder, expected one more there"
        ));
    }
    if !network.final_silu || network.norm_eps != default.norm_eps {
        let (silu, eps) = (network.final_silu, network.norm_eps);
        return Err(format!("final_silu = {silu} and norm_eps = {eps}, expected true and {}", default.norm_eps));
    }
    if !network.mid_block {
        return Err("no middle, expected two residual blocks around attention".to_owned());
    }
    let kinds = |kinds| block_types(network.block_out_channels.len(), &network.attention_levels, kinds);
    let mut up = kinds(["UpDecoderBlock2D", "AttnUpDecoderBlock2D"]);
    up.reverse();
    Ok(json!({
        "_class_name": AUTOENCODER,
        "act_fn": "silu",
        "block_out_channels": network.block_out_channels,
        "down_block_types": kinds(["DownEncoderBlock2D", "AttnDownEncoderBlock2D"]),
        "in_channels": words.channels,
        "latent_channels": network.latent_channels,
        "layers_per_block": network.layers_per_block,
        "norm_num_groups": network.norm_num_groups,
        "out_channels": words.channels,
        "scaling_factor": words.scaling_factor,
        "up_block_types": up,
    }))
}

fn control(words: &ControlNetDescription) -> std::result::Result<Value, String> {
    let (network, widths) = (&words.base, &words.control.conditioning_embedding_out_channels);
    if network.mid_layers != 1 || network.mid_attention {
        let layers = network.mid_layers;
        return Err(format!("{layers} residual blocks in the middle, expected one without attention"));
    }
    if words.condition_stride != 2 && widths.len() > 1 {
        return Err(
            "the condition is read at the image's own size, expected halving at each change of channels".to_owned()
        );
    }
    let mut config = shared(network);
    let own = json!({
        "_class_name": CONTROL,
        "conditioning_channels": words.condition_channels,
        "conditioning_embedding_out_channels": widths,
        "in_channels": words.in_channels,
        "mid_block_type": "UNetMidBlock2D",
    });
    extend(&mut config, own);
    Ok(config)
}
