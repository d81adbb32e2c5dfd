//! The least memory that a training needs, by count, and the memory that the machine has.
//!
//! The count leaves much out (weights, buffers of the products, the readers), so a training may still run out of memory. But one that
//! needs more than there is by this count cannot run, and is refused before it takes the machine down.

use crate::{
    Config, Error, Result,
    build::{latent_values, unet_values},
    gradient::images_in_work,
    role::NetworkKind,
};
use burn::tensor::Device;
use pig_nn::ops::is_cpu;
use std::path::Path;

/// Bytes of a number in networks.
const NUMBER: f64 = 4.0;

/// The least bytes of a pixel of a pair in memory: one for each channel of the image, and a bit for the mask.
fn least_bytes(channels: usize) -> f64 {
    channels as f64 + 0.125
}

/// The least memory that a training needs, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Needed {
    /// For the prepared pairs; 0 if they are read from a file.
    pub pairs: f64,
    /// For what the largest network keeps of the images in work for its backward pass.
    pub batch: f64,
}

impl Needed {
    /// Counts for a training on so many pairs. If they are `in_a_file`, they need no memory to speak of.
    pub fn of(config: &Config, pairs: usize, in_a_file: bool) -> Self {
        let [height, width] = config.data.size;
        let pair = (height * width) as f64 * least_bytes(config.data.channels.count());
        let network = |role: crate::role::Role| match role.kind() {
            NetworkKind::UNet | NetworkKind::ControlNet => unet_values(config, role),
            NetworkKind::Autoencoder => latent_values(config).iter().sum(),
        };
        // With gradient checkpointing, a network keeps less, by how much depends on its blocks.
        let kept = if config.train.gradient_checkpointing { 0.0 } else { in_work(config) as f64 };
        let largest = config.trained_roles().map(network).fold(0.0, f64::max);
        Self { pairs: if in_a_file { 0.0 } else { pair * pairs as f64 }, batch: NUMBER * kept * largest }
    }

    /// Everything.
    pub fn total(&self) -> f64 {
        self.pairs + self.batch
    }
}

fn in_work(config: &Config) -> usize {
    images_in_work(&config.train, rayon::current_num_threads())
}

/// Refuses a training that needs more memory than the machine has. Of a device that is not the processor, the memory is not known, and
/// only that for the pairs counts.
///
/// # Errors
/// When the memory is too small, by the count of [`Needed`].
pub fn check(config: &Config, pairs: usize, in_a_file: bool, device: &Device) -> Result<()> {
    let needed = Needed::of(config, pairs, in_a_file);
    let bytes = if is_cpu(device) { needed.total() } else { needed.pairs };
    match available() {
        Some(available) if bytes > available as f64 => {
            let gigabytes = |bytes: f64| format!("{:.1} GB", bytes / 1e9);
            let [height, width] = config.data.size;
            Err(Error::Memory {
                found: gigabytes(available as f64),
                expected: gigabytes(bytes),
                parts: format!(
                    "{} for {pairs} pairs of {height} x {width}, {} for {} images in work at once",
                    gigabytes(needed.pairs),
                    gigabytes(needed.batch),
                    in_work(config)
                ),
            })
        }
        _ => Ok(()),
    }
}

/// The memory in bytes that this process can still get: what the system calls available, or what its control group leaves, if that is
/// less. Only Linux reports it without a library.
pub fn available() -> Option<u64> {
    let meminfo = pig_files::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let system = line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024;
    let groups = pig_files::read_to_string("/proc/self/cgroup").unwrap_or_default();
    Some(limits(&groups, Path::new("/sys/fs/cgroup")).into_iter().fold(system, u64::min))
}

/// What the control groups of a process leave of their limits, each in bytes. `groups` is the process's `/proc/self/cgroup`, `root`
/// where control groups are mounted. A group without a limit is not among them.
fn limits(groups: &str, root: &Path) -> Vec<u64> {
    let mut left = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let (mount, files) = if controllers.is_empty() {
            (root.to_path_buf(), ["memory.max", "memory.current"])
        } else if controllers.split(',').any(|name| name == "memory") {
            (root.join("memory"), ["memory.limit_in_bytes", "memory.usage_in_bytes"])
        } else {
            continue;
        };
        // A limit of a group above counts, too. In a container, the group's own path may not be visible, but the mount is its group.
        let own = mount.join(path.trim_start_matches('/'));
        for folder in own.ancestors().take_while(|folder| folder.starts_with(&mount)) {
            let number = |file: &str| pig_files::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
            if let [Some(limit), Some(used)] = files.map(number) {
                left.push(limit.saturating_sub(used));
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    fn with(sets: &[&str]) -> Config {
        Layers { file: None, sets: sets.iter().map(|&set| set.to_owned()).collect() }.load().unwrap()
    }

    #[test]
    fn pairs_take_a_byte_a_value_and_a_bit_a_mask_or_nothing_in_a_file() {
        let config = with(&["data.size=[10, 20]", "data.channels=3"]);
        assert_eq!(Needed::of(&config, 7, false).pairs, (10.0 * 20.0 * 3.0 + 10.0 * 20.0 / 8.0) * 7.0);
        assert_eq!(Needed::of(&config, 7, true).pairs, 0.0);
    }

    #[test]
    fn a_batch_grows_with_its_images_and_their_pixels() {
        let batch = |sets: &[&str]| {
            let sets: Vec<&str> = ["train.micro_batch_size=0"].iter().chain(sets).copied().collect();
            Needed::of(&with(&sets), 1, false).batch
        };
        let small = batch(&["data.size=64", "train.batch_size=2"]);
        assert_eq!(batch(&["data.size=64", "train.batch_size=6"]), 3.0 * small);
        // The values of the time embedding do not grow with the pixels.
        let share = batch(&["data.size=128", "train.batch_size=2"]) / (4.0 * small);
        assert!(share < 1.0 && share > 0.999, "{share}");
        assert_eq!(batch(&["train.gradient_checkpointing=true"]), 0.0);
    }

    #[test]
    fn what_cannot_fit_is_refused_with_both_numbers() {
        let device = pig_device::testing::device();
        check(&with(&["data.size=16"]), 8, false, &device).unwrap();
        let Some(there) = available() else { return };
        let (config, pairs) = (with(&["data.size=8192"]), there as usize / (1 << 26) + 1);
        let message = check(&config, pairs, false, &device).unwrap_err().to_string();
        assert!(
            message.contains("8192 x 8192") && message.contains("GB") && message.contains("data.size"),
            "{message}"
        );
    }

    #[test]
    fn control_groups_limit_what_is_there() {
        let root = tempfile::tempdir().unwrap();
        let write = |place: &str, text: &str| {
            let path = root.path().join(place);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for (place, text) in [
            ("a/memory.max", "1000\n"),
            ("a/memory.current", "400\n"),
            ("a/b/memory.max", "max\n"),
            ("a/b/memory.current", "300\n"),
            ("memory/c/memory.limit_in_bytes", "90\n"),
            ("memory/c/memory.usage_in_bytes", "100\n"),
        ] {
            write(place, text);
        }
        assert_eq!(limits("0::/a/b\n", root.path()), [600]);
        assert_eq!(limits("5:cpu,memory:/c\n4:cpu:/c\n", root.path()), [0]);
        assert_eq!(limits("0::/gone\n", root.path()), Vec::<u64>::new());
    }
}
