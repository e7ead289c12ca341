use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::env::Site;
use crate::ids::Offset;
use crate::record::batch::BatchError;

/// A disk call failed. The state of the pages is unknown: the directory goes offline, nothing is tried again. Unless it
/// [`DiskError::changed_nothing`].
#[derive(Debug)]
pub struct DiskError {
    /// Which call.
    pub site: Site,
    /// On which file or directory.
    pub path: PathBuf,
    /// What the disk said.
    pub source: io::Error,
}

impl DiskError {
    pub(super) fn new(site: Site, path: &Path, source: io::Error) -> Self {
        Self { site, path: path.into(), source }
    }

    /// Whether the process or the machine had no free descriptor (ENFILE, EMFILE). Then nothing was opened, so nothing
    /// was written or synced either, and the failure says nothing of the disk.
    pub fn changed_nothing(&self) -> bool {
        matches!(self.source.raw_os_error(), Some(23 | 24))
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}: {}", self.site, self.path.display(), self.source)
    }
}

impl std::error::Error for DiskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Names the call and the file of an I/O error.
pub(super) trait OnDisk<T> {
    fn on(self, site: Site, path: &Path) -> Result<T, DiskError>;
}

impl<T> OnDisk<T> for io::Result<T> {
    fn on(self, site: Site, path: &Path) -> Result<T, DiskError> {
        self.map_err(|source| DiskError::new(site, path, source))
    }
}

/// Why nothing was appended; or, for `Disk`, why it is unknown whether anything was.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The batch alone is larger than a segment may be (RECORD_LIST_TOO_LARGE): send smaller batches or raise
    /// `segment.bytes`.
    #[error("a batch of {size_bytes} bytes does not fit a segment of {segment_bytes}")]
    LargerThanSegment {
        /// Bytes of the batch.
        size_bytes: usize,
        /// Bytes of a segment.
        segment_bytes: u32,
    },
    /// The batch has negative deltas, or its offsets would pass the largest there is.
    #[error("the batch spans {last_offset_delta} offsets from {base_offset}, which cannot be")]
    Offsets {
        /// Where it would begin.
        base_offset: Offset,
        /// What it says of its length.
        last_offset_delta: i32,
    },
    /// A follower's batch does not begin at or after the log's end: fetch again from there.
    #[error("the batch begins at {offered} but the log ends at {log_end}")]
    NotAtEnd {
        /// Where the batch begins.
        offered: Offset,
        /// Where the log ends.
        log_end: Offset,
    },
    /// An earlier write to this log failed: its directory is offline.
    #[error("the log takes no more writes since one failed; its directory is offline")]
    Offline,
    /// A write failed. What of it is on the disk is unknown.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// OFFSET_OUT_OF_RANGE: the reader decides by its reset policy.
    #[error("offset {from} is not in the log, which has {log_start} to {log_end}")]
    OutOfRange {
        /// What was asked for.
        from: Offset,
        /// The first readable offset.
        log_start: Offset,
        /// One past the last.
        log_end: Offset,
    },
    /// The log was cut or cleaned while it was read, or the view is older than the bound: reading again with the
    /// current view gives the right answer.
    #[error("the log changed while it was read; read again")]
    CutMeanwhile,
    /// Bytes inside the log are no batch: the disk damaged them. The replica is to be fetched again.
    #[error("at position {position} of segment {segment} there is no batch: {source}")]
    Corrupt {
        /// The segment's base offset.
        segment: Offset,
        /// Where in its file.
        position: u64,
        /// What is wrong.
        source: BatchError,
    },
    /// A read failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Why a log was not created, opened, cut or closed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A disk call failed: the directory goes offline.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// What is in the log could not be read, which was needed to go on.
    #[error(transparent)]
    Read(ReadError),
    /// A write failed before, so that nobody knows what the files hold.
    #[error("the log takes no more writes after a failure")]
    Failed,
}

impl From<ReadError> for LogError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Disk(error) => Self::Disk(error),
            error => Self::Read(error),
        }
    }
}
