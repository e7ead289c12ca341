//! The log directories of a start: taken, judged, and made this node's own where they are new.

use std::path::{Path, PathBuf};

use super::StartError;
use super::start_error::InWords;
use crate::config::Config;
use crate::env::Env;
use crate::ids::{TopicPartition, Uuid};
use crate::log::dir::{LogDir, OpenError, Opened};
use crate::log::meta_properties::MetaProperties;
use crate::partition::Found;
use crate::sync::Arc;

/// A directory that this node may use.
pub(super) struct Ready<E: Env> {
    pub(super) id: Uuid,
    pub(super) dir: Arc<LogDir<E::Disk>>,
    pub(super) found: Found,
    pub(super) takes_partitions: bool,
}

/// The directories of a node.
pub(super) struct Directories<E: Env> {
    pub(super) cluster_id: String,
    /// With the metadata directory first.
    pub(super) ready: Vec<Ready<E>>,
}

/// Takes all directories that the configuration names. One that fails is left out, unless it is the metadata's.
pub(super) async fn open<E: Env>(env: &E, config: &Config) -> Result<Directories<E>, StartError> {
    let mut opened =
        vec![LogDir::open(env.disk().clone(), config.metadata_log_dir.clone(), config.switches).await?];
    for path in config.log_dirs.iter().filter(|path| **path != config.metadata_log_dir) {
        match LogDir::open(env.disk().clone(), path.clone(), config.switches).await {
            Ok(directory) => opened.push(directory),
            Err(OpenError::Disk(error)) => {
                tracing::error!("a log directory is left out: {}", InWords(&error))
            }
            Err(error) => return Err(error.into()),
        }
    }
    let cluster_id = judge::<E>(config, &opened, || env.random_u64())?;
    let mut ready = Vec::with_capacity(opened.len());
    for directory in opened {
        let takes_partitions = config.log_dirs.iter().any(|path| path == directory.dir.path());
        ready.push(make_ready(env, config, &cluster_id, directory, takes_partitions).await?);
    }
    if !ready.iter().any(|ready| ready.takes_partitions) {
        return Err(StartError::NoWorkingDirectory);
    }
    check_ids(&ready)?;
    Ok(Directories { cluster_id, ready })
}

/// Whether the directories belong together and to this node; says to which cluster, or names a new one.
///
/// A node formats its metadata directory by itself only when no other voter could hold what an emptied one has lost,
/// and when nothing says that the directory was anything before.
fn judge<E: Env>(
    config: &Config,
    opened: &[Opened<E::Disk>],
    draw: impl FnMut() -> u64,
) -> Result<String, StartError> {
    let known = opened.iter().find_map(|directory| Some((directory, directory.meta.as_ref()?)));
    let wanted = config.cluster_id.as_ref().or(known.map(|(_, meta)| &meta.cluster_id));
    for directory in opened {
        let path = || directory.dir.path().to_owned();
        match &directory.meta {
            Some(meta) if meta.node_id != config.node_id => {
                return Err(StartError::OtherNode {
                    path: path(),
                    theirs: meta.node_id,
                    ours: config.node_id,
                });
            }
            Some(meta) if Some(&meta.cluster_id) != wanted => {
                let ours = wanted.cloned().unwrap_or_default();
                return Err(StartError::OtherCluster { path: path(), theirs: meta.cluster_id.clone(), ours });
            }
            None if !directory.partitions.is_empty() => return Err(StartError::Unformatted(path())),
            Some(_) | None => {}
        }
    }
    let metadata = opened.first().ok_or(StartError::NoDirectory)?;
    if metadata.meta.is_none() {
        let path = metadata.dir.path().to_owned();
        if !config.is_sole_voter {
            return Err(StartError::SeveralVoters(path));
        }
        if let Some((other, _)) = known {
            return Err(StartError::Emptied { path, other: other.dir.path().to_owned() });
        }
    }
    Ok(wanted.cloned().unwrap_or_else(|| Uuid::from_random(draw).to_string()))
}

async fn make_ready<E: Env>(
    env: &E,
    config: &Config,
    cluster_id: &str,
    opened: Opened<E::Disk>,
    takes_partitions: bool,
) -> Result<Ready<E>, StartError> {
    let Opened { dir, meta, clean, clean_broker_epoch: _, partitions, deleted, checkpoints } = opened;
    let id = match meta {
        Some(meta) => meta.directory_id,
        None => {
            let directory_id = Uuid::from_random(|| env.random_u64());
            let meta =
                MetaProperties { cluster_id: cluster_id.to_owned(), node_id: config.node_id, directory_id };
            dir.format(&meta).await?;
            directory_id
        }
    };
    let found = Found { partitions, deleted, checkpoints, clean };
    Ok(Ready { id, dir: Arc::new(dir), found, takes_partitions })
}

fn check_ids<E: Env>(ready: &[Ready<E>]) -> Result<(), StartError> {
    for (index, directory) in ready.iter().enumerate() {
        if let Some(other) = ready[..index].iter().find(|other| other.id == directory.id) {
            let of = |ready: &Ready<E>| -> PathBuf { Path::to_owned(ready.dir.path()) };
            return Err(StartError::SameDirectory { path: of(directory), other: of(other) });
        }
    }
    Ok(())
}

impl<E: Env> Directories<E> {
    /// Whether any directory holds logs of topics.
    pub(super) fn hold_partitions(&self) -> bool {
        let is_topic = |id: &TopicPartition| *id != TopicPartition::METADATA;
        self.ready.iter().any(|ready| ready.found.partitions.iter().any(is_topic))
    }
}
