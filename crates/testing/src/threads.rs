//! Threads that exchange messages in pairs, as the processes of a parallel program do.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

/// One of several threads.
#[derive(Debug)]
pub struct Member {
    /// Its number, from 0.
    pub rank: usize,
    sent: Vec<Sender<Vec<u8>>>,
    received: Vec<Mutex<Receiver<Vec<u8>>>>,
}

impl Member {
    /// How many threads there are.
    pub fn count(&self) -> usize {
        self.sent.len()
    }

    /// Sends `mine` to `partner` and returns what it sends.
    ///
    /// # Errors
    /// When the partner has ended.
    pub fn exchange(&self, partner: usize, mine: &[u8]) -> io::Result<Vec<u8>> {
        let lost = io::ErrorKind::BrokenPipe;
        self.sent[partner].send(mine.to_vec()).map_err(|_| lost)?;
        let received = self.received[partner].lock().unwrap_or_else(PoisonError::into_inner);
        received.recv().map_err(|_| lost.into())
    }
}

/// Runs `job` in so many threads at once; returns their results in order.
///
/// # Panics
/// When a job panics.
pub fn in_members<T: Send>(count: usize, job: impl Fn(Member) -> T + Sync) -> Vec<T> {
    let mut sent: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
    let mut received: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
    for from in &mut sent {
        for to in &mut received {
            let (sender, receiver) = channel();
            from.push(sender);
            to.push(Mutex::new(receiver));
        }
    }
    let members = sent.into_iter().zip(received).enumerate();
    let job = &job;
    thread::scope(|scope| {
        let running: Vec<_> =
            members.map(|(rank, (sent, received))| scope.spawn(move || job(Member { rank, sent, received }))).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_exchange_what_they_have() {
        let found = in_members(3, |member| {
            let partner = [1, 0, 2][member.rank];
            let own = [member.rank as u8];
            if partner == member.rank { own.to_vec() } else { member.exchange(partner, &own).unwrap() }
        });
        assert_eq!(found, [[1], [0], [2]]);
        let lost = in_members(2, |member| member.rank == 1 || member.exchange(1, &[]).is_err());
        assert_eq!(lost, [true, true]);
    }
}
