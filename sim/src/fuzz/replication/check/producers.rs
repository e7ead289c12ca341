//! W12: the sequences of a producer follow each other in what is committed, and a replica knows of producers what its log
//! tells.

use super::{Violation, violated};
use crate::fuzz::replication::log::Entry;
use crate::fuzz::replication::world::World;
use jangbu_core::ids::ProducerId;

/// An entry is committed. Where retention has removed records, a replica that begins anew behind them may have forgotten
/// a producer, who then begins with any sequence (KIP-360).
pub(super) fn committed(world: &mut World, entry: &Entry, offset: i64) -> Result<(), Violation> {
    if entry.producer < 0 || world.book.has_retained {
        return Ok(());
    }
    let expected = &mut world.book.next_sequences[entry.producer as usize];
    let is_new_epoch = entry.producer_epoch > expected.0 && entry.sequence == 0;
    if !is_new_epoch && *expected != (entry.producer_epoch, entry.sequence) {
        let (producer, sequence, wanted) = (entry.producer, entry.sequence, expected.1);
        return violated(
            "W12",
            format!("offset {offset}: producer {producer} has sequence {sequence} where {wanted} follows"),
        );
    }
    *expected = (entry.producer_epoch, entry.sequence + 1);
    Ok(())
}

/// A replica's producers, at the offset where its log ends, are the fold of the log. Of what retention has removed more
/// may be remembered.
pub fn is_folded(world: &World, number: u8) -> Result<(), Violation> {
    let log = &world.broker(number).log;
    let folded = log.folded_producers();
    let is_it = if log.start() == 0 {
        log.producers == folded
    } else {
        let newest = |id: ProducerId| {
            let producer = log.producers.get(id)?;
            Some((producer.epoch, producer.batches.back().copied()))
        };
        folded.iter().all(|(id, known)| newest(id) == Some((known.epoch, known.batches.back().copied())))
    };
    match is_it {
        true => Ok(()),
        false => violated("W12", format!("broker {number} knows of producers what its log does not tell")),
    }
}
