//! Keys of the section data, for commands that have no configuration file.

use clap::builder::NonEmptyStringValueParser;
use pig_data::class_error::CLASSES_EXAMPLE;

/// How masks and patients are read.
#[derive(Debug, clap::Args)]
pub(crate) struct DataKeys {
    /// Keys with their values, as [`words`] describes them.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = NonEmptyStringValueParser::new(), help = words())]
    pub(crate) sets: Vec<String>,
}

/// How true masks are read that are compared with what a run predicts.
#[derive(Debug, clap::Args)]
pub(crate) struct TruthSets {
    /// Keys with their values, as [`truth_words`] describes them.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = NonEmptyStringValueParser::new(), help = truth_words())]
    pub(crate) sets: Vec<String>,
}

/// The help of `--set` of [`DataKeys`]. Errors about masks of several classes give the same example.
fn words() -> String {
    format!(
        "A key of the section data that says how masks and patients are read: data.mask_values, data.group_column, \
         data.class_column, or data.classes, as in 'data.classes={CLASSES_EXAMPLE}'"
    )
}

/// The help of `--set` of [`TruthSets`].
fn truth_words() -> String {
    format!(
        "A key of the section data that says how the true masks are read: data.class_column, data.mask_values, or data.classes, as in \
         'data.classes={CLASSES_EXAMPLE}'. The classes stay those of the run"
    )
}
