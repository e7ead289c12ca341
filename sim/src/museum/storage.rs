//! C: storage and recovery.

use jangbu_core::museum::Switch;

use super::{Exhibit, Hidden, Shown, Tool};

const FOUND: Shown = Shown::By(Tool::Scenario);

/// In the order of their ids.
pub const EXHIBITS: &[Exhibit] = &[
    Exhibit::new(
        Switch::MarkerDeleteLate,
        "KAFKA-10471: a crash during the loading leaves the marker of the clean stop",
        "recovery is skipped, and a torn log is believed",
        Shown::Paired(
            Tool::Scenario,
            Hidden {
                switch: Switch::ServeWhileLoading,
                why: "from the start to the end of the loading nothing is written to a log, so a marker that is left is still true",
                check: None,
            },
        ),
    ),
    Exhibit::new(
        Switch::ServeWhileLoading,
        "not a bug of anybody: the loading counts as finished only when the node has been serving for a while",
        "none",
        Shown::Companion("it takes away what hides C1, and alone it breaks no promise"),
    ),
    Exhibit::new(
        Switch::RecoveryPointEager,
        "KAFKA-10101: the recovery point is ahead of what was flushed, and segments below are not checked",
        "silent corruption",
        FOUND,
    ),
    Exhibit::new(
        Switch::CheckpointNoFsync,
        "KAFKA-16541, KAFKA-1539, KAFKA-9892: a checkpoint is empty or old after a loss of power",
        "the log starts without its epochs or its high watermark",
        FOUND,
    ),
    Exhibit::new(
        Switch::IgnoreIoError,
        "KAFKA-10778: appends go on after a write error, a failed sync is repeated",
        "acknowledged records are lost",
        FOUND,
    ),
    Exhibit::new(
        Switch::LogEndAfterIndex,
        "KAFKA-7866: an index write fails, and the same offset is given twice",
        "two records at one offset",
        FOUND,
    ),
    Exhibit::new(
        Switch::TrustIndex,
        "an index that was not synced is believed: zeros, holes, entries behind the data",
        "reads find the wrong place",
        FOUND,
    ),
    Exhibit::new(
        Switch::NoCrcRecovery,
        "a torn batch is kept: the length was written, the body was not",
        "consumers stumble over a batch that was never written whole",
        FOUND,
    ),
    Exhibit::new(
        Switch::UserBuffer,
        "acknowledged bytes sit in a buffer of the process, and kill -9 loses them",
        "acknowledged records are lost",
        FOUND,
    ),
];
