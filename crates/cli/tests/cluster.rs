//! `--jobs --sbatch`: the script for Slurm does the same work as one process. A stand-in for `sbatch` runs what it is given, at once; .ci/cluster
//! uses a real Slurm.

#![cfg(unix)]

mod common;

use common::{Folder, command, stderr, stdout, success};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Runs each task of an array, refuses a dependency that was not submitted before, and prints the job's number. Like Slurm, it gives
/// jobs a working folder of its own choice.
const SBATCH: &str = r#"#!/bin/bash
set -euo pipefail
here=$(dirname "$0")
echo "$*" >> "$here/asked"
number=$(($(cat "$here/last" 2> /dev/null || echo 100) + 1))
echo "$number" > "$here/last"
last=none
for word in "$@"; do
  case $word in
    --array=0-*) last=${word#--array=0-} ;;
    --dependency=afterok:*) for job in $(tr ':' ' ' <<< "${word#--dependency=afterok:}"); do [ -e "$here/$job.done" ]; done ;;
    --parsable | --job-name=* | --cpus-per-task=* | --requeue | --signal=B:USR1@* | --mem=*M | --time=* | --kill-on-invalid-dep=yes) ;;
    *) echo "sbatch: unknown $word" >&2; exit 2 ;;
  esac
done
cat > "$here/$number.sh"
cd /
if [ "$last" = none ]; then bash "$here/$number.sh" > "$here/$number.out" 2>&1; fi
for ((task = 0; task <= ${last/none/-1}; task++)); do
  SLURM_JOB_ID=$number SLURM_ARRAY_TASK_ID=$task bash "$here/$number.sh" > "$here/$number-$task.out" 2>&1
done
touch "$here/$number.done"
echo "$number"
"#;

fn with_sbatch(folder: &Path) -> PathBuf {
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let sbatch = bin.join("sbatch");
    std::fs::write(&sbatch, SBATCH).unwrap();
    std::fs::set_permissions(&sbatch, std::fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

fn submitted(bin: &Path, script: &str) -> String {
    let path = std::env::join_paths(
        [bin.to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    let output = Command::new("bash")
        .arg("-c")
        .arg(script)
        .env("PATH", path)
        .env("PIG_CACHE_DIR", common::CACHE)
        .output()
        .unwrap();
    stdout(&success(output))
}

/// A generator of a few steps, and two segmenters of each training set.
const CONFIG: &str = r#"
[data]
size = 16
validation_fraction = 0.3

[segment.network]
block_out_channels = [8, 16]
norm_num_groups = 4

[segment.train]
steps = 4
batch_size = 2
validate_every = 2

[crossval]
folds = 2
segmenter_seeds = [0, 7]
min_validation_patients = 1

[[crossval.arms]]
name = "pig"
config = "generator.toml"
add = [2]
"#;

#[test]
fn arrays_of_slurm_make_the_table_of_one_process() {
    let folder = Folder::with_data();
    let at = |name: &str| folder.path().join(name);
    let generator = common::TINY.map(|set| set.to_owned() + "\n").concat();
    std::fs::write(at("generator.toml"), generator).unwrap();
    std::fs::write(at("crossval.toml"), CONFIG).unwrap();
    let run = |out: &str, more: &[&str]| {
        let mut asked = command(&["crossval", "--config", "crossval.toml", "--data", "data", "--out", out, "-q"]);
        success(asked.args(more).current_dir(folder.path()).output().unwrap())
    };
    run("one", &[]);
    // One piece is done before.
    run("arrays", &["--fold", "1", "--arm", "real", "--seed", "7"]);
    let script = stdout(&run("arrays", &["--jobs", "--sbatch"]));
    assert!(!script.contains("--fold 1 --arm real --seed 7"), "{script}");
    let bin = with_sbatch(folder.path());
    let said = submitted(&bin, &script);
    assert_eq!(said.trim(), "submitted: generators 101, real_segmenters 102, segmenters 103, agreement 104, table 105");
    for file in ["table.md", "cases.csv", "results.json"] {
        assert_eq!(
            std::fs::read(at("one").join(file)).unwrap(),
            std::fs::read(at("arrays").join(file)).unwrap(),
            "{file}"
        );
    }
    let asked = std::fs::read_to_string(bin.join("asked")).unwrap();
    let lines: Vec<&str> = asked.lines().collect();
    // Two folds; the segmenters of generated pairs in two seeds each; the agreement of an arm with all its seeds.
    let arrays = ["--array=0-1", "--array=0-2", "--array=0-3", "--array=0-1"];
    assert!(lines.iter().zip(arrays).all(|(line, array)| line.contains(array)), "{asked}");
    assert!(lines[2].contains("--dependency=afterok:101 "), "{asked}");
    assert!(lines[3].contains("--dependency=afterok:101:102 "), "{asked}");
    assert!(lines[4].contains("--dependency=afterok:101:102:103:104 "), "{asked}");
    // The threads of this machine, at least ten minutes, and memory as measured.
    assert!(lines.iter().all(|line| line.contains("--cpus-per-task=") && line.contains("--requeue")), "{asked}");
    assert!(lines[0].contains("--time=") && lines[0].contains("--mem="), "{asked}");
    // When all is done, the table alone is computed again.
    let script = stdout(&run("arrays", &["--jobs", "--sbatch"]));
    assert_eq!(submitted(&bin, &script).trim(), "submitted: table 106");
    let refused = command(&["crossval", "--data", "data", "--out", "x", "--sbatch"]).output().unwrap();
    assert!(stderr(&refused).contains("--jobs"), "{}", stderr(&refused));
}

/// Near the limit of its time, a job saves, and asks to wait again.
#[test]
fn a_job_that_is_told_of_its_limit_goes_back_into_the_queue() {
    let folder = Folder::with_data();
    let asked = ["crossval", "--data", "data", "--out", "out", "-q", "--jobs", "--sbatch"];
    let long = ["data.size=16", "crossval.folds=2", "crossval.segmenter_seeds=[0]", "segment.train.steps=100000"];
    let mut listed = command(&asked);
    listed.args(long.iter().flat_map(|set| ["--set", set])).current_dir(folder.path());
    let script = stdout(&success(listed.output().unwrap()));
    // The work of a job, as the script gives it to sbatch.
    let work = script.split("<<'WORK' || true\n").nth(1).and_then(|rest| rest.split("WORK\n").next()).unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let scontrol = bin.join("scontrol");
    std::fs::write(&scontrol, "#!/bin/bash\necho \"$*\" > \"$(dirname \"$0\")/told\"\n").unwrap();
    std::fs::set_permissions(&scontrol, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut job = common::with_default_signals("bash");
    job.arg("-c").arg(format!("pieces=(--fold 0 --arm real)\n{work}")).env("PATH", path);
    let mut job = job.env("SLURM_JOB_ID", "31").env("PIG_CACHE_DIR", common::CACHE).spawn().unwrap();
    let metrics = folder.path().join("out/fold-0/segmenters/real/seed-0/run/metrics.jsonl");
    let since = std::time::Instant::now();
    while !metrics.exists() {
        assert!(since.elapsed().as_secs() < 120 && job.try_wait().unwrap().is_none(), "the training does not begin");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(Command::new("kill").args(["-USR1", &job.id().to_string()]).status().unwrap().success());
    assert_eq!(job.wait().unwrap().code(), Some(130));
    assert_eq!(std::fs::read_to_string(bin.join("told")).unwrap(), "requeue 31\n");
    assert!(folder.path().join("out/fold-0/segmenters/real/seed-0/run/checkpoints").is_dir(), "what was done is saved");
}
