//! The museum: bugs that other logs had, as guards to take away, and what history calls them.

use jangbu_core::museum::Switch;

/// One bug.
#[derive(Debug)]
pub struct Exhibit {
    /// The guard against it.
    pub switch: Switch,
    /// Where it was met, and what happened.
    pub history: &'static str,
    /// The guard that hides it, to be taken away together with its own.
    pub hidden_by: Option<Hidden>,
}

/// Why a guard that is gone is not missed: another one does its work.
#[derive(Debug)]
pub struct Hidden {
    /// The other guard.
    pub switch: Switch,
    /// How it hides the bug.
    pub why: &'static str,
}

/// All bugs of storage, in the order of their ids.
pub const EXHIBITS: &[Exhibit] = &[
    Exhibit {
        switch: Switch::MarkerDeleteLate,
        history: "KAFKA-10471: a crash during the loading leaves the marker of the clean stop",
        hidden_by: Some(Hidden {
            switch: Switch::ServeWhileLoading,
            why: "from the start to the end of the loading nothing is written to a log, so a marker that is left is still true",
        }),
    },
    plain(
        Switch::RecoveryPointEager,
        "KAFKA-10101: the recovery point is ahead of what was flushed, and segments below are not checked",
    ),
    plain(
        Switch::CheckpointNoFsync,
        "KAFKA-16541, KAFKA-1539, KAFKA-9892: a checkpoint is empty or old after a loss of power",
    ),
    plain(Switch::IgnoreIoError, "KAFKA-10778: appends go on after a write error, a failed sync is repeated"),
    plain(Switch::LogEndAfterIndex, "KAFKA-7866: an index write fails, and the same offset is given twice"),
    plain(
        Switch::TrustIndex,
        "an index that was not synced is believed: zeros, holes, entries behind the data",
    ),
    plain(Switch::NoCrcRecovery, "a torn batch is kept: the length was written, the body was not"),
    plain(Switch::UserBuffer, "acknowledged bytes sit in a buffer of the process, and kill -9 loses them"),
];

const fn plain(switch: Switch, history: &'static str) -> Exhibit {
    Exhibit { switch, history, hidden_by: None }
}

/// Id and name of a guard.
///
/// # Panics
/// Never: every guard stands in the list of all.
pub fn label(switch: Switch) -> (&'static str, &'static str) {
    let row = Switch::ALL.iter().find(|(_, _, of)| *of == switch);
    row.map(|(id, name, _)| (*id, *name)).expect("the list of all switches is made with the enum")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guard_of_storage_is_shown_by_itself_or_as_what_hides_another() {
        // Those of the machines are missed by the schedule fuzzers and by the walks in the machines' own tests.
        for (_, name, switch) in Switch::ALL.iter().filter(|(id, ..)| id.starts_with('C')) {
            let shown = EXHIBITS.iter().filter(|exhibit| exhibit.switch == *switch).count();
            let hides = EXHIBITS.iter().filter_map(|exhibit| exhibit.hidden_by.as_ref());
            let hides = hides.filter(|hidden| hidden.switch == *switch).count();
            assert_eq!(shown + hides, 1, "{name}");
        }
    }
}
