//! The partitions a broker hosts.

pub mod parked;

use crate::sync::{Mutex, MutexGuard};

/// Enters a critical section.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("a panic inside a critical section ends the node")
}
