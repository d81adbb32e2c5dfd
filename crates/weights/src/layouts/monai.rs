//! The names of MONAI and of its predecessor, MONAI Generative.

use super::names::{count, flatten_attention, numbered, renamed, replaced};
use crate::array::{Array, StateDict};

const UNET: [(&str, &str); 11] = [
    ("time_embed.0.", "time_embedding.linear_1."),
    ("time_embed.2.", "time_embedding.linear_2."),
    ("middle_block.resnet_1.", "mid_block.resnets.0."),
    ("middle_block.resnet_2.", "mid_block.resnets.1."),
    ("middle_block.attention.", "mid_block.attentions.0."),
    (".downsampler.op.", ".downsamplers.0.conv."),
    (".upsampler.postconv.", ".upsamplers.0.conv."),
    (".upsampler.conv.", ".upsamplers.0.conv."),
    (".skip_connection.", ".conv_shortcut."),
    ("out.0.", "conv_norm_out."),
    ("out.2.", "conv_out."),
];
/// Names of attention layers.
const ATTENTION: [(&str, &str); 3] = [(".norm.", ".group_norm."), (".attn.out_proj.", ".to_out.0."), (".attn.", ".")];
/// The output projection of attention in MONAI Generative's files: its U-Net, ControlNet and autoencoder store it and never apply it.
const NEVER_APPLIED: [&str; 2] = [".proj_attn.weight", ".proj_attn.bias"];

/// The end of the new names of blocks that change the size.
const RESIZED: &str = ".conv";

/// Inputs of MAISI's U-Net in addition to the timestep.
const INPUTS: [&str; 3] = ["top_region_index_layer", "bottom_region_index_layer", "spacing_layer"];

/// Removes from a name the module called `conv` that wraps every convolution.
fn unwrapped(name: &str) -> String {
    match name.strip_suffix(".conv.weight").or(name.strip_suffix(".conv.bias")) {
        Some(stem) => format!("{stem}{}", &name[stem.len() + ".conv".len()..]),
        None => name.to_owned(),
    }
}

/// Renames the arrays of a U-Net or ControlNet to the names of diffusers.
pub(super) fn rename_unet(arrays: StateDict) -> StateDict {
    let mut arrays = renamed(without_unused_projections(arrays), |name| {
        let name = unwrapped(name);
        let name = match UNET[9..].iter().find_map(|(from, to)| Some((to, name.strip_prefix(from)?))) {
            Some((to, rest)) => format!("{to}{rest}"),
            None if INPUTS.iter().any(|input| name.starts_with(input)) => {
                replaced(&name, &[(".0.", ".linear_1."), (".2.", ".linear_2.")])
            }
            None => replaced(&name, &UNET[..9]),
        };
        if name.contains("attentions.") { replaced(&name, &ATTENTION) } else { name }
    });
    flatten_attention(&mut arrays);
    complete_attention(&mut arrays);
    arrays
}

/// Removes the projections that MONAI Generative never applies, so that [`complete_attention`] puts one there that changes nothing.
fn without_unused_projections(mut arrays: StateDict) -> StateDict {
    arrays.retain(|name, _| !NEVER_APPLIED.iter().any(|end| name.ends_with(end)));
    arrays
}

/// Adds an output projection that changes nothing to attention without one (MONAI's `include_fc = False`, as in MAISI, and all of
/// MONAI Generative's).
fn complete_attention(arrays: &mut StateDict) {
    let stems: Vec<String> =
        arrays.keys().filter_map(|name| Some(name.strip_suffix(".to_q.weight")?.to_owned())).collect();
    for stem in stems {
        let [weight, bias] = ["weight", "bias"].map(|end| format!("{stem}.to_out.0.{end}"));
        let query = &arrays[&format!("{stem}.to_q.weight")];
        let width = query.shape.first().copied().unwrap_or(0);
        if query.shape != [width, width] || arrays.contains_key(&weight) || arrays.contains_key(&bias) {
            continue;
        }
        let values = (0..width * width).map(|i| if i % (width + 1) == 0 { 1.0 } else { 0.0 }).collect();
        arrays.insert(weight, Array { shape: vec![width, width], values });
        arrays.insert(bias, Array { shape: vec![width], values: vec![0.0; width] });
    }
}

/// Renames the arrays of an autoencoder to the names of diffusers. MONAI numbers all blocks of the encoder, and all blocks of the
/// decoder, in one sequence: the blocks that change the size separate the levels, and the names in a block show its kind.
pub(super) fn rename_autoencoder(arrays: StateDict) -> Result<StateDict, String> {
    // MAISI wraps every convolution twice.
    let arrays = renamed(without_unused_projections(arrays), |name| unwrapped(&unwrapped(name)));
    let encoder = places(&arrays, "encoder.blocks.", "down_blocks", "downsamplers.0.conv")?;
    let decoder = places(&arrays, "decoder.blocks.", "up_blocks", "upsamplers.0.conv")?;
    let mut found = StateDict::new();
    for (name, array) in arrays {
        let (half, places) = if name.starts_with("encoder.") { ("encoder", &encoder) } else { ("decoder", &decoder) };
        let block = numbered(&name, &format!("{half}.blocks."));
        let renamed = match block.and_then(|(block, rest)| Some((places.get(block)?, rest))) {
            Some((place, rest)) => {
                let rest = rest.strip_prefix("conv.").filter(|_| place.ends_with(RESIZED)).unwrap_or(rest);
                let rest = rest.strip_prefix("postconv.").unwrap_or(rest);
                let rest = replaced(&format!(".{rest}"), &[(".nin_shortcut.", ".conv_shortcut.")]);
                let rest = if place.contains("attentions.") { replaced(&rest, &ATTENTION) } else { rest };
                format!("{half}.{place}{rest}")
            }
            None => name,
        };
        found.insert(renamed, array);
    }
    join_moments(&mut found)?;
    flatten_attention(&mut found);
    complete_attention(&mut found);
    Ok(found)
}

