//! `pig weights export`: a U-Net in diffusers' layout.

use super::{
    Model, UNetDescription,
    diffusers::{CONFIG, WEIGHTS},
};
use crate::{Error, Result, checkpoint, run_dir::RunDir};
use serde_json::{Value, json};
use std::path::Path;

/// Writes `config.json` and `diffusion_pytorch_model.safetensors` for diffusers' `UNet2DModel.from_pretrained`.
pub fn export(model: &Model, folder: &Path) -> Result<()> {
    RunDir::check_free(folder)?;
    let words = model.unet_description()?;
    if words.network.mid_layers == 1 {
        return Err(Error::BadFile {
            path: model.path.clone(),
            problem: "one residual block in the middle, expected two or none".to_owned(),
            advice: "diffusers' UNet2DModel has no such middle; use the files that the model was imported from",
        });
    }
    std::fs::create_dir_all(folder).map_err(Error::io(folder, "create"))?;
    let weights = folder.join(WEIGHTS[0]);
    pig_data::atomic::write(&weights, &checkpoint::serialise(&weights, &model.arrays)?)?;
    let text = serde_json::to_vec_pretty(&config(words)).unwrap_or_default();
    Ok(pig_data::atomic::write(&folder.join(CONFIG), &text)?)
}

fn config(words: &UNetDescription) -> Value {
    let network = &words.network;
    let levels = network.block_out_channels.len();
    let attends = |level: usize| network.attention_levels.contains(&level);
    let down: Vec<&str> = (0..levels).map(|l| if attends(l) { "AttnDownBlock2D" } else { "DownBlock2D" }).collect();
    let up: Vec<&str> = (0..levels).rev().map(|l| if attends(l) { "AttnUpBlock2D" } else { "UpBlock2D" }).collect();
    json!({
        "_class_name": "UNet2DModel",
        "act_fn": "silu",
        "add_attention": network.mid_attention,
        "attention_head_dim": network.attention_head_dim,
        "block_out_channels": network.block_out_channels,
        "down_block_types": down,
        "downsample_padding": network.downsample_padding,
        "dropout": network.dropout,
        "flip_sin_to_cos": network.flip_sin_to_cos,
        "freq_shift": network.freq_shift,
        "in_channels": words.in_channels,
        "layers_per_block": network.layers_per_block,
        "mid_block_type": if network.mid_layers == 0 { Value::Null } else { "UNetMidBlock2D".into() },
        "norm_eps": network.norm_eps,
        "norm_num_groups": network.norm_num_groups,
        "num_class_embeds": network.num_class_embeds,
        "out_channels": words.out_channels,
        "time_embedding_type": "positional",
        "up_block_types": up,
    })
}
