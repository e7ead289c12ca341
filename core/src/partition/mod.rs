//! The partitions a broker hosts: the one lock of each, what each publishes, who waits for it, and its flushes.
//!
//! A produce and a fetch meet here. The produce appends under the lock (`append`); the fetch reads one published
//! snapshot without it (`read`); whoever must wait is parked (`parked`) until progress or time wakes it. Durability is one more
//! mark that a partition publishes (`flush`, `flusher`).

mod append;
mod applier;
mod directory;
mod flush;
mod flusher;
mod leadership;
mod loader;
mod lookup;
mod parked;
#[allow(clippy::module_inception)] // the house's centre is called what it is
mod partition;
mod progress;
mod read;
mod retention;
mod settings;
mod table;

pub use append::{Acknowledgement, Acks, AppendError, Appended};
pub use applier::Applier;
pub use directory::{Directory, StorageError};
pub use flusher::{Flusher, Settings as FlusherSettings};
pub use leadership::LeadershipError;
pub use loader::Found;
pub use lookup::{FoundOffset, LOOKUP_READ, LookupBudget, LookupError, OffsetSpec};
pub use parked::{BytesNeed, OffsetNeed, Parked, Waiting, Watched};
pub use partition::Partition;
pub use progress::{Progress, Role, Snapshot};
pub use read::{Isolation, ReadError, ReadOutcome, ReadRequest};
pub use retention::DeleteRecordsError;
pub use settings::{Settings, TimestampBounds};
pub use table::{Table, TableError};

use crate::env::Site;
use crate::sync::{Mutex, MutexGuard};

/// Every place from which partitions themselves call the disk; the log has its own list.
pub const SITES: &[Site] = &[LOOKUP_READ];

/// Enters a critical section.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("a panic inside a critical section ends the node")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that finds an error where it expects none has failed
mod tests;