/// The name in diffusers of each numbered block of an encoder or decoder.
fn places(arrays: &StateDict, prefix: &str, levels: &str, resize: &str) -> Result<Vec<String>, String> {
    let blocks = count(arrays, prefix);
    if blocks < 4 {
        return Err(format!("{blocks} blocks with the prefix {prefix}, expected at least 4"));
    }
    let has = |block: usize, part: &str| arrays.contains_key(&format!("{prefix}{block}.{part}"));
    let is_attention = |block: usize| has(block, "norm.weight");
    let is_resnet = |block: usize| has(block, "norm1.weight");
    let is_up = levels == "up_blocks";
    // The middle: a residual block, attention, a residual block; at the end of the encoder and the start of the decoder. In a level
    // with attention, attention follows each residual block: such an encoder without a middle ends with attention, and where such a
    // decoder begins without a middle, attention follows the second residual block, too.
    let inner = 1..blocks - 2;
    let middle = if is_up { 1..4 } else { blocks.saturating_sub(5)..blocks - 2 };
    let has_middle = inner.len() > 3
        && is_resnet(middle.start)
        && is_attention(middle.start + 1)
        && is_resnet(middle.start + 2)
        && !(is_up && is_attention(middle.end));
    let outer = if !has_middle {
        inner
    } else if is_up {
        middle.end..inner.end
    } else {
        inner.start..middle.start
    };
    let mut places = vec![String::new(); blocks];
    for (block, place) in [(0, "conv_in"), (blocks - 2, "conv_norm_out"), (blocks - 1, "conv_out")] {
        place.clone_into(&mut places[block]);
    }
    if has_middle {
        for (place, block) in
            ["mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1"].iter().zip(middle)
        {
            (*place).clone_into(&mut places[block]);
        }
    }
    let (mut level, mut resnets, mut attentions) = (0, 0, 0);
    for block in outer {
        places[block] = if is_attention(block) {
            attentions += 1;
            format!("{levels}.{level}.attentions.{}", attentions - 1)
        } else if is_resnet(block) {
            resnets += 1;
            format!("{levels}.{level}.resnets.{}", resnets - 1)
        } else {
            (level, resnets, attentions) = (level + 1, 0, 0);
            format!("{levels}.{}.{resize}", level - 1)
        };
    }
    Ok(places)
}

/// The encoder of diffusers ends with as many channels for the mean as for the logarithm of the variance, and one convolution reads
/// both. MONAI's encoder ends with one set of channels, which two convolutions read. (What MONAI calls log sigma is the logarithm of
/// the variance.) To get the same values, this function duplicates the set and joins the two convolutions into one, in which each
/// reads its own copy.
fn join_moments(arrays: &mut StateDict) -> Result<(), String> {
    let [mean, variance] = ["quant_conv_mu", "quant_conv_log_sigma"];
    let biases = [take(arrays, &format!("{mean}.bias"))?, take(arrays, &format!("{variance}.bias"))?];
    let weights = [take(arrays, &format!("{mean}.weight"))?, take(arrays, &format!("{variance}.weight"))?];
    let last = ["weight", "bias"].map(|end| format!("encoder.conv_out.{end}"));
    for name in &last {
        let mut array = take(arrays, name)?;
        array.values.extend_from_within(..);
        if let Some(out) = array.shape.first_mut() {
            *out *= 2;
        }
        arrays.insert(name.clone(), array);
    }
    let latent = biases[0].values.len();
    let fits = |array: &Array| array.values.len() == latent * latent && latent > 0;
    if biases[1].values.len() != latent || !weights.iter().all(fits) {
        return Err(format!(
            "{mean} and {variance} differ in size, expected the same number of channels in and out for both"
        ));
    }
    let zeros = vec![0.0; latent];
    let rows = |first: bool| {
        let array = &weights[usize::from(!first)];
        array.values.chunks_exact(latent).map(move |row| (row, first))
    };
    let values = rows(true)
        .chain(rows(false))
        .flat_map(|(row, first)| if first { [row, &zeros].concat() } else { [&zeros, row].concat() });
    let weight = Array { shape: vec![2 * latent, 2 * latent, 1, 1], values: values.collect() };
    arrays.insert("quant_conv.weight".to_owned(), weight);
    let [mean, variance] = biases;
    let bias = Array { shape: vec![2 * latent], values: [mean.values, variance.values].concat() };
    arrays.insert("quant_conv.bias".to_owned(), bias);
    Ok(())
}

fn take(arrays: &mut StateDict, name: &str) -> Result<Array, String> {
    arrays.remove(name).ok_or_else(|| format!("{name} is missing"))
}
