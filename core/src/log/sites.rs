//! Every place from which the log calls the disk, so that a simulator can strike at each and count which it struck.

use crate::env::Site;

macro_rules! sites {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Site = Site::new($text);)*

        /// All of them.
        pub const ALL: &[Site] = &[$($name,)*];
    };
}

sites! {
    /// A batch goes to the active segment.
    APPEND_WRITE = "log.append.write";
    /// Space is reserved ahead of the appends.
    APPEND_ALLOCATE = "log.append.allocate";
    /// A partition's directory is created.
    CREATE_DIRECTORY = "log.create.directory";
    /// `partition.metadata` is created.
    CREATE_METADATA = "log.create.metadata";
    /// `partition.metadata` is written.
    CREATE_METADATA_WRITE = "log.create.metadata-write";
    /// A new active segment is created.
    SEGMENT_CREATE = "log.segment.create";
    /// A file of the same name, left by an earlier life, makes room for a new segment.
    SEGMENT_REPLACE = "log.segment.replace";
    /// A segment is opened to be read.
    SEGMENT_OPEN = "log.segment.open";
    /// Unused reserved space behind a sealed segment is given back.
    SEGMENT_TRIM = "log.segment.trim";
    /// An index file is opened or created for writing.
    INDEX_OPEN = "log.index.open";
    /// An index file is created.
    INDEX_CREATE = "log.index.create";
    /// Entries go to an index file.
    INDEX_WRITE = "log.index.write";
    /// Entries that a cut removed leave an index file.
    INDEX_TRUNCATE = "log.index.truncate";
    /// An index of a sealed segment is opened for a lookup.
    INDEX_OPEN_READ = "log.index.open-read";
    /// An entry of a sealed segment's index is read.
    INDEX_READ = "log.index.read";
    /// Batch headers are read to find an offset or a timestamp.
    LOCATE_READ = "log.locate.read";
    /// A producer snapshot is created.
    SNAPSHOT_CREATE = "log.snapshot.create";
    /// A producer snapshot is written.
    SNAPSHOT_WRITE = "log.snapshot.write";
    /// A producer snapshot is removed.
    SNAPSHOT_REMOVE = "log.snapshot.remove";
    /// A producer snapshot is opened.
    SNAPSHOT_OPEN = "log.snapshot.open";
    /// A producer snapshot is read.
    SNAPSHOT_READ = "log.snapshot.read";
    /// A whole segment is removed by a truncation.
    TRUNCATE_REMOVE = "log.truncate.remove";
    /// The segment with the cut is shortened.
    TRUNCATE_CUT = "log.truncate.cut";
    /// Headers are read to fold producers again after a truncation.
    TRUNCATE_FOLD = "log.truncate.fold";
    /// A file of a segment that retention took out gets a name that says so.
    RETENTION_RENAME = "log.retention.rename";
    /// A file of a segment that retention took out is removed.
    RETENTION_REMOVE = "log.retention.remove";
    /// The active segment is synced.
    FLUSH_SYNC_ACTIVE = "log.flush.sync-active";
    /// A sealed segment or one of its other files is opened to be synced.
    FLUSH_OPEN = "log.flush.open";
    /// A sealed segment is synced.
    FLUSH_SYNC_SEGMENT = "log.flush.sync-segment";
    /// An index or snapshot is synced.
    FLUSH_SYNC_INDEX = "log.flush.sync-index";
    /// The partition's directory is synced.
    FLUSH_SYNC_DIRECTORY = "log.flush.sync-directory";
    /// The directory that holds the partition's directory is synced.
    FLUSH_SYNC_PARENT = "log.flush.sync-parent";
    /// What a crash left of a temporary checkpoint is removed.
    CHECKPOINT_REMOVE = "log.checkpoint.remove";
    /// A temporary checkpoint is created.
    CHECKPOINT_CREATE = "log.checkpoint.create";
    /// A checkpoint is written.
    CHECKPOINT_WRITE = "log.checkpoint.write";
    /// A temporary checkpoint is synced.
    CHECKPOINT_SYNC = "log.checkpoint.sync";
    /// A checkpoint takes its name.
    CHECKPOINT_RENAME = "log.checkpoint.rename";
    /// The directory of a checkpoint is synced.
    CHECKPOINT_SYNC_DIRECTORY = "log.checkpoint.sync-directory";
    /// A checkpoint is opened.
    CHECKPOINT_OPEN = "log.checkpoint.open";
    /// A checkpoint is read.
    CHECKPOINT_READ = "log.checkpoint.read";
    /// A partition's directory is listed to be recovered.
    RECOVERY_LIST = "log.recovery.list";
    /// A segment is opened to be recovered.
    RECOVERY_OPEN = "log.recovery.open";
    /// A segment is read to be recovered.
    RECOVERY_READ = "log.recovery.read";
    /// What was read and may not be on the disk is written again.
    RECOVERY_REWRITE = "log.recovery.rewrite";
    /// A torn tail is cut off.
    RECOVERY_CUT = "log.recovery.cut";
    /// A segment whose end was cut off is synced.
    RECOVERY_SYNC = "log.recovery.sync";
    /// A file that does not belong to the log any more is removed.
    RECOVERY_REMOVE = "log.recovery.remove";
    /// A log directory is locked.
    DIR_LOCK = "log.dir.lock";
    /// A log directory is created.
    DIR_CREATE = "log.dir.create";
    /// A log directory is listed.
    DIR_LIST = "log.dir.list";
    /// The clean-shutdown marker is removed.
    DIR_MARKER_REMOVE = "log.dir.marker-remove";
    /// The log directory is synced after a change of names.
    DIR_SYNC = "log.dir.sync";
    /// A deleted partition's directory gets a name that says so.
    DIR_DELETE_RENAME = "log.dir.delete-rename";
    /// A deleted partition's directory is listed.
    DIR_DELETE_LIST = "log.dir.delete-list";
    /// A file of a deleted partition is removed.
    DIR_DELETE_REMOVE = "log.dir.delete-remove";
    /// A deleted partition's directory is removed.
    DIR_DELETE_REMOVE_DIR = "log.dir.delete-remove-dir";
}

/// Those that only a cut of the log's end comes to, [`Log::truncate_to`](super::Log::truncate_to). Nothing cuts the log
/// of a single node: a follower cuts its own where its leader's went another way (KIP-101), so whole nodes come here
/// with replication. Until then the model of the log (`tests/model.rs`) proves that each is struck.
pub const TRUNCATION: &[Site] = &[TRUNCATE_REMOVE, TRUNCATE_CUT, TRUNCATE_FOLD, INDEX_TRUNCATE];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_has_one_name_and_those_of_cuts_are_among_all() {
        let names: std::collections::BTreeSet<&str> = ALL.iter().map(|site| site.name()).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(TRUNCATION.iter().all(|site| ALL.contains(site)));
    }
}
