//! What the checks know: what the nodes told, what the clients saw, and what the disks hold.

mod batch;
mod durable;
mod ledger;
mod rot;
mod scan;
mod seen;
mod snapshot;

pub use durable::{Durable, DurableReader};
pub use ledger::{Ledger, Policy, Replica, Written};
pub use rot::Rot;
pub(crate) use scan::headers;
pub use scan::{Placed, Scan, SegmentScan, scan};
pub use seen::{ClientEvent, Seen, Slot};
pub(crate) use snapshot::fold;
pub use snapshot::{Fold, Producer};

#[cfg(test)]
pub(crate) use batch::tests::bytes as batch_bytes;
#[cfg(test)]
pub(crate) mod testing;
