//! A: truncation, fetch and the high watermark.

use jangbu_core::museum::Switch;

use super::{Exhibit, Shown, Tool};

const FOUND: Shown = Shown::By(Tool::FuzzReplication);

/// In the order of their ids.
pub const EXHIBITS: &[Exhibit] = &[
    Exhibit::new(
        Switch::TruncateToHighWatermark,
        "KIP-101, KAFKA-3919: a new follower cuts to its own high watermark, which is late by a fetch",
        "acknowledged records are lost, logs differ",
        FOUND,
    ),
    Exhibit::new(
        Switch::EpochLookupExact,
        "KIP-279, KAFKA-6361: a leader knows the end of exact epochs only, and two failovers in a row leave two histories",
        "logs differ",
        FOUND,
    ),
    Exhibit::new(
        Switch::UnfencedTruncation,
        "KIP-320: a follower learns its cut from a leader of an older epoch, which cuts itself later",
        "acknowledged records are lost",
        Shown::Tested(
            "a_follower_cuts_nothing_because_its_next_leader_says_so_who_leads_an_older_epoch_still",
            "the schedule is too long for chance: two deposed leaders, and a cut that arrives behind the second election",
        ),
    ),
    Exhibit::new(
        Switch::UnfencedFetch,
        "KIP-320, KAFKA-9338: a fetch of another leader epoch is answered and counted",
        "a deposed leader and a late follower agree with each other",
        FOUND,
    ),
    Exhibit::new(
        Switch::HighWatermarkAnyEpoch,
        "KIP-320: what a follower had in one leader epoch counts in the next, and is cut later",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::LazyTruncation,
        "KIP-320's first design: a fetch without its last epoch; only an offset past the end is seen to diverge",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::CountDivergingFetch,
        "KAFKA-13141: a fetch that is answered by a diverging epoch counts as replicated up to its offset",
        "the high watermark passes what will be cut",
        FOUND,
    ),
    Exhibit::new(
        Switch::HighWatermarkBeforeTruncation,
        "KAFKA-14704: a follower takes the leader's high watermark before it cuts its diverging tail",
        "a consumer reads what was never committed",
        FOUND,
    ),
    Exhibit::new(
        Switch::LateTruncation,
        "KAFKA-13207: a late response cuts a replica that leads by now",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::SameLeaderNoTruncation,
        "KAFKA-7164: the leader is the same, so epochs that passed in between are not asked about",
        "logs differ",
        FOUND,
    ),
    Exhibit::new(
        Switch::NoEpochStart,
        "KAFKA-7415: a new leader that has written nothing does not know where its epoch began",
        "logs differ, followers are stuck",
        FOUND,
    ),
    Exhibit::new(
        Switch::CacheKeepTail,
        "KAFKA-10706: a cut at the log's end leaves epochs in the cache that have no record",
        "followers are stuck, or logs differ",
        FOUND,
    ),
    Exhibit::new(
        Switch::CacheSkipEpochZero,
        "KAFKA-10432: recovery forgets epoch 0",
        "followers are stuck, or logs differ",
        FOUND,
    ),
    Exhibit::new(
        Switch::HighWatermarkMax,
        "Redpanda PR 14794: the high watermark is the largest end among the in-sync replicas",
        "records are read, and vanish",
        FOUND,
    ),
    Exhibit::new(
        Switch::HighWatermarkIgnoreOne,
        "Redpanda PR 14794: the high watermark does not wait for one of the in-sync replicas",
        "records are read, and vanish",
        FOUND,
    ),
    Exhibit::new(
        Switch::HighWatermarkUnderMinIsr,
        "KAFKA-15583: a lone leader moves the high watermark below min.insync.replicas",
        "an eligible replica without the record is elected cleanly",
        FOUND,
    ),
    Exhibit::new(
        Switch::ReadToLogEnd,
        "KAFKA-9835, KAFKA-9838, KAFKA-9196: a consumer is served up to the log's end",
        "records are read, and vanish",
        FOUND,
    ),
    Exhibit::new(
        Switch::HighWatermarkBelowStart,
        "KAFKA-9491: a follower that starts over at the leader's log start keeps a high watermark below it",
        "offsets out of range, a stuck leader",
        FOUND,
    ),
    Exhibit::new(
        Switch::DuplicateAckEarly,
        "Redpanda PR 5448, 5450: a repeated batch is acknowledged at once, though the original is not committed",
        "an acknowledged record is lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::AckOnEpochMatch,
        "Redpanda PR 3003: a change of leadership turns produce requests that wait into successes",
        "an acknowledged record is lost, or stands at another offset",
        FOUND,
    ),
];
