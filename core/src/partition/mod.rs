//! The partitions a broker hosts: the one lock of each, what each publishes, who waits for it, and its flushes.
//!
//! A produce and a fetch meet here. The produce appends under the lock (`append`); the fetch reads one published
//! snapshot without it (`read`); whoever must wait is parked (`parked`) until progress or time wakes it. Durability is one more
//! mark that a partition publishes (`flush`, `flusher`).
//!
//! With one replica per partition the rules of `replica/` are restated here in their simplest form; where two files
//! say the same, that one is the rule.
//!
//! | file | what |
//! |---|---|
//! | `append.rs` | a produce: who leads, what is in order, what is appended and acknowledged |
//! | `progress.rs` | one published moment: every bound of a request is read from one |
//! | `read.rs`, `lookup.rs` | a fetch; ListOffsets and OffsetForLeaderEpoch |
//! | `parked.rs` | requests that wait |
//! | `flush.rs`, `flusher.rs` | when a flush is asked for, and what it proves; what it is worth to a record says `Settings::flush_first` |
//! | `retention.rs`, `leadership.rs` | what is removed; what a new leadership does |
//! | `loader.rs`, `directory.rs`, `table.rs`, `applier.rs` | from a directory to the partitions that serve, and from the metadata to what they are told |

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
pub use leadership::{ElectionError, LeadershipError};
pub use loader::{Found, LoadedMetadata};
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
