//! What the checks know: what the nodes told, what the clients saw, and what the disks hold.

mod ledger;
mod scan;
mod seen;

pub use ledger::{Ledger, Replica, Written};
pub use scan::{Placed, Scan, SegmentScan, scan};
pub use seen::{ClientEvent, Seen, Slot};
