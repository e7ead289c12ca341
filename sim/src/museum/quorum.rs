//! G: the metadata quorum.

use jangbu_core::museum::Switch;

use super::{Exhibit, Shown, Tool};

const FOUND: Shown = Shown::By(Tool::FuzzRaft);

/// In the order of their ids.
pub const EXHIBITS: &[Exhibit] = &[
    Exhibit::new(
        Switch::VoteNoFsync,
        "Raft section 5.1: a vote is answered before it is durable, and a restart votes again",
        "two leaders in one epoch",
        FOUND,
    ),
    Exhibit::new(
        Switch::VoteNoLogCheck,
        "Raft section 5.4.1: a candidate whose log is older is elected",
        "committed metadata are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::RaftAckUnflushed,
        "KAFKA-10533: a follower acknowledges before its log is flushed",
        "one loss of power loses what was committed",
        FOUND,
    ),
    Exhibit::new(
        Switch::RaftSelfUnflushed,
        "hiqlite PR 361: a leader counts and replicates its own unflushed tail",
        "one loss of power loses what was committed",
        FOUND,
    ),
    Exhibit::new(
        Switch::CommitOldEpoch,
        "Raft figure 8, KAFKA-12619: records of an older epoch are committed by counting replicas",
        "what was committed is overwritten",
        FOUND,
    ),
    Exhibit::new(
        Switch::ResumeLeader,
        "KAFKA-10527: a leader that restarts leads on in its epoch, without the tail that it lost",
        "two records at one offset of one epoch",
        FOUND,
    ),
    Exhibit::new(
        Switch::RaftTruncateBelowHighWatermark,
        "KAFKA-12460: a follower obeys a divergence below its high watermark",
        "what was committed is cut",
        FOUND,
    ),
    Exhibit::new(
        Switch::MatchFromLogEnd,
        "Redpanda d0e45c0b: a late answer reports the end of a log that was not found to match",
        "what no majority has counts as committed",
        FOUND,
    ),
    Exhibit::new(
        Switch::NoCheckQuorum,
        "KAFKA-15489: a leader that no majority fetches from goes on leading",
        "two controllers, and brokers that follow the wrong one",
        FOUND,
    ),
    Exhibit::new(
        Switch::NoPreVote,
        "KIP-996: a node that comes back raises epochs and deposes a leader that works",
        "elections without end",
        FOUND,
    ),
    Exhibit::new(
        Switch::SnapshotOffByOne,
        "KAFKA-14618: a snapshot is named after its last record instead of the next one",
        "a record is applied twice, or never",
        FOUND,
    ),
    Exhibit::new(
        Switch::SnapshotAboveHighWatermark,
        "KIP-630: a snapshot holds records that are not committed",
        "metadata that nobody decided",
        FOUND,
    ),
    Exhibit::new(
        Switch::ObserverNoFlush,
        "KAFKA-17332: an observer that becomes a voter goes on as it was, without flushing",
        "one loss of power loses what was committed",
        FOUND,
    ),
    Exhibit::new(
        Switch::NoDirectoryId,
        "KIP-853, RethinkDB 2.2.3: a node with an emptied disk votes as if it were the one that it was",
        "committed metadata are voted away",
        FOUND,
    ),
    Exhibit::new(
        Switch::ReconfigureEarly,
        "Raft's erratum of 2015: voters change before the leader committed a record of its own epoch",
        "two sets of voters that do not overlap: two leaders",
        FOUND,
    ),
    Exhibit::absent(
        ("G13", "applied-index-separate"),
        "etcd 3.5, issue 13766: the index of what was applied is stored apart from the data",
        "replicas whose states differ",
        "the metadata image is in memory and is always built anew, from a snapshot and the log behind it: there is no index to store",
    ),
    Exhibit::absent(
        ("G14", "skip-bad-record"),
        "KAFKA-14275: a standby controller skips a record that it cannot apply, and becomes active",
        "a controller with holes",
        "the raft machine applies nothing, and the image refuses such a record, which ends the node: a machine without that error has no guard to lose",
    ),
    Exhibit::absent(
        ("G15", "bump-before-log"),
        "Redpanda 31140: an epoch raised in memory is kept though its write to the log failed",
        "a write of the past is let in",
        "a decision returns records and changes nothing; the image changes by applying what is committed",
    ),
];
