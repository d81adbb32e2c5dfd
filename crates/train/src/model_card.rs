//! README.md of a run: what the model is, what it was trained on, what it is not for.

use crate::{
    Config, Result,
    checkpoint::Store,
    config::word,
    curves::write_run_curves,
    imported::frozen::FrozenModelY,
    latents::LatentSpace,
    role::Role,
    run_dir::{Provenance, RunDir},
};
use std::fmt::Write;

/// Writes the model card and the curves.
pub fn write(run: &RunDir, config: &Config) -> Result<()> {
    write_run_curves(run.path())?;
    let text = text(run, config)?;
    Ok(pig_files::write(&run.path().join("README.md"), text.as_bytes())?)
}

fn text(run: &RunDir, config: &Config) -> Result<String> {
    let from = run.provenance()?;
    let mut text = String::new();
    let [height, width] = config.data.size;
    let conditioning = if config.roles().contains(&Role::ModelY) {
        format!(", model_y conditioned on `{}`", word(&config.model_y.conditioning))
    } else {
        String::new()
    };
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "# Paired image generation: a model of {}\n\n\
         Trained by {}, started {} (UTC), method `{}`{conditioning}, {height} x {width} pixels, {} channel(s).\n\n\
         ## Data\n\n\
         Training: {} pairs of {} groups. Validation: {} pairs of {} groups. The split is {}.\n\
         Layout: {}. SHA-256 of the prepared pairs: `{}`; of the split: `{}`.\n\n\
         ## Networks\n\n\
         | network | steps | lowest validation loss | at step | SHA-256 of the averaged weights |\n|---|---|---|---|---|\n",
        if config.method.has_masks() { "images with lesion masks" } else { "images" },
        from.program,
        from.started,
        config.method.word(),
        config.data.channels.count(),
        from.pairs[0],
        from.groups[0],
        from.pairs[1],
        from.groups[1],
        from.split_by,
        from.layout,
        from.data_sha256,
        from.splits_sha256,
    );
    for words in further_words(&from).into_iter().chain(start_sentence(config)) {
        let data = text.find("\n## Networks").unwrap_or(text.len());
        text.insert_str(data, &format!("{words}\n"));
    }
    for role in config.trained_roles() {
        let Ok((state, ..)) = Store::new(run.path(), role.name()).load_ema() else { continue };
        let (loss, step) =
            state.best.map_or(("-".to_owned(), "-".to_owned()), |(s, l)| (format!("{l:.5}"), s.to_string()));
        let _ = writeln!(text, "| {} | {} | {loss} | {step} | `{}` |", role.name(), state.step, state.ema_sha256());
    }
    if config.is_frozen(Role::ModelY) {
        let model = FrozenModelY::of_run(run.path())?;
        let _ = writeln!(text, "| model_y, frozen | - | - | - | `{}` |", model.sha256());
    }
    if let Ok(space) = LatentSpace::load(run.path()) {
        let _ = writeln!(text, "\nLatents: {}. Their standard deviation is {:.4}.", space.sentence(), space.latent_std);
    }
    text.push_str(
        "\nAll settings: `config.toml`. Curves: `curves.svg`, from `metrics.jsonl`.\n\n\
         ## Limits\n\n\
         - Made to add annotated training images; not for diagnosis, and not a substitute for patients' images in an evaluation.\n\
         - A generated picture may resemble a training image: compare before sharing.\n\
         - Do not evaluate a segmenter on patients that this model was trained on; `splits.json` names them by id.\n",
    );
    Ok(text)
}

/// Where the weights of a run come from beside its own training, in a clause; none if all of them began at random and were trained there.
pub fn start_words(config: &Config) -> Option<String> {
    let began = config
        .train
        .init
        .as_ref()
        .map(|init| format!("its training began from the weights of {} (train.init)", init.display()));
    let model = config.model_y.frozen.model.as_ref();
    let frozen = model.map(|model| format!("its model_y is that of {} (model_y.frozen.model)", model.display()));
    let parts: Vec<String> = began.into_iter().chain(frozen).collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}

/// [`start_words`] as a sentence.
pub fn start_sentence(config: &Config) -> Option<String> {
    start_words(config).map(|words| format!("Not all weights are of this training alone: {words}."))
}

/// What a run was trained on beside the pairs of its data folder, in a sentence; none if there was nothing.
pub fn further_words(from: &Provenance) -> Option<String> {
    let added = from.added.filter(|&added| added > 0).map(|added| format!("{added} pairs of further folders"));
    let images = from.unlabelled.as_ref().map(|known| format!("{} images without masks", known.images));
    let parts: Vec<String> = added.into_iter().chain(images).collect();
    (!parts.is_empty()).then(|| format!("Beside these pairs, it was trained on {}.", parts.join(" and ")))
}
