//! A task that can be ended and waited for: what it held is gone when it has ended.

use tokio::sync::oneshot;

use crate::env::{Env, Lane, Task};

/// A task of the node. Dropping it ends it too, but says nothing about when.
pub(super) struct Worker {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
    _task: Task,
}

impl Worker {
    /// Starts a task.
    pub(super) fn start<E: Env>(
        env: &E,
        lane: Lane,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let task = env.spawn(lane, name, async move {
            tokio::select! {
                biased;
                _ = stopped => {}
                () = work => {}
            }
            // Whoever waits knows by this that `work` is dropped.
            let _ = end.send(());
        });
        Self { stop, ended, _task: task }
    }

    /// Waits until the task has ended by itself.
    pub(super) async fn ended(self) {
        let _ = self.ended.await;
    }

    /// Ends the task at its next await, and returns when it has ended.
    pub(super) async fn end(self) {
        drop(self.stop);
        // A task that panicked has ended as well.
        let _ = self.ended.await;
    }
}
