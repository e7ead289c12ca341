//! The start of a node, from the disk up.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};

use super::directories::{self, Directories, Ready};
use super::worker::Worker;
use super::{Node, StartError, Working, announcement};
use crate::api::Services;
use crate::config::Config;
use crate::controller::{Command, Registration, Rejection, Response};
use crate::env::{Clock, Env, Lane, Listener, Net};
use crate::ids::{BrokerEpoch, Offset, TopicPartition, Uuid};
use crate::log::recovery::Checkpointed;
use crate::metadata::MetadataImage;
use crate::metadata::records::{
    BrokerEndpoint, BrokerFeature, METADATA_VERSION, METADATA_VERSION_FEATURE, METADATA_VERSION_MIN,
};
use crate::partition::{Applier, Directory, Flusher, FlusherSettings, Found, LoadedMetadata, Parked, Table};
use crate::quorum::{self, Loaded, Publication, Quorum};
use crate::server::{self, Server};
use crate::sync::Arc;

/// The running parts of a node beside its server.
struct Parts<E: Env> {
    env: E,
    config: Arc<Config>,
    table: Arc<Table<E>>,
    parked: Arc<Parked>,
    directories: Vec<(Uuid, Working<E>)>,
}

pub(super) async fn start<E: Env>(env: E, config: Arc<Config>) -> Result<Node<E>, StartError> {
    let opened = directories::open(&env, &config).await?;
    if !config.is_sole_voter {
        return Err(StartError::NotSoleVoter);
    }
    let mut loaded = load_metadata(&env, &config, &opened).await?;
    if loaded.quorum.image().offset == Offset::UNKNOWN && opened.hold_partitions() {
        // Every log would be taken for that of a deleted topic.
        return Err(StartError::MetadataMissing);
    }
    let (parts, found) = assemble(&env, &config, opened);
    let mut applier = parts.applier();
    let removed_topics = std::mem::take(&mut loaded.removed_topics);
    let metadata = LoadedMetadata { image: loaded.quorum.image(), removed_topics };
    let recovered = announcement::logs_without_a_clean_stop(&found);
    for ((_, working), found) in parts.directories.iter().zip(found) {
        applier.load(&metadata, &working.directory, found).await;
        working.directory.log_dir().finish_loading().await?;
    }
    announcement::recovery(recovered);
    let address = config.listener.bind_address();
    let listener =
        env.net().listen(&address).await.map_err(|source| StartError::Listen { address, source })?;
    let port = listener.local_port();
    run_parts(parts, applier, loaded, (listener, port)).await
}

async fn load_metadata<E: Env>(
    env: &E,
    config: &Config,
    opened: &Directories<E>,
) -> Result<Loaded<E>, StartError> {
    let metadata = opened.ready.first().ok_or(StartError::NoDirectory)?;
    let log = crate::log::Settings {
        segment_bytes: config.metadata_segment_bytes,
        // What goes is decided by snapshots alone. The guards stay on: a node without metadata shows nothing.
        retention_ms: -1,
        retention_bytes: -1,
        ..Default::default()
    };
    let settings = quorum::Settings {
        node_id: config.node_id,
        directory_id: metadata.id,
        cluster_id: opened.cluster_id.clone(),
        controller: config.controller_settings(),
        log,
        bytes_between_snapshots: config.metadata_bytes_between_snapshots,
    };
    let checkpointed = metadata.found.checkpoints.of(TopicPartition::METADATA);
    let trust = (checkpointed, metadata.found.clean);
    Ok(quorum::load(env.clone(), Arc::clone(&metadata.dir), trust, settings).await?)
}

/// The parts, none of which runs yet, and what was found in each directory.
fn assemble<E: Env>(env: &E, config: &Arc<Config>, opened: Directories<E>) -> (Parts<E>, Vec<Found>) {
    let table = Arc::new(Table::default());
    let parked = Arc::new(Parked::default());
    let settings = FlusherSettings {
        recovery_point_interval: config.checkpoint_interval,
        log_start_interval: config.start_checkpoint_interval,
        retention_interval: config.retention_check_interval,
        high_watermark_interval: config.high_watermark_checkpoint_interval,
        producer_expiration: config.producer_expiration,
        ..FlusherSettings::default()
    };
    let mut directories = Vec::with_capacity(opened.ready.len());
    let mut all_found = Vec::with_capacity(opened.ready.len());
    for Ready { id, dir, found, takes_partitions } in opened.ready {
        let directory = Arc::new(Directory::new(dir, Arc::clone(&parked)));
        let flusher = Flusher::new(env.clone(), Arc::clone(&directory), Arc::clone(&table), settings.clone());
        directories.push((id, Working { directory, flusher: Arc::new(flusher), takes_partitions }));
        all_found.push(found);
    }
    (Parts { env: env.clone(), config: Arc::clone(config), table, parked, directories }, all_found)
}

