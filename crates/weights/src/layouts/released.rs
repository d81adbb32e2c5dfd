//! The names of the code that was released with the paper. Its decoder counts levels from the full
//! size, that of diffusers from the smallest size; its attention has convolutions of one pixel.

use super::names::{count, flatten_attention, numbered, renamed, replaced};
use crate::array::StateDict;

const NAMES: [(&str, &str); 8] = [
    (".block.", ".resnets."),
    (".attn.", ".attentions."),
    (".downsample.", ".downsamplers.0."),
    (".upsample.", ".upsamplers.0."),
    (".nin_shortcut.", ".conv_shortcut."),
    (".temb_proj.", ".time_emb_proj."),
    ("mid.block_1.", "mid_block.resnets.0."),
    ("mid.block_2.", "mid_block.resnets.1."),
];
const ATTENTION: [(&str, &str); 5] =
    [(".norm.", ".group_norm."), (".q.", ".to_q."), (".k.", ".to_k."), (".v.", ".to_v."), (".proj_out.", ".to_out.0.")];
const ENDS: [(&str, &str); 4] = [
    ("temb.dense.0.", "time_embedding.linear_1."),
    ("temb.dense.1.", "time_embedding.linear_2."),
    ("norm_out.", "conv_norm_out."),
    ("mid.attn_1.", "mid_block.attentions.0."),
];

/// Renames the arrays to the names of diffusers.
pub(super) fn rename(arrays: StateDict) -> StateDict {
    let levels = count(&arrays, "up.");
    let mut arrays = renamed(arrays, |name| {
        let renamed = ENDS.iter().find_map(|(theirs, ours)| Some(format!("{ours}{}", name.strip_prefix(theirs)?)));
        let name = renamed.unwrap_or_else(|| {
            if let Some((level, rest)) = numbered(name, "down.") {
                format!("down_blocks.{level}.{rest}")
            } else if let Some((level, rest)) = numbered(name, "up.").filter(|(level, _)| *level < levels) {
                format!("up_blocks.{}.{rest}", levels - 1 - level)
            } else {
                name.to_owned()
            }
        });
        let name = replaced(&name, &NAMES);
        if name.contains("attentions.") { replaced(&name, &ATTENTION) } else { name }
    });
    flatten_attention(&mut arrays);
    arrays
}
