//! The guards that history shows to be needed, each of which the simulator can take away.
//!
//! A guard is one named predicate in the module that owns the rule, and it asks [`Switches`] whether the simulator
//! has switched it off. Without feature `museum` a `Switches` is an empty value that always answers "no", so that
//! the product holds neither the test nor the names (a test of the product binary proves it).

macro_rules! switches {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $key:literal;)*) => {
        /// One guard that can be switched off.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Switch { $($(#[$doc])* $name,)* }

        #[cfg(feature = "museum")]
        impl Switch {
            /// Every switch: id in the bug museum, name, and the switch itself.
            pub const ALL: &'static [(&'static str, &'static str, Switch)] = &[$(($id, $key, Switch::$name),)*];
        }
    };
}

switches! {
    /// A proposal of another version of the partition's registration is accepted.
    NoPartitionEpoch = "B5", "no-partition-epoch";
    /// A proposal that is refused for a replica that may not join leaves the version of the partition's registration as
    /// it is, so that an older copy of it is accepted later.
    IneligibleKeepsEpoch = "B5", "ineligible-keeps-epoch";
    /// A proposal may name another incarnation of a replica than lives now (KIP-903, KAFKA-14139).
    NoBrokerEpoch = "B6", "no-broker-epoch";
    /// A leader names the incarnation of a replica that joins by what it reads when it sends, not by the fetch that showed
    /// it caught up (KAFKA-15221).
    EpochCheckTwice = "B6", "epoch-check-twice";
    /// A fenced replica, or one that shuts down, may join the ISR (KIP-841, KAFKA-13916).
    IsrAllowFenced = "B7", "isr-allow-fenced";
    /// There are no eligible leader replicas: the last one in sync stays so, whatever becomes of it (KIP-966).
    NoElr = "B8", "no-elr";
    /// A replica that stopped uncleanly stays eligible (KIP-966).
    ElrKeepUnclean = "B9", "elr-keep-unclean";
    /// Replicas stay eligible when enough others are in sync again (KIP-966).
    ElrSticky = "B10", "elr-sticky";
    /// Replicas stay eligible when min.insync.replicas changes (KIP-966).
    ElrSurvivesMinIsrChange = "B11", "elr-survives-minisr-change";
    /// The last known leader is elected though it is fenced (KAFKA-19522).
    ElectFenced = "B12", "elect-fenced";
    /// A reassignment forgets who is eligible.
    ElrForgetInReassign = "B13", "elr-forget-in-reassign";
    /// A broker that restarts within its session stays in sync and leads on (KAFKA-18106, KAFKA-18635).
    ReregistrationKeepsIsr = "B14", "rereg-keeps-isr";
    /// A controller that knows less than the leader refuses for good instead of naming itself the wrong one
    /// (KAFKA-14154).
    ZombieController = "B18", "zombie-controller";
    /// Brokers whose sessions end together are fenced on one state (KAFKA-13173).
    BatchFence = "B20", "batch-fence";
    /// A reassignment is complete when one of its targets is in sync (KAFKA-15665).
    ReassignEarly = "B21", "reassign-early";
    /// The clean-shutdown marker is removed after the logs are loaded instead of before (KAFKA-10471).
    MarkerDeleteLate = "C1", "marker-delete-late";
    /// The loading counts as finished only when the node has been serving for a while. Harmless alone: it takes away
    /// what hides C1, that nothing is written to a log between the start and the end of the loading.
    ServeWhileLoading = "C1+", "serve-while-loading";
    /// The recovery point is advanced before the flush that would justify it (KAFKA-10101).
    RecoveryPointEager = "C2", "recovery-point-eager";
    /// Checkpoint files are replaced without a sync of file and directory (KAFKA-16541, KAFKA-9892).
    CheckpointNoFsync = "C3", "ckpt-no-fsync";
    /// Appends go on after an I/O error, and a failed sync is simply tried again (KAFKA-10778).
    IgnoreIoError = "C4", "ignore-eio";
    /// The log end is advanced only after the index write, which may fail (KAFKA-7866).
    LogEndAfterIndex = "C5", "leo-after-index";
    /// Indexes found on disk after an unclean stop are trusted instead of rebuilt.
    TrustIndex = "C6", "trust-index";
    /// Recovery believes batch lengths and does not check CRCs.
    NoCrcRecovery = "C7", "no-crc-recovery";
    /// Acknowledged bytes may still be in a buffer of the process.
    UserBuffer = "C12", "user-buffer";
    /// A replica cuts its log to its own high watermark when it becomes a follower (KIP-101, KAFKA-3919).
    TruncateToHighWatermark = "A1", "trunc-to-hw";
    /// A leader knows the end of exact epochs only; a follower it cannot answer falls back to its high watermark
    /// (KIP-279, KAFKA-6361).
    EpochLookupExact = "A2", "epoch-lookup-exact";
    /// A leader tells where a log diverges without comparing leader epochs first (KIP-320).
    UnfencedTruncation = "A3", "unfenced-trunc";
    /// A replica fetch of another leader epoch is answered and counted (KIP-320, KAFKA-9338).
    UnfencedFetch = "A4", "unfenced-fetch";
    /// What a follower had in one leader epoch counts in the next (KIP-320).
    HighWatermarkAnyEpoch = "A5", "hw-any-epoch";
    /// A fetch carries no last fetched epoch: only an offset past the leader's end is seen to diverge (KIP-320).
    LazyTruncation = "A6", "lazy-trunc";
    /// A fetch whose answer is a diverging epoch counts as replicated up to its offset (KAFKA-13141).
    CountDivergingFetch = "A7", "count-diverging-fetch";
    /// A follower takes the leader's high watermark before it cuts its diverging tail (KAFKA-14704).
    HighWatermarkBeforeTruncation = "A8", "hw-before-trunc";
    /// A fetch response is obeyed after the partition left that leader or epoch (KAFKA-13207).
    LateTruncation = "A9", "late-trunc";
    /// A new epoch of the same leader is followed without asking where the logs diverge (KAFKA-7164).
    SameLeaderNoTruncation = "A10", "same-leader-no-trunc";
    /// A new leader does not note where its epoch begins (KAFKA-7415).
    NoEpochStart = "A11", "no-epoch-start";
    /// A cut at or past the log's end leaves the epoch cache alone (KAFKA-10706).
    CacheKeepTail = "A12", "cache-keep-tail";
    /// A recovered epoch cache lacks epoch 0 (KAFKA-10432).
    CacheSkipEpochZero = "A12", "cache-skip-epoch0";
    /// The high watermark is the largest end of the in-sync replicas instead of the smallest.
    HighWatermarkMax = "A13", "hw-max-instead-of-min";
    /// The high watermark does not wait for one of the in-sync replicas.
    HighWatermarkIgnoreOne = "A13", "hw-ignore-one";
    /// The high watermark moves while fewer than min.insync.replicas are in sync (KAFKA-15583).
    HighWatermarkUnderMinIsr = "A14", "hw-under-minisr";
    /// Consumers read to the log's end (KAFKA-9835, KAFKA-9838).
    ReadToLogEnd = "A15", "read-to-leo";
    /// A follower that starts over at the leader's log start keeps a high watermark below it (KAFKA-9491).
    HighWatermarkBelowStart = "A16", "hw-below-start";
    /// A repeated batch is acknowledged at once, though the original is not committed.
    DuplicateAckEarly = "A17", "dup-ack-early";
    /// A produce that waits is acknowledged when leadership changes and its records are still there.
    AckOnEpochMatch = "A18", "ack-on-epoch-match";
    /// A follower joins the ISR before it reached the start of the leader's epoch (KAFKA-7128).
    ExpandBelowEpochStart = "B1", "expand-no-leso";
    /// A follower joins the ISR before it reached the high watermark.
    ExpandBelowHighWatermark = "B2", "expand-no-hw";
    /// The high watermark does not wait for a replica that is being added to the ISR (KAFKA-8836).
    NoMaximalIsr = "B3", "no-maximal-isr";
    /// A replica that is to leave the ISR is no longer waited for before the controller has agreed.
    ShrinkEager = "B4", "shrink-eager";
    /// A leader that cannot reach the controller acknowledges at append.
    ZombieAck = "B16", "zombie-ack";
    /// min.insync.replicas is checked at append and not at completion.
    MinIsrAppendOnly = "B17", "minisr-append-only";
    /// min.insync.replicas is checked at completion and not at append.
    MinIsrAckOnly = "B17", "minisr-ack-only";
    /// A proposal of unknown outcome is taken back.
    RollbackOnTimeout = "B19", "rollback-on-timeout";
    /// What a leader knew of followers outside the ISR outlives its epoch.
    KeepStateOnEpochChange = "B21", "keep-state-on-epoch-change";
    /// Replicas that an old image does not assign to this broker are removed (KAFKA-13127, KAFKA-14616).
    SweepStaleImage = "B22", "sweep-stale-image";
    /// A broker that shuts down no longer follows the metadata (KAFKA-14296).
    ShutdownIgnoreMetadata = "B24", "shutdown-ignore-metadata";
    /// An accepted ISR change does not move the high watermark (KAFKA-13091).
    NoHighWatermarkAfterShrink = "B25", "no-hw-after-shrink";
    /// Only what a leader appended itself enters its producer state.
    PidStateLeaderOnly = "D1", "pid-state-leader-only";
    /// A repeated batch is not recognised: it is out of sequence.
    NoDedup = "D2", "no-dedup";
    /// An unknown producer may begin with any sequence, though the log is whole.
    AnyFirstSequence = "D4", "any-first-seq";
    /// The producer state is changed before the append is certain (KAFKA-6683).
    PidStateBeforeAppend = "D5", "pid-state-before-append";
    /// A vote is answered before it is durable.
    VoteNoFsync = "G1", "vote-no-fsync";
    /// A vote is granted to a candidate whose log is older.
    VoteNoLogCheck = "G2", "vote-no-log-check";
    /// A voter fetches on, and thereby acknowledges, before its log is flushed (KAFKA-10533).
    RaftAckUnflushed = "G3", "raft-ack-unflushed";
    /// The leader of the metadata log counts and replicates its own unflushed tail.
    RaftSelfUnflushed = "G3", "raft-self-unflushed";
    /// Records of an older epoch are committed by counting replicas (Raft figure 8, KAFKA-12619).
    CommitOldEpoch = "G4", "commit-old-epoch";
    /// A leader that restarts leads on in the same epoch (KAFKA-10527).
    ResumeLeader = "G5", "resume-leader";
    /// A follower obeys a divergence that lies below its high watermark (KAFKA-12460).
    RaftTruncateBelowHighWatermark = "G6", "raft-trunc-below-hw";
    /// A follower's position counts although its log was not found to match there.
    MatchFromLogEnd = "G7", "match-from-leo";
    /// A leader that no majority fetches from goes on leading (KAFKA-15489).
    NoCheckQuorum = "G8", "no-check-quorum";
    /// Elections begin without a pre-vote (KIP-996).
    NoPreVote = "G8", "no-prevote";
    /// A snapshot is named after the last record in it instead of the next one (KAFKA-14618).
    SnapshotOffByOne = "G9", "snap-off-by-one";
    /// A snapshot holds records that are not committed.
    SnapshotAboveHighWatermark = "G9", "snap-above-hw";
    /// An observer that can become a voter fetches on before its log is flushed (KAFKA-17332).
    ObserverNoFlush = "G10", "observer-noflush";
    /// Voters are told apart by id alone, not by directory (KIP-853).
    NoDirectoryId = "G11", "no-dir-id";
    /// Voters change before a record of the leader's own epoch is committed (Raft erratum of 2015).
    ReconfigureEarly = "G12", "reconfig-early";
}

/// Which guards are off. Part of the `Settings` of each module that has guards.
#[cfg(feature = "museum")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Switches(u128);

#[cfg(feature = "museum")]
impl Switches {
    /// All guards on, but this one off too.
    pub fn with(self, switch: Switch) -> Self {
        Self(self.0 | 1 << switch as u8)
    }

    /// Whether the guard is off.
    pub fn off(self, switch: Switch) -> bool {
        self.0 & (1 << switch as u8) != 0
    }
}

/// Which guards are off: none, in a build for production.
#[cfg(not(feature = "museum"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Switches(());

#[cfg(not(feature = "museum"))]
impl Switches {
    /// Whether the guard is off: never, in a build for production.
    #[inline(always)]
    pub const fn off(self, _switch: Switch) -> bool {
        false
    }
}
