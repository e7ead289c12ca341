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
    /// A proposal may name another incarnation of a replica than lives now (KIP-903, KAFKA-14139).
    NoBrokerEpoch = "B6", "no-broker-epoch";
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
