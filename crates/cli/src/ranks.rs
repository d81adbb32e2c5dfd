//! The processes that train together, as `mpirun` starts them.

use anyhow::ensure;
use pig_train::ranks::{Link, Ranks};
use std::env;

/// Variables by which launchers tell a process how many there are: Open MPI's, and that of MPICH and its relatives.
const COUNTS: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// Variables by which launchers tell a process its number among those on its machine: Open MPI's, that of MPICH and its relatives, and Slurm's.
const LOCALS: [&str; 3] = ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"];

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

/// The number of this process, from 0, among those of its machine that train together; none if it works alone.
pub(crate) fn local() -> Option<usize> {
    (launched() > 1).then(|| number(&LOCALS).unwrap_or(0))
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
