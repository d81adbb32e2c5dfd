//! Who holds a folder.

use serde::{Deserialize, Serialize};
use std::{
    env,
    fmt::{self, Display},
    path::Path,
};

/// The process that holds a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The name of its machine.
    pub host: String,
    /// The start of its machine, by which machines of one name are told apart. Empty where the system does not say it.
    #[serde(default)]
    pub machine: String,
    /// The number of the process.
    pub process: u32,
    /// Its Slurm job, if it is part of one.
    #[serde(default)]
    pub job: Option<Job>,
}

/// A job of Slurm, or a task of an array of jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its own number, `SLURM_JOB_ID`; it stays when the job is put into the queue again.
    pub id: String,
    /// The job as users see it: `12`, or `12_3` for a task of an array.
    pub name: String,
    /// How often it was put into the queue again.
    pub restarts: u64,
}

impl Owner {
    /// This process.
    pub fn this() -> Self {
        Self {
            host: host(),
            machine: read("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
            process: std::process::id(),
            job: Job::of(&|name| env::var(name).ok()),
        }
    }

    /// Whether the process runs on this machine, as far as the system says it.
    pub fn is_on_this_machine(&self) -> bool {
        self.shares_machine(&Self::this())
    }

    /// Whether the process was on this machine and is not there any more; never true on systems without /proc.
    pub(super) fn has_ended(&self) -> bool {
        let proc = Path::new("/proc");
        !self.machine.is_empty()
            && self.is_on_this_machine()
            && proc.join("self").exists()
            && !proc.join(self.process.to_string()).exists()
    }

    /// Whether `earlier` was an earlier start of the same job. Slurm starts a job again only when its processes have ended.
    pub(super) fn follows(&self, earlier: &Self) -> bool {
        match (&self.job, &earlier.job) {
            (Some(own), Some(other)) => own.id == other.id && own.restarts > other.restarts,
            _ => false,
        }
    }

    /// Whether both are on one machine, as far as the system says it.
    pub(super) fn shares_machine(&self, other: &Self) -> bool {
        self.machine == other.machine && (!self.machine.is_empty() || self.host == other.host)
    }
}

impl Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.is_empty() {
            return f.write_str("another process");
        }
        write!(f, "process {} on {}", self.process, self.host)?;
        match &self.job {
            Some(job) => write!(f, " (Slurm job {})", job.name),
            None => Ok(()),
        }
    }
}

impl Job {
    fn of(variable: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let id = variable("SLURM_JOB_ID")?;
        let name = match (variable("SLURM_ARRAY_JOB_ID"), variable("SLURM_ARRAY_TASK_ID")) {
            (Some(array), Some(task)) => format!("{array}_{task}"),
            _ => id.clone(),
        };
        let restarts = variable("SLURM_RESTART_COUNT").and_then(|count| count.parse().ok()).unwrap_or(0);
        Some(Self { id, name, restarts })
    }
}

fn host() -> String {
    read("/proc/sys/kernel/hostname")
        .or_else(|| env::var("HOSTNAME").ok())
        .or_else(|| env::var("COMPUTERNAME").ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "this machine".to_owned())
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A process on a machine, and the number of restarts of its job 7 if it has one.
    pub(in crate::lock) fn owner(host: &str, restarts: Option<u64>) -> Owner {
        let job = restarts.map(|restarts| Job { id: "7".to_owned(), name: "5_2".to_owned(), restarts });
        Owner { host: host.to_owned(), machine: format!("started {host}"), process: 12, job }
    }

    #[test]
    fn a_job_is_named_as_slurm_shows_it() {
        let of = |set: &[(&str, &str)]| {
            let set: Vec<(String, String)> = set.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            Job::of(&move |name| set.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()))
        };
        assert_eq!(of(&[]), None);
        let job = of(&[("SLURM_JOB_ID", "9")]).unwrap();
        assert_eq!((job.id.as_str(), job.name.as_str(), job.restarts), ("9", "9", 0));
        let task = of(&[
            ("SLURM_JOB_ID", "9"),
            ("SLURM_ARRAY_JOB_ID", "8"),
            ("SLURM_ARRAY_TASK_ID", "1"),
            ("SLURM_RESTART_COUNT", "2"),
        ]);
        assert_eq!(task, Some(Job { id: "9".to_owned(), name: "8_1".to_owned(), restarts: 2 }));
    }

    #[test]
    fn owners_are_named_and_compared() {
        assert_eq!(owner("a", Some(0)).to_string(), "process 12 on a (Slurm job 5_2)");
        assert_eq!(owner("a", None).to_string(), "process 12 on a");
        assert_eq!(Owner::default().to_string(), "another process");
        assert!(owner("b", Some(1)).follows(&owner("a", Some(0))));
        assert!(!owner("b", Some(0)).follows(&owner("a", Some(0))));
        assert!(!owner("b", None).follows(&owner("a", Some(0))));
        assert!(owner("a", None).shares_machine(&owner("a", None)));
        assert!(!owner("a", None).shares_machine(&owner("b", None)));
        // Machines of one name that were started at other times.
        let other = Owner { machine: "later".to_owned(), ..owner("a", None) };
        assert!(!owner("a", None).shares_machine(&other));
        assert!(Owner::this().shares_machine(&Owner::this()));
    }
}
