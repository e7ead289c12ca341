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
    /// The clean-shutdown marker is removed after the logs are loaded instead of before (KAFKA-10471).
    MarkerDeleteLate = "C1", "marker-delete-late";
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches(());

#[cfg(not(feature = "museum"))]
impl Switches {
    /// Whether the guard is off: never, in a build for production.
    #[inline(always)]
    pub const fn off(self, _switch: Switch) -> bool {
        false
    }
}
