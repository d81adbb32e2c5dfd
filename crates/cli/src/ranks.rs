//! The processes that train together, as `mpirun` starts them.

use anyhow::ensure;
use pig_device::Request;
use pig_train::ranks::{Link, Ranks};
use std::env;

/// Variables by which launchers tell a process how many there are: Open MPI's, and that of MPICH and its relatives.
const COUNTS: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// The variable by which a user tells a process its number among those on its machine, if the launcher does not. Some launchers set it, too.
const LOCAL: &str = "LOCAL_RANK";

/// Variables by which a process knows its number among those on its machine: Open MPI's, that of MPICH and its relatives, MVAPICH's, that of
/// HPE's launcher, and Slurm's; and that of users.
const LOCALS: [&str; 6] = [
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MPI_LOCALRANKID",
    "MV2_COMM_WORLD_LOCAL_RANK",
    "PALS_LOCAL_RANKID",
    "SLURM_LOCALID",
    LOCAL,
];

/// This process as a rank.
pub(crate) struct Process(link::Mpi);

/// The number in the first of these environment variables that has one.
fn number(names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| env::var(name).ok()?.trim().parse().ok())
}

/// How many processes a launcher has started.
fn launched() -> usize {
    number(&COUNTS).unwrap_or(1)
}

/// The place of a process among those of its machine that train together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Local {
    /// It works alone.
    Alone,
    /// Its number, from 0.
    Number(usize),
    /// Nothing tells its number.
    Unknown,
}

impl Local {
    /// The place of this process.
    pub(crate) fn found() -> Self {
        Self::of(launched(), number(&LOCALS))
    }

    /// The place of one of `count` processes, with this number among those of its machine if it is told.
    fn of(count: usize, number: Option<usize>) -> Self {
        match (count, number) {
            (..=1, _) => Self::Alone,
            (_, Some(number)) => Self::Number(number),
            (_, None) => Self::Unknown,
        }
    }

    /// What is wrong with taking the GPU `label`, because all processes of the machine take it; none if each has its own, or if the user asks
    /// for this one.
    pub(crate) fn warning(self, request: Request, label: &str) -> Option<String> {
        let is_chosen = matches!(request, Request::Kind(_, Some(_)));
        (self == Self::Unknown && !is_chosen).then(|| {
            format!(
                "nothing tells which of its machine's processes this is (none of the environment variables {} has a number), so all of them \
                 take {label}; set {LOCAL} to 0, 1, .. for the processes of a machine, or give --device {label} if the launcher shows each \
                 process its own GPU alone",
                LOCALS.join(", ")
            )
        })
    }
}

/// Refuses to run a command that knows no ranks in several processes, which would all do the same.
pub(crate) fn check_alone() -> anyhow::Result<()> {
    let count = launched();
    ensure!(
        count == 1,
        "{count} processes were started together, but only `pig train` divides its work among ranks; start this command once, or see \
         --shard and --jobs for work in pieces"
    );
    Ok(())
}

impl Process {
    /// This process, if a launcher has started several; none if it trains alone.
    pub(crate) fn join() -> anyhow::Result<Option<Self>> {
        match launched() {
            1 => Ok(None),
            count => Ok(Some(Self(link::Mpi::start(count)?))),
        }
    }

    /// The connection to the others.
    pub(crate) fn link(&self) -> &dyn Link {
        &self.0
    }

    /// What to do when the work has ended: leave the others in peace, or end them too, since they would wait for ever.
    pub(crate) fn leave<T>(self, result: anyhow::Result<T>) -> anyhow::Result<T> {
        match &result {
            Ok(_) => self.0.end(),
            Err(error) => self.0.abort(error),
        }
        result
    }
}

/// Uses the same vector instructions in all ranks, those that every machine has: results then do not depend on the machine.
pub(crate) fn align_instructions(ranks: Ranks<'_>) -> anyhow::Result<Option<String>> {
    let own = pig_kernels::Level::best();
    pig_kernels::Level::limit(ranks.least(own.number())?);
    let common = pig_kernels::Level::best();
    Ok((common != own).then(|| {
        format!("this machine computes with {} instead of {}, as others of this training do", common.name(), own.name())
    }))
}

