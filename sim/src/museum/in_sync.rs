//! B: in-sync replicas, elections, the controller, and a broker's life.

use jangbu_core::museum::Switch;

use super::{Exhibit, Hidden, Shown, Tool};

const FOUND: Shown = Shown::By(Tool::FuzzReplication);

/// In the order of their ids.
pub const EXHIBITS: &[Exhibit] = &[
    Exhibit::new(
        Switch::ExpandBelowEpochStart,
        "KAFKA-7128: a follower joins the ISR at a stale high watermark, below the start of the leader's epoch",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::ExpandBelowHighWatermark,
        "KAFKA-7128: a follower joins the ISR before it reached the high watermark",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::NoMaximalIsr,
        "KAFKA-8836: the high watermark does not wait for a replica that is being added to the ISR",
        "the replica is elected without what was acknowledged",
        FOUND,
    ),
    Exhibit::new(
        Switch::ShrinkEager,
        "KIP-497: a replica that is to leave the ISR is not waited for before the controller has agreed",
        "the replica is elected without what was acknowledged",
        FOUND,
    ),
    Exhibit::new(
        Switch::NoPartitionEpoch,
        "KIP-497: an old proposal brings back a replica that the controller took out since",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::IneligibleKeepsEpoch,
        "KIP-497, KAFKA-8836: a proposal that was refused for a fenced replica is taken back, and an older copy of it is accepted when the replica serves again",
        "the replica is elected without what was acknowledged",
        Shown::Tested(
            "an_older_copy_of_a_proposal_that_was_refused_for_a_fenced_replica_is_not_carried_out_when_it_serves_again",
            "too rare for chance: two copies of one proposal, one of which arrives while the replica is fenced and the other when it serves again, with no other change between",
        ),
    ),
    Exhibit::new(
        Switch::NoBrokerEpoch,
        "KIP-903, KAFKA-14139: a follower joins by the fetches of an incarnation whose log was longer",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::EpochCheckTwice,
        "KAFKA-15221: the incarnations are read again when the proposal is sent, not when the fetches were judged",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::IsrAllowFenced,
        "KIP-841, KAFKA-13916: a fenced replica, or one that shuts down, joins the ISR",
        "the high watermark stands still, or a dead broker is elected",
        FOUND,
    ),
    Exhibit::new(
        Switch::NoElr,
        "KIP-966, the last replica standing: alone in sync, it commits, loses its tail and leads again",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::ElrKeepUnclean,
        "KIP-966: a replica that stopped uncleanly stays eligible",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::ElrSticky,
        "KIP-966: replicas stay eligible when enough others are in sync again",
        "one that missed what came later is elected",
        FOUND,
    ),
    Exhibit::new(
        Switch::ElrSurvivesMinIsrChange,
        "KIP-966, ClearElrRecord: replicas stay eligible when min.insync.replicas changes",
        "one that missed what came later is elected",
        FOUND,
    ),
    Exhibit::new(
        Switch::ElectFenced,
        "KAFKA-19522: the last known leader is elected though it is fenced",
        "a partition stays with a dead broker",
        FOUND,
    ),
    Exhibit::new(
        Switch::ElrForgetInReassign,
        "Kafka PR 20716: one way to change a partition forgets who is eligible",
        "no leader, or an unclean one",
        FOUND,
    ),
    Exhibit::new(
        Switch::ReregistrationKeepsIsr,
        "KAFKA-18106, KAFKA-18635: a broker that restarts within its session stays in sync and leads on",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::absent(
        ("B15", "unclean-on"),
        "unclean.leader.election.enable was on before 0.11 (Jepsen, Kafka 0.8): a replica out of sync is elected",
        "acknowledged records are lost",
        "it is a setting of the topic and no guard; half of the fuzzer's episodes beyond the budget turn it on, and these promise no more than agreement",
    ),
    Exhibit::new(
        Switch::ZombieAck,
        "a leader that cannot reach the controller acknowledges at append",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::MinIsrAppendOnly,
        "KAFKA-1555: min.insync.replicas is checked at append and not again at completion",
        "acknowledged by fewer replicas than was asked for",
        Shown::Paired(
            Tool::FuzzReplication,
            Hidden {
                switch: Switch::HighWatermarkUnderMinIsr,
                why: "the high watermark stands still while too few are in sync, so whatever is complete was complete before",
                check: Some("W8"),
            },
        ),
    ),
    Exhibit::new(
        Switch::MinIsrAckOnly,
        "KAFKA-1555: min.insync.replicas is checked at completion and not at append",
        "records are written that can only time out",
        FOUND,
    ),
    Exhibit::new(
        Switch::ZombieController,
        "KAFKA-14154: a deposed controller refuses for good instead of naming itself the wrong one",
        "a leader that never changes its ISR again",
        FOUND,
    ),
    Exhibit::new(
        Switch::RollbackOnTimeout,
        "KIP-497: a proposal of unknown outcome is taken back, though it was accepted",
        "the high watermark does not wait for who is in sync",
        FOUND,
    ),
    Exhibit::new(
        Switch::BatchFence,
        "KAFKA-13173: brokers whose sessions end together are fenced on one state",
        "a wrong leader or ISR",
        FOUND,
    ),
    Exhibit::new(
        Switch::ReassignEarly,
        "KAFKA-15665: a reassignment is complete before all its targets are in sync",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::KeepStateOnEpochChange,
        "Vanlightly, KIP-966 specification: what a leader knew of a replica outlives its removal and return",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::SweepStaleImage,
        "KAFKA-13127, KAFKA-14616: replicas that an old image does not assign to this broker are removed",
        "data are deleted",
        FOUND,
    ),
    Exhibit::absent(
        ("B23", "match-by-name"),
        "KIP-516, KAFKA-1819: a topic is deleted and made anew, and logs or requests are matched by its name",
        "records of a topic that is gone",
        "directories, replica fetches and the partitions of the metadata go by topic id: no machine looks a replica up by name, so there is no guard to take away",
    ),
    Exhibit::new(
        Switch::ShutdownIgnoreMetadata,
        "KAFKA-14296: a broker that shuts down no longer follows the metadata",
        "a shutdown without end, or a leader nobody elected",
        FOUND,
    ),
    Exhibit::new(
        Switch::NoHighWatermarkAfterShrink,
        "KAFKA-13091: an accepted ISR change does not move the high watermark",
        "a produce request that is never answered",
        FOUND,
    ),
];
