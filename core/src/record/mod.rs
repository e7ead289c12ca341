//! Record batches, format v2 (KIP-98), the only one there is since Kafka 4.0.
//!
//! The broker looks at the 61 bytes of a batch's header and at its CRC; the records behind it are opaque to it.
//! Whoever does decode records ([`records`], [`compression`]) must survive any bytes: a right CRC says that the
//! bytes are what the producer sent, not that they make sense.

pub mod batch;
pub mod builder;
pub mod compression;
pub mod records;
pub mod validate;
mod varint;
