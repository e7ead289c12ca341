//! A whole broker in memory.

use std::path::PathBuf;

use super::*;
use crate::api::Services;
use crate::controller::{Controller, Registration};
use crate::ids::{BrokerId, Offset, TopicPartition, Uuid};
use crate::log::dir::LogDir;
use crate::metadata::MetadataImage;
use crate::metadata::records::BrokerEndpoint;
use crate::museum::Switches;
use crate::partition::{Directory, Flusher, FlusherSettings, Parked, Partition, Table};
use crate::sync::Arc;

pub(crate) struct Served {
    pub(crate) server: Server<Wired>,
    pub(crate) services: Arc<Services<Wired>>,
    _tasks: Vec<Task>,
}

pub(crate) async fn start(env: &Wired, config: Config, settings: Settings) -> Served {
    let config = Arc::new(config);
    let opened = LogDir::open(env.disk().clone(), PathBuf::from("/d"), Switches::default()).await.unwrap();
    let parked = Arc::new(Parked::default());
    let directory = Arc::new(Directory::new(Arc::new(opened.dir), parked.clone()));
    let table: Arc<Table<Wired>> = Arc::default();
    let mut controller = Controller::new(
        crate::controller::Settings {
            num_partitions: config.num_partitions,
            default_replication_factor: 1,
            delete_topics: true,
            check_config: |key, value| {
                crate::config::check_topic_config(key, value).map_err(|error| error.to_string())
            },
            list_default: |_| None,
        },
        MetadataImage::empty("cluster".into(), BrokerId(1)),
    );
    let registration = Registration {
        broker_id: BrokerId(1),
        incarnation_id: Uuid([1; 16]),
        endpoints: vec![BrokerEndpoint {
            name: "PLAINTEXT".into(),
            host: "test".into(),
            port: 9092,
            security_protocol: 0,
        }],
        features: Vec::new(),
        rack: None,
        log_dirs: vec![Uuid([2; 16])],
        was_clean: true,
    };
    let decision = controller
        .decide(&crate::controller::Command::RegisterBroker(registration), Offset(0), &mut || 7)
        .unwrap();
    for record in &decision.records {
        controller.apply(record).unwrap();
    }
    let (env2, table2, directory2, config2) = (env.clone(), table.clone(), directory.clone(), config.clone());
    let follow = move |image: &std::sync::Arc<MetadataImage>, delta: &crate::metadata::MetadataDelta| {
        for id in &delta.topics {
            let topic = image.topic_by_id(*id).unwrap();
            let held = config2.topic(image.topic_overrides(&topic.name));
            let settings = crate::partition::Settings {
                message_bytes_max: held.message_bytes_max as usize,
                flush_messages: held.flush_messages as u64,
                ..Default::default()
            };
            for (id, partition) in topic.named_partitions() {
                if table2.get(id).is_err() {
                    let log = directory2.log_dir().create_log(id, settings.log, Offset(0), env2.clock().wall()).unwrap();
                    table2.insert(Arc::new(Partition::new(id, log, Offset(0), settings, directory2.clone())));
                }
                table2.get(id).unwrap().become_leader(&env2, partition.leader_epoch).unwrap();
            }
        }
        for topic in delta.removed_topics.values() {
            for (id, _) in topic.named_partitions() {
                if let Some(partition) = table2.remove(id) {
                    partition.resign(&env2);
                }
            }
        }
    };
    let (quorum, task) = crate::quorum::in_memory(env, controller, follow);
    let flusher = Arc::new(Flusher::new(env.clone(), directory, table.clone(), FlusherSettings::default()));
    let tasks = vec![
        task,
        env.spawn(Lane::Data, "parked", parked.clone().run(env.clone())),
        env.spawn(Lane::Data, "flusher", flusher.run()),
    ];
    let services = Arc::new(Services::new(env.clone(), config, (table, parked), quorum));
    let server = Server::start(services.clone(), settings, "test:0").await.unwrap();
    Served { server, services, _tasks: tasks }
}

#[allow(dead_code)]
fn id(topic: Uuid) -> TopicPartition {
    TopicPartition::new(topic, 0)
}
