//! Record batches, format v2 (KIP-98), the only one there is since Kafka 4.0.
//!
//! The broker looks at the 61 bytes of a batch's header and at its CRC; the records behind it are opaque to it.

pub mod batch;
