//! Keys that had other names in earlier versions. The configuration of a run is migrated when it is read; a user's file is refused with
//! the new name.

use toml::{Table, Value};

/// `frozen`, now the table `[model_y.frozen]`, was a key of `[model_y]` with the path of a frozen model. The path is now `model` there.
const FROZEN: &str = "frozen";
const MODEL: &str = "model";
/// The prefix of the other former keys. The rest of such a key is its present name in the table.
const PREFIX: &str = "frozen_";

/// The message about the first former key in a table `[model_y]`.
pub(super) fn renamed(model_y: &Table) -> Option<String> {
    let message = |old: &str, new: &str| {
        format!("unknown field `{old}`: it is now `{new}` in the table [model_y.{FROZEN}] (model_y.{FROZEN}.{new})")
    };
    if model_y.get(FROZEN).is_some_and(Value::is_str) {
        return Some(message(FROZEN, MODEL));
    }
    model_y.keys().find_map(|key| Some(message(key, key.strip_prefix(PREFIX)?)))
}

/// Moves former keys in the configuration of a run to their present places.
pub(super) fn migrate(config: &mut Table) {
    let Some(Value::Table(model_y)) = config.get_mut("model_y") else { return };
    let mut frozen = Table::new();
    if let Some(path) = model_y.remove(FROZEN) {
        match path {
            Value::Table(present) => frozen = present,
            path => drop(frozen.insert(MODEL.to_owned(), path)),
        }
    }
    let former: Vec<String> = model_y.keys().filter(|key| key.starts_with(PREFIX)).cloned().collect();
    for key in former {
        if let (Some(value), Some(name)) = (model_y.remove(&key), key.strip_prefix(PREFIX)) {
            frozen.insert(name.to_owned(), value);
        }
    }
    if !frozen.is_empty() {
        model_y.insert(FROZEN.to_owned(), Value::Table(frozen));
    }
}
