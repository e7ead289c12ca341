//! The memory that requests may hold: `queued.max.request.bytes`.
//!
//! A request is charged before it is decoded, and the charge is given back when its handler has let go of its bytes:
//! not when it is answered, for a produce that waits for its replicas would then keep their fetches waiting for
//! memory. A large response is charged until it has been written, and a large read buffer as long as it is kept. As
//! in Kafka the last charge may overdraw: a request is admitted while anything is left, so that one larger than what
//! is left, or than the whole budget, still gets its turn. Who finds nothing left waits in line.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use crate::sync::{Arc, Mutex, MutexGuard};

/// A budget of bytes. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    bytes_max: i64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    available: i64,
    waiting: VecDeque<(i64, oneshot::Sender<Charge>)>,
}

/// Bytes taken from a [`Budget`], given back on drop.
#[derive(Debug, Default)]
pub struct Charge {
    budget: Option<Arc<Shared>>,
    bytes: i64,
}

impl Budget {
    /// A budget of `bytes_max`, or one without limit.
    pub fn new(bytes_max: Option<u64>) -> Self {
        Self(bytes_max.map(|bytes_max| {
            let bytes_max = i64::try_from(bytes_max).unwrap_or(i64::MAX);
            let state = Mutex::new(State { available: bytes_max, waiting: VecDeque::new() });
            Arc::new(Shared { bytes_max, state })
        }))
    }

    /// Takes `bytes` if anything is left and nobody waits.
    pub fn try_charge(&self, bytes: usize) -> Option<Charge> {
        let Some(shared) = &self.0 else { return Some(Charge::default()) };
        let mut state = shared.lock();
        if state.available <= 0 || !state.waiting.is_empty() {
            return None;
        }
        Some(shared.take(&mut state, to_signed(bytes)))
    }

    /// Takes `bytes` as soon as it is this caller's turn. Cancellation gives the turn back.
    pub async fn charge(&self, bytes: usize) -> Charge {
        if let Some(charge) = self.try_charge(bytes) {
            return charge;
        }
        let Some(shared) = &self.0 else { return Charge::default() };
        let (sender, receiver) = oneshot::channel();
        shared.lock().waiting.push_back((to_signed(bytes), sender));
        // The last charge may have been given back between the two locks.
        shared.grant();
        receiver.await.unwrap_or_default()
    }

    /// Takes `bytes` of memory that is in use already, whether or not so much is left: those who come then wait.
    pub fn overdraw(&self, bytes: usize) -> Charge {
        let Some(shared) = &self.0 else { return Charge::default() };
        shared.take(&mut shared.lock(), to_signed(bytes))
    }

    /// Takes `bytes` for what is of use but not needed: of the first half of the budget only, and if nobody waits.
    pub fn try_spare(&self, bytes: usize) -> Option<Charge> {
        let Some(shared) = &self.0 else { return Some(Charge::default()) };
        let mut state = shared.lock();
        let left = state.available.saturating_sub(to_signed(bytes));
        if left < shared.bytes_max / 2 || !state.waiting.is_empty() {
            return None;
        }
        Some(shared.take(&mut state, to_signed(bytes)))
    }

    /// Whether there is a limit at all.
    pub fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    /// Whether somebody waits, so that connections which hold a charge and make no progress are to be closed.
    pub fn is_exhausted(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| !shared.lock().waiting.is_empty())
    }

    /// Bytes charged at this moment; 0 without a limit.
    pub fn charged(&self) -> i64 {
        self.0.as_ref().map_or(0, |shared| shared.bytes_max - shared.lock().available)
    }
}

impl Charge {
    /// Whether it holds anything: without a limit it does not.
    pub fn is_some(&self) -> bool {
        self.budget.is_some()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic happens inside the budget")
    }

    fn take(self: &Arc<Self>, state: &mut State, bytes: i64) -> Charge {
        state.available = state.available.saturating_sub(bytes);
        Charge { budget: Some(Arc::clone(self)), bytes }
    }

