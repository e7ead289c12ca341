//! Why a node does not start, in the words of who set it up, and what helps.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use crate::controller::Rejection;
use crate::ids::BrokerId;
use crate::log::DiskError;
use crate::log::dir::OpenError;
use crate::quorum::{LoadError, QuorumError};

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A log directory could not be taken.
    #[error(transparent)]
    Directory(OpenError),
    /// A disk call failed.
    #[error("{}", InWords(.0))]
    Disk(DiskError),
    /// No directory is configured.
    #[error("log.dirs names no directory")]
    NoDirectory,
    /// None of the directories for partitions works; the log says why, of each.
    #[error("no directory of log.dirs could be opened: look after the disks, then start again")]
    NoWorkingDirectory,
    /// A directory of another node.
    #[error("{} belongs to node {theirs}, not to {ours}: set node.id={theirs} or another log.dirs", .path.display())]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// Its node.
        theirs: BrokerId,
        /// This node.
        ours: BrokerId,
    },
    /// A directory of another cluster.
    #[error("{} belongs to cluster {theirs}, not to {ours}: take it out of log.dirs", .path.display())]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// Its cluster.
        theirs: String,
        /// This cluster.
        ours: String,
    },
    /// Two names for one directory, or a copy of one.
    #[error("{} and {} are one directory or its copy: name it once in log.dirs", .path.display(), .other.display())]
    SameDirectory {
        /// One.
        path: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// Logs in a directory without `meta.properties`.
    #[error("{} holds logs but no meta.properties: restore that file, or name an empty directory", .0.display())]
    Unformatted(PathBuf),
    /// An empty metadata directory beside directories that are in use.
    #[error(
        "the metadata directory {} is empty, but {} is in use: what its logs belong to is lost; restore the metadata \
         directory from a copy", .path.display(), .other.display()
    )]
    Emptied {
        /// The metadata directory.
        path: PathBuf,
        /// A directory in use.
        other: PathBuf,
    },
    /// An empty metadata directory of one voter of several.
    #[error(
        "the metadata directory {} is empty and there are other voters: an emptied voter could vote committed metadata \
         away; format it by hand", .0.display()
    )]
    SeveralVoters(PathBuf),
    /// Several voters.
    #[error(
        "controller.quorum.voters names other voters, which this version does not support: name this node alone"
    )]
    NotSoleVoter,
    /// Logs without any metadata.
    #[error(
        "there are logs of topics, but the metadata log is empty: restore __cluster_metadata-0 from a copy"
    )]
    MetadataMissing,
    /// The metadata could not be loaded.
    #[error(transparent)]
    Load(LoadError),
    /// The port could not be taken.
    #[error("cannot listen on {address}: {source}; {}", listen_remedy(.source))]
    Listen {
        /// The address.
        address: String,
        /// What the network said.
        source: io::Error,
    },
    /// The metadata log failed while the node registered.
    #[error("the metadata directory failed: {0}; look after the disk, then start again")]
    Quorum(#[from] QuorumError),
    /// The registration was refused.
    #[error("the node could not register: {0}")]
    Registration(#[from] Rejection),
}

impl From<DiskError> for StartError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Disk(error) => Self::Disk(error),
            error => Self::Directory(error),
        }
    }
}

impl From<LoadError> for StartError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Disk(error) => Self::Disk(error),
            error => Self::Load(error),
        }
    }
}

/// A failed disk call in words: what was tried, on what, what the disk said, and what helps.
pub(super) struct InWords<'a>(pub(super) &'a DiskError);

/// Parts of the names of the core's disk sites, and what is done there.
const VERBS: &[(&str, &str)] = &[
    ("create", "create"),
    ("write", "write"),
    ("allocate", "reserve space for"),
    ("read", "read"),
    ("open", "open"),
    ("rename", "rename"),
    ("remove", "remove"),
    ("sync", "sync"),
    ("list", "list"),
    ("lock", "lock"),
    ("cut", "shorten"),
];

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DiskError { site, path, source } = self.0;
        let step = site.name().rsplit('.').next().unwrap_or_default();
        let verb = VERBS.iter().find(|(part, _)| step.contains(part)).map_or("use", |(_, verb)| verb);
        let remedy = match source.kind() {
            ErrorKind::PermissionDenied => {
                "let the user that runs the broker write there, or name another directory in log.dirs"
            }
            ErrorKind::ReadOnlyFilesystem => "mount it for writing, or name another directory in log.dirs",
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free space on that disk",
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                "a file is in the way: move it, or name another directory in log.dirs"
            }
            _ => "look after the disk, then start again",
        };
        write!(f, "cannot {verb} {}: {source}; {remedy}", path.display())
    }
}

/// What helps when an address cannot be listened on.
fn listen_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => "is another broker running?",
        ErrorKind::AddrNotAvailable => "no interface of this machine has that address, see `listeners`",
        ErrorKind::PermissionDenied => "ports below 1024 are for privileged users, see `listeners`",
        _ => "see `listeners`",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::log::sites;

    fn check(error: DiskError, expected: &str) {
        let text = StartError::from(error).to_string();
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn a_disk_call_that_stops_the_start_is_told_in_words_with_a_remedy_and_without_the_name_of_its_site() {
        let on = |site, kind: ErrorKind| DiskError {
            site,
            path: Path::new("/ro/data").to_owned(),
            source: kind.into(),
        };
        check(
            on(sites::DIR_CREATE, ErrorKind::PermissionDenied),
            "cannot create /ro/data: permission denied; let the user that runs the broker write there",
        );
        check(on(sites::DIR_LOCK, ErrorKind::ReadOnlyFilesystem), "cannot lock /ro/data: ");
        check(on(sites::CHECKPOINT_SYNC, ErrorKind::Other), "cannot sync /ro/data: ");
        for site in sites::ALL {
            let text = StartError::from(on(*site, ErrorKind::StorageFull)).to_string();
            assert!(!text.contains(site.name()) && text.ends_with("; free space on that disk"), "{text}");
        }
    }

    #[test]
    fn another_broker_is_suspected_only_where_the_port_is_taken() {
        let text = |kind: ErrorKind| {
            StartError::Listen { address: "h:1".to_owned(), source: kind.into() }.to_string()
        };
        assert!(text(ErrorKind::AddrInUse).ends_with("; is another broker running?"));
        for kind in [ErrorKind::AddrNotAvailable, ErrorKind::PermissionDenied, ErrorKind::Other] {
            let text = text(kind);
            assert!(!text.contains("another broker") && text.contains("see `listeners`"), "{text}");
        }
    }
}
