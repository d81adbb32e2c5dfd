//! The names of diffusers in its old and current versions.

use super::names::{flatten_attention, renamed, replaced};
use crate::array::StateDict;

/// Names of attention layers before version 0.14 (2023).
const OLD_ATTENTION: [(&str, &str); 4] =
    [(".query.", ".to_q."), (".key.", ".to_k."), (".value.", ".to_v."), (".proj_attn.", ".to_out.0.")];

/// Renames arrays to the current names of diffusers.
pub(super) fn rename(arrays: StateDict) -> StateDict {
    let mut arrays =
        renamed(
            arrays,
            |name| {
                if name.contains("attentions.") { replaced(name, &OLD_ATTENTION) } else { name.to_owned() }
            },
        );
    flatten_attention(&mut arrays);
    arrays
}
