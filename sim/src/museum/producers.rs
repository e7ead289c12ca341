//! D: idempotent producers. Transactions come with their coordinator.

use jangbu_core::museum::Switch;

use super::{Exhibit, Shown, Tool};

const FOUND: Shown = Shown::By(Tool::FuzzReplication);

/// In the order of their ids.
pub const EXHIBITS: &[Exhibit] = &[
    Exhibit::new(
        Switch::PidStateLeaderOnly,
        "KIP-98: the producer state must follow the log, on followers and after each truncation",
        "a batch repeated to the next leader stands twice, or is refused for ever",
        FOUND,
    ),
    Exhibit::new(
        Switch::NoDedup,
        "KIP-98: a batch that was sent again because its answer was lost must be recognised",
        "a batch stands twice, or its producer is stuck out of sequence",
        FOUND,
    ),
    Exhibit::new(
        Switch::AnyFirstSequence,
        "KIP-360, KAFKA-9199: a producer without state may begin with any sequence, so that its second batch lands first",
        "a gap or another order",
        FOUND,
    ),
    Exhibit::new(
        Switch::PidStateBeforeAppend,
        "KAFKA-6683: the sequences are noted before the append is certain, and the append fails",
        "the batch that is sent again is taken for a duplicate: lost",
        FOUND,
    ),
];
