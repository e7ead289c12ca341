//! The locks of the core: std's, or shuttle's for the interleaving tests of `partition`.
//!
//! A poisoned lock means that a panic happened inside a critical section; in production a panic ends the process,
//! in the simulator it ends the node. So nobody ever sees the state behind a poisoned lock.

#[cfg(not(feature = "shuttle"))]
pub use std::sync::{Arc, Mutex, MutexGuard, RwLock, atomic};

#[cfg(feature = "shuttle")]
pub use shuttle::sync::{Arc, Mutex, MutexGuard, RwLock, atomic};
