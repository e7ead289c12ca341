//! When a batch of an idempotent producer enters the producer state, and when it is taken for a repetition (KIP-98).

use super::producers::{Admission, ProducerError, Producers};
use crate::ids::Offset;
use crate::museum::{Switch, Switches};
use crate::record::batch::BatchHeader;

/// Whether a producer of which nothing is known may begin with this sequence: with 0, or with any other one where
/// retention may have removed what it wrote before (KIP-360). In a log that is whole it would overtake a batch that is
/// still on its way.
fn may_begin(sequence: i32, log_start: Offset, switches: Switches) -> bool {
    sequence == 0 || log_start > Offset::ZERO || switches.off(Switch::AnyFirstSequence)
}

/// Whether a leader may append a batch of a client. Changes nothing: [`note_append`] follows when the batch is in the
/// log (KAFKA-6683).
///
/// # Errors
/// See [`ProducerError`].
pub fn admit(
    producers: &Producers,
    header: &BatchHeader,
    log_start: Offset,
    switches: Switches,
) -> Result<Admission, ProducerError> {
    if !header.is_idempotent() {
        return Ok(Admission::New);
    }
    let (producer_id, offered) = (header.producer_id, header.base_sequence);
    if producers.get(producer_id).is_none() && !may_begin(offered, log_start, switches) {
        return Err(ProducerError::OutOfOrderSequence { producer_id, offered, expected: 0 });
    }
    match producers.check(header)? {
        Admission::Duplicate { .. } if switches.off(Switch::NoDedup) => {
            Err(ProducerError::OutOfOrderSequence { producer_id, offered, expected: offered.wrapping_add(1) })
        }
        admission => Ok(admission),
    }
}

/// Before the append: nothing happens to the producer state, for the append may fail (KAFKA-6683).
pub fn note_attempt(producers: &mut Producers, header: &BatchHeader, switches: Switches) {
    if switches.off(Switch::PidStateBeforeAppend) {
        producers.apply(header);
    }
}

/// A batch is in the log: every replica folds it, whoever wrote it, for each may lead next.
pub fn note_append(producers: &mut Producers, header: &BatchHeader, is_leader: bool, switches: Switches) {
    let was_noted = is_leader && switches.off(Switch::PidStateBeforeAppend);
    if !was_noted && (is_leader || !switches.off(Switch::PidStateLeaderOnly)) {
        producers.apply(header);
    }
}
