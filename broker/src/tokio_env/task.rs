//! Tasks on tokio's runtimes, and work on its blocking pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jangbu_core::env::{Step, Stepper, TaskHandle};
use tokio::task::AbortHandle;

/// A task on one of the runtimes.
pub(super) struct TokioTask(pub(super) AbortHandle);

impl TaskHandle for TokioTask {
    fn abort(&self) {
        self.0.abort();
    }

    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// Runs what waits for the disk on a thread of the current runtime that may wait.
///
/// # Panics
/// When `work` panics; and outside a runtime.
pub(super) async fn on_blocking_pool<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Nobody aborts it, so the runtime is shutting down: this task ends at this await, too.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Tells the loop on the blocking pool that nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Loops the steps on the blocking pool.
pub(super) async fn run<S: Stepper>(mut stepper: S) -> S::Output {
    let stop = Arc::new(AtomicBool::new(false));
    let guard = StopOnDrop(Arc::clone(&stop));
    let output = on_blocking_pool(move || {
        while !stop.load(Ordering::Relaxed) {
            if let Step::Done(output) = stepper.step() {
                return Some(output);
            }
        }
        None
    })
    .await;
    drop(guard);
    output.expect("only dropping this future stops the steps")
}
