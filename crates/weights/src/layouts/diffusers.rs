//! diffusers' own names, through its versions.

use super::names::{flatten_attention, renamed, replaced};
use crate::array::StateDict;

/// Attention's names before version 0.14 (2023).
const OLD_ATTENTION: [(&str, &str); 4] =
    [(".query.", ".to_q."), (".key.", ".to_k."), (".value.", ".to_v."), (".proj_attn.", ".to_out.0.")];

/// diffusers' present names.
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
