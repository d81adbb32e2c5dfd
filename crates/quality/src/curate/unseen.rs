//! Whether a segmenter has seen patients of a test.

use pig_data::{
    DataError, Dataset, Splits,
    error::listed,
    unlabelled::{Compared, HeldOut},
};
use pig_train::{Error, Result, run_dir::RunDir};

/// The most pictures of test patients that a message lists.
const LISTED: usize = 10;

/// The test patients that must be unseen: those of a split of a folder, or all of another folder.
#[derive(Clone, Debug)]
pub struct TestSide {
    /// All pairs of the folder.
    pub data: Dataset,
    /// Which of them test; other parts do not matter.
    pub splits: Splits,
}

impl TestSide {
    /// The test patients of a split.
    #[must_use]
    pub fn of_split(data: Dataset, splits: &Splits) -> Self {
        // What validates may be known to the segmenter.
        let splits = Splits { validation: Vec::new(), ..splits.clone() };
        Self { data, splits }
    }

    /// All pairs of a folder.
    #[must_use]
    pub fn whole(data: Dataset) -> Self {
        let mut test: Vec<String> = data.pairs.iter().map(|pair| pair.id.clone()).collect();
        test.sort();
        let splits = Splits {
            by: data.group_source.clone(),
            seed: 0,
            training_groups: 0,
            validation_groups: 0,
            test_groups: data.group_count(),
            training: Vec::new(),
            validation: Vec::new(),
            test,
            unused_groups: 0,
            unused: Vec::new(),
            sha256: String::new(),
        };
        Self { data, splits }
    }
}

/// Refuses a segmenter that was not trained on real pairs alone, and one whose training or validating pairs show a test patient: by the
/// pixels of the pictures, and by the names of patients where both folders have them. `data` has all pairs of the folder on which it
/// was trained; `given` is the split that the user named. Returns what was found out, in a sentence, and what could not be.
///
/// # Errors
/// When it is refused, with the list; or when a picture cannot be read.
pub fn check_unseen(run: &RunDir, data: &Dataset, given: Option<&Splits>, tests: &[TestSide]) -> Result<String> {
    let added = if run.unverified().is_none() { run.provenance()?.added } else { None };
    if let Some(count) = added.filter(|&count| count > 0) {
        return Err(Error::BadFile {
            path: run.path().to_owned(),
            problem: format!("this segmenter was trained on {count} generated pairs, whose faults it does not see"),
            advice: "curate with a segmenter of real pairs alone: pig segment train without --add",
        });
    }
    let own = run.splits()?;
    let seen: Vec<String> = own.training.iter().chain(&own.validation).cloned().collect();
    let seen = data.images_of(&seen);
    let (mut images, mut weakest) = (0, Compared::ByPatients);
    for test in tests.iter().filter(|test| !test.splits.test.is_empty()) {
        let held_out = HeldOut::of(&test.data, &test.splits);
        held_out.check(&seen).map_err(|error| refused(run, error))?;
        images += test.splits.test.len();
        weakest = weakest.min(held_out.compares(&seen));
    }
    let of_generator = "whether the generator of the pairs saw a test patient cannot be known from the pairs";
    let unknown = match added {
        Some(_) => String::new(),
        None => "; whether it was trained on real pairs alone is not known, since its run does not say".to_owned(),
    };
    if images == 0 {
        let why = match given {
            Some(splits) => format!(
                "the file of --splits has no test part ({} training, {} validation), so no test patient was looked for; give the \
                 splits.json of a fold of a cross-validation, or the test pairs with --test DIR",
                splits.training.len(),
                splits.validation.len()
            ),
            None => "no test patients were named, so none was looked for (--splits, --test)".to_owned(),
        };
        return Ok(format!("{why}; {of_generator}{unknown}"));
    }
    // The names of patients are compared only if both sides have them.
    let folder = if data.group_source.names_patients() { "the test folder" } else { "its data folder" };
    let how = match weakest {
        Compared::ByPatients => "by patient and by the pixels of the pictures".to_owned(),
        Compared::ByGroups => format!(
            "by the pixels of the pictures and by the groups of {folder}, which names no patients, so another picture of a test \
             patient would not be noticed"
        ),
        Compared::ByPixels => format!(
            "by the pixels alone, since {folder} names no patients, so another picture of a test patient would not be noticed"
        ),
    };
    Ok(format!("the segmenter saw none of the {images} test pictures, {how}; {of_generator}{unknown}"))
}

/// The error of a segmenter that saw test patients.
fn refused(run: &RunDir, error: DataError) -> Error {
    match error {
        DataError::HeldOutImages { images, .. } => Error::BadFile {
            path: run.path().to_owned(),
            problem: format!(
                "this segmenter was trained or chosen on {} picture(s) of test patients: {}",
                images.len(),
                listed(&images, LISTED)
            ),
            advice: "curate with a segmenter that was trained on this split: pig segment train --splits FILE",
        },
        other => other.into(),
    }
}
