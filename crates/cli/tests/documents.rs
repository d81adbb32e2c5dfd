//! What stands in the documents beside words: the Python of docs/how-to/pytorch.md, run as it stands there, and the figure of the results.

mod common;

use common::{Folder, stderr, stdout, success};
use pig_data::{PairRecord, PairWriter, Pixels, Stamp};
use std::process::Command;

/// The figure at the head of docs/RESULTS.md is that of the tables in results/. Skipped without Python.
#[test]
fn the_figure_of_the_results_is_that_of_their_tables() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../experiments/forest.py");
    let Ok(output) = Command::new("python3").args([script, "--check"]).output() else {
        pig_testing::skip("no python3 to run experiments/forest.py");
        return;
    };
    success(output);
}

/// Needs the Python of the peers, which has PyTorch, NumPy and Pillow.
#[test]
fn the_data_loader_gives_real_and_generated_pairs() {
    let Some(python) = pig_testing::given("PIG_PEERS_PYTHON") else { return };
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/how-to/pytorch.md");
    let page = std::fs::read_to_string(page).unwrap();
    let code = page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let folder = Folder::with_data();
    let rows = (0..8)
        .map(|index| format!("a{index:02},images/a{index:02}.png,masks/a{index:02}.png\n"))
        .collect::<Vec<_>>()
        .concat();
    std::fs::write(folder.path().join("data/manifest.csv"), format!("id,image,mask\n{rows}")).unwrap();
    std::fs::rename(folder.path().join("data"), folder.path().join("DATA")).unwrap();
    let word = "pig".to_owned();
    let [version, model_hash, settings_hash] = [word.clone(), word.clone(), word.clone()];
    let stamp = Stamp { version, model_hash, settings_hash, settings: word, beside: &[] };
    let writer = PairWriter::create(&folder.path().join("PAIRS"), stamp, [16, 16], 1).unwrap();
    for seed in 0..3 {
        let image = Pixels::Eight(vec![51; 256]);
        writer.write(&PairRecord { seed, image: &image, mask: Some(&[1; 256]), given: None }).unwrap();
    }
    writer.finish().unwrap();
    let check = "\
batches = list(loader)
assert [len(images) for images, _ in batches] == [8, 3], batches
images, masks = (torch.cat(parts) for parts in zip(*batches))
assert images.shape == masks.shape == (11, 1, 16, 16) and images.dtype == masks.dtype == torch.float32
whole = masks.flatten(1).mean(1) == 1
assert int(whole.sum()) == 3 and torch.allclose(images[whole], torch.tensor(0.2)), whole
assert set(masks.unique().tolist()) == {0, 1} and 0 <= images.min() and images.max() <= 1
print('eleven pairs')
";
    std::fs::write(folder.path().join("page.py"), format!("{code}\n{check}")).unwrap();
    let output = Command::new(python).arg("page.py").current_dir(folder.path()).output().unwrap();
    let output = success(output);
    assert_eq!(stdout(&output), "eleven pairs\n", "{}", stderr(&output));
}