    /// Serves those who wait, in order, while anything is left.
    fn grant(self: &Arc<Self>) {
        loop {
            let mut state = self.lock();
            if state.available <= 0 {
                return;
            }
            let Some((bytes, sender)) = state.waiting.pop_front() else { return };
            let charge = self.take(&mut state, bytes);
            drop(state);
            if let Err(mut refused) = sender.send(charge) {
                // Its connection is gone. Not by drop, which would recur for a long line of the gone.
                refused.budget = None;
                self.lock().available += bytes;
            }
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(shared) = self.budget.take() {
            shared.lock().available += self.bytes;
            shared.grant();
        }
    }
}

fn to_signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_charge_is_given_back_when_it_is_dropped() {
        let budget = Budget::new(Some(100));
        let charge = budget.try_charge(60).expect("room");
        assert_eq!(budget.charged(), 60);
        drop(charge);
        assert_eq!(budget.charged(), 0);
    }

    #[test]
    fn the_last_charge_may_overdraw_and_the_next_one_waits() {
        let budget = Budget::new(Some(100));
        let large = budget.try_charge(1_000).expect("a request larger than the budget gets its turn");
        assert!(budget.try_charge(1).is_none());
        drop(large);
        assert!(budget.try_charge(1).is_some());
    }

    #[test]
    fn what_is_not_needed_gets_of_the_first_half_only() {
        let budget = Budget::new(Some(100));
        let spare = budget.try_spare(50).expect("room");
        assert!(budget.try_spare(1).is_none());
        assert!(budget.try_charge(1).is_some());
        drop(spare);
        assert_eq!(budget.charged(), 0);
    }

    #[test]
    fn memory_that_is_in_use_is_charged_even_beyond_the_limit() {
        let budget = Budget::new(Some(100));
        let response = budget.overdraw(1_000);
        assert_eq!(budget.charged(), 1_000);
        assert!(budget.try_charge(1).is_none());
        drop(response);
        assert!(budget.try_charge(1).is_some());
    }

    #[test]
    fn those_who_wait_are_served_in_order_and_nobody_overtakes_them() {
        let budget = Budget::new(Some(100));
        let held = budget.try_charge(100).expect("room");
        let mut first = pin!(budget.charge(100));
        let mut second = pin!(budget.charge(100));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        assert!(budget.is_exhausted());
        drop(held);
        assert!(budget.try_charge(1).is_none());
        assert!(poll(second.as_mut()).is_pending());
        let Poll::Ready(charge) = poll(first.as_mut()) else { panic!("it was its turn") };
        drop(charge);
        assert!(poll(second.as_mut()).is_ready());
        assert_eq!(budget.charged(), 0);
    }

    #[test]
    fn who_leaves_the_line_keeps_nothing() {
        let budget = Budget::new(Some(100));
        let held = budget.try_charge(100).expect("room");
        {
            let mut gone = Box::pin(budget.charge(100));
            assert!(poll(gone.as_mut()).is_pending());
            let mut granted_and_gone = Box::pin(budget.charge(50));
            assert!(poll(granted_and_gone.as_mut()).is_pending());
            drop(gone);
            drop(held);
        }
        assert_eq!(budget.charged(), 0);
        assert!(budget.try_charge(1).is_some());
    }

    #[test]
    fn a_long_line_of_the_gone_does_not_recur() {
        let budget = Budget::new(Some(1));
        let held = budget.try_charge(1).expect("room");
        for _ in 0..100_000 {
            assert!(poll(Box::pin(budget.charge(1)).as_mut()).is_pending());
        }
        drop(held);
        assert_eq!(budget.charged(), 0);
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let budget = Budget::new(None);
        let _first = budget.try_charge(usize::MAX).expect("no limit");
        assert!(budget.try_charge(usize::MAX).is_some());
        assert!(!budget.is_exhausted());
    }
}