#[cfg(feature = "mpi")]
mod link {
    use crate::failure::{USER_ERROR, message};
    use anyhow::Context;
    use mpi::{
        Threading,
        environment::Universe,
        point_to_point::send_receive_into,
        topology::{Communicator, SimpleCommunicator},
    };
    use pig_train::ranks::Link;
    use std::{io, mem};

    /// MPI, initialised.
    pub(super) struct Mpi {
        rank: usize,
        count: usize,
        universe: Universe,
    }

    impl Mpi {
        pub(super) fn start(_count: usize) -> anyhow::Result<Self> {
            // One thread at a time speaks to the others, but it need not be the first.
            let (universe, threading) =
                mpi::initialize_with_threading(Threading::Serialized).context("MPI was initialised twice")?;
            anyhow::ensure!(
                threading >= Threading::Serialized,
                "this MPI allows no threads; expected MPI_THREAD_SERIALIZED"
            );
            let world = universe.world();
            Ok(Self { rank: world.rank() as usize, count: world.size() as usize, universe })
        }

        /// Waits for the others and ends MPI.
        pub(super) fn end(self) {
            drop(self.universe);
        }

        /// Ends all processes.
        pub(super) fn abort(self, error: &anyhow::Error) {
            eprintln!("error: rank {}: {}", self.rank, message(error));
            let world = self.universe.world();
            mem::forget(self.universe);
            world.abort(i32::from(USER_ERROR));
        }
    }

    impl Link for Mpi {
        fn rank(&self) -> usize {
            self.rank
        }

        fn count(&self) -> usize {
            self.count
        }

        // MPI ends all processes when a connection is lost, so there is no error to return.
        fn exchange(&self, partner: usize, mine: &[u8]) -> io::Result<Vec<u8>> {
            let world = SimpleCommunicator::world();
            let partner = world.process_at_rank(partner as i32);
            let mut length = 0_u64;
            send_receive_into(&(mine.len() as u64), &partner, &mut length, &partner);
            let mut theirs = vec![0_u8; usize::try_from(length).map_err(io::Error::other)?];
            send_receive_into(mine, &partner, &mut theirs[..], &partner);
            Ok(theirs)
        }
    }
}

#[cfg(not(feature = "mpi"))]
mod link {
    use pig_train::ranks::Link;
    use std::io;

    /// MPI, which this program was built without: there is no value of this type.
    pub(super) enum Mpi {}

    impl Mpi {
        pub(super) fn start(count: usize) -> anyhow::Result<Self> {
            anyhow::bail!(
                "{count} processes were started together, but this program was built without MPI; expected one process, or a program that was \
                 built with `cargo build --release -p pig --features mpi`"
            )
        }

        pub(super) fn end(self) {
            match self {}
        }

        pub(super) fn abort(self, _error: &anyhow::Error) {
            match self {}
        }
    }

    impl Link for Mpi {
        fn rank(&self) -> usize {
            match *self {}
        }

        fn count(&self) -> usize {
            match *self {}
        }

        fn exchange(&self, _partner: usize, _mine: &[u8]) -> io::Result<Vec<u8>> {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_device::DeviceKind;

    #[test]
    fn a_process_takes_the_gpu_of_its_number_or_says_that_it_has_none() {
        assert_eq!([Local::of(1, None), Local::of(1, Some(3))], [Local::Alone; 2]);
        assert_eq!(Local::of(4, Some(3)), Local::Number(3));
        assert_eq!(Local::of(4, None), Local::Unknown);
        let any = [Request::Auto, Request::Kind(DeviceKind::Cuda, None)];
        for request in any {
            let text = Local::Unknown.warning(request, "cuda:0").unwrap();
            for words in ["SLURM_LOCALID", "set LOCAL_RANK", "all of them take cuda:0", "--device cuda:0"] {
                assert!(text.contains(words), "{words}: {text}");
            }
            assert_eq!([Local::Alone, Local::Number(1)].map(|known| known.warning(request, "cuda:0")), [None, None]);
        }
        // Whoever names a GPU gets it, in all processes.
        assert_eq!(Local::Unknown.warning(Request::Kind(DeviceKind::Cuda, Some(0)), "cuda:0"), None);
    }
}
