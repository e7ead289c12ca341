/// Which of the node's two runtimes a task belongs to. A write that the disk stalls may block the data lane; it
/// must not cost an election, so raft, heartbeats and the controller live on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Metadata quorum, heartbeats, controller.
    Control,
    /// Connections, partitions, replication.
    Data,
}

/// What a world knows of a running task.
pub trait TaskHandle: Send + Sync + 'static {
    /// Ends the task at its next await, or at once when it is not being polled. Its destructors run.
    fn abort(&self);

    /// Whether the task has ended, in any way.
    fn is_finished(&self) -> bool;
}

/// A running task, which ends when this is dropped: nothing is detached.
#[must_use = "dropping a Task ends it"]
pub struct Task(Box<dyn TaskHandle>);

impl Task {
    /// Wraps a world's handle.
    pub fn new(handle: impl TaskHandle) -> Self {
        Self(Box::new(handle))
    }

    /// Whether the task has ended, in any way.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Long work that can be done bit by bit: recovery, index rebuild, cleaning.
pub trait Stepper: Send + 'static {
    /// What it ends with.
    type Output: Send + 'static;

    /// Does the next bit: at most 1 MiB of bytes, or one change of a name.
    fn step(&mut self) -> Step<Self::Output>;
}

/// Whether a [`Stepper`] wants another step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// There is more to do.
    More,
    /// Done.
    Done(T),
}