impl<E: Env> Parts<E> {
    /// The directories that take partitions, by their ids.
    fn applier(&self) -> Applier<E> {
        let takes = self.directories.iter().filter(|(_, working)| working.takes_partitions);
        let directories: BTreeMap<Uuid, _> =
            takes.map(|(id, working)| (*id, Arc::clone(&working.directory))).collect();
        Applier::new(self.env.clone(), Arc::clone(&self.config), Arc::clone(&self.table), directories)
    }

    fn registration(&self, port: u16) -> Registration {
        let advertised = &self.config.advertised;
        let takes = self.directories.iter().filter(|(_, working)| working.takes_partitions);
        Registration {
            broker_id: self.config.node_id,
            incarnation_id: Uuid::at_time(self.env.clock().wall(), || self.env.random_u64()),
            previous_broker_epoch: None,
            endpoints: vec![BrokerEndpoint {
                name: advertised.name.clone(),
                host: advertised.host.clone(),
                port: if advertised.port == 0 { port } else { advertised.port },
                security_protocol: 0,
            }],
            features: vec![BrokerFeature {
                name: METADATA_VERSION_FEATURE.to_owned(),
                min: METADATA_VERSION_MIN,
                max: METADATA_VERSION,
            }],
            rack: self.config.rack.clone(),
            log_dirs: takes.map(|(id, _)| *id).collect(),
        }
    }
}

/// Sets everything to work, registers, and opens the doors.
async fn run_parts<E: Env>(
    parts: Parts<E>,
    applier: Applier<E>,
    loaded: Loaded<E>,
    (listener, port): (<E::Net as Net>::Listener, u16),
) -> Result<Node<E>, StartError> {
    let Loaded { quorum, driver, publications, removed_topics: _ } = loaded;
    let env = parts.env.clone();
    let (end, mut quorum_ended) = oneshot::channel();
    let quorum_worker = Worker::start(&env, Lane::Control, "quorum", async move {
        // Nobody waits any more when the node is gone.
        let _ = end.send(driver.run().await);
    });
    let (_, metadata) = parts.directories.first().ok_or(StartError::NoDirectory)?;
    let metadata = Arc::clone(&metadata.directory);
    let follow = follow(applier, (quorum.image(), publications), Arc::clone(&metadata));
    let mut workers = vec![Worker::start(&env, Lane::Data, "applier", follow)];
    workers.push(Worker::start(&env, Lane::Data, "parked", Arc::clone(&parts.parked).run(env.clone())));
    let mut flushers = Vec::with_capacity(2 * parts.directories.len());
    for (_, working) in &parts.directories {
        flushers.push(Worker::start(&env, Lane::Data, "flusher", Arc::clone(&working.flusher).run()));
        let background = Arc::clone(&working.flusher).run_background();
        flushers.push(Worker::start(&env, Lane::Data, "background", background));
    }
    let broker_epoch = match register(&quorum, parts.registration(port)).await {
        Ok(epoch) => epoch,
        Err(rejection) => {
            // The driver says what is behind it, if it failed.
            quorum.stop();
            return Err(match (&mut quorum_ended).await {
                Ok(Err(error)) => error.into(),
                Ok(Ok(_)) | Err(_) => rejection.into(),
            });
        }
    };
    for (key, given, holds) in parts.config.overruled(quorum.image().cluster_defaults()) {
        tracing::warn!(key, given, holds, "the cluster has another default, which holds: alter it there");
    }
    let services = Services::new(
        env,
        Arc::clone(&parts.config),
        (Arc::clone(&parts.table), Arc::clone(&parts.parked)),
        quorum.clone(),
    );
    let server = Server::serve(Arc::new(services), server::Settings::of(&parts.config), listener);
    let directories = parts.directories.into_iter().map(|(_, working)| working).collect();
    Ok(Node {
        server,
        quorum,
        directories,
        metadata,
        broker_epoch,
        workers,
        flushers,
        quorum_worker,
        quorum_ended,
    })
}

/// Follows the metadata on the data lane, and lets the answers go that wait for it.
async fn follow<E: Env>(
    mut applier: Applier<E>,
    (mut known, mut publications): (Arc<MetadataImage>, mpsc::UnboundedReceiver<Publication>),
    metadata: Arc<Directory<E::Disk>>,
) {
    while let Some(publication) = publications.recv().await {
        applier.apply(&publication.image, &publication.delta).await;
        announcement::topics(&known, &publication.image, &publication.delta);
        known = Arc::clone(&publication.image);
        // What is published was synced before: if less is there at the next start, metadata was lost.
        let end = Offset(publication.image.offset.0 + 1);
        let checkpointed = Checkpointed { recovery_point: end, log_start: Offset::ZERO, high_watermark: end };
        metadata.note(TopicPartition::METADATA, checkpointed);
        publication.followed();
    }
}

async fn register(quorum: &Quorum, registration: Registration) -> Result<BrokerEpoch, Rejection> {
    match quorum.submit(Command::RegisterBroker(registration)).await? {
        Response::Registered(epoch) => Ok(epoch),
        _ => Err(Rejection::NotController),
    }
}
