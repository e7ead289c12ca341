//! Nodes on a disk in memory, through stops, crashes and losses of power.

use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;

use super::*;
use crate::controller::{
    Command, ConfigChange, ConfigEdit, CreatedTopic, NewTopic, Rejection, Response, TopicReference,
};
use crate::env::memory::{MemoryDisk, PowerLoss};
use crate::env::{Disk, Site};
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, Offset, ProducerId, TopicPartition};
use crate::log::sites;
use crate::metadata::ConfigResource;
use crate::server::tests::{Client, Wired, ping};

const LIST: Site = Site::new("test.list");

fn config(pairs: &[(&str, &str)]) -> Config {
    let defaults = [("log.dirs", "/data"), ("listeners", "PLAINTEXT://localhost:0")];
    let all = defaults.iter().filter(|(key, _)| !pairs.iter().any(|(other, _)| other == key)).chain(pairs);
    Config::parse(all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
        .expect("the keys are right")
}

fn world(disk: &MemoryDisk) -> Wired {
    Wired::on(disk.clone(), 4096)
}

async fn start(env: &Wired) -> Result<Node<Wired>, StartError> {
    Node::start(env.clone(), config(&[])).await
}

async fn started(env: &Wired) -> Node<Wired> {
    start(env).await.unwrap_or_else(|error| panic!("the node must start: {error}"))
}

async fn create(node: &Node<Wired>, topic: NewTopic) -> Result<CreatedTopic, Rejection> {
    let command = Command::CreateTopics { topics: vec![topic], validate_only: false };
    match node.quorum().submit(command).await? {
        Response::TopicsCreated(mut results) => results.remove(0),
        other => panic!("not an answer to CreateTopics: {other:?}"),
    }
}

async fn stop(node: Node<Wired>) {
    node.run(std::future::ready(())).await.expect("a clean stop");
}

fn names(disk: &MemoryDisk) -> Vec<String> {
    disk.list(LIST, Path::new("/data")).expect("a directory").into_iter().map(|entry| entry.name).collect()
}

fn leader_epoch(node: &Node<Wired>, topic: &str) -> LeaderEpoch {
    node.quorum().image().topic(topic).expect("the topic is there").partitions[0].leader_epoch
}

#[test]
fn a_node_formats_an_empty_disk_and_serves_topics_until_it_stops_cleanly() {
    let disk = MemoryDisk::new(1);
    let env = world(&disk);
    let id = env.node.block_on(async {
        let node = started(&env).await;
        let created = create(&node, NewTopic { partitions: 2, ..NewTopic::with_defaults("t") })
            .await
            .expect("t is new");
        assert_eq!((created.partitions, created.replication_factor), (2, 1));
        assert_eq!(
            create(&node, NewTopic::with_defaults("t")).await,
            Err(Rejection::TopicExists("t".to_owned()))
        );
        stop(node).await;
        created.id
    });
    for name in ["meta.properties", ".kafka_cleanshutdown", "__cluster_metadata-0", &format!("{id}-1")] {
        assert!(names(&disk).contains(&name.to_owned()), "{name} in {:?}", names(&disk));
    }
    let disk = disk.restart_process();
    let env = world(&disk);
    env.node.keep_facts();
    env.node.block_on(async {
        let node = started(&env).await;
        assert!(
            !names(&disk).contains(&".kafka_cleanshutdown".to_owned()),
            "the marker is gone while the node runs"
        );
        assert_eq!(node.quorum().image().topic("t").expect("t is still there").id, id);
        stop(node).await;
    });
    let recovered = |fact: &&Fact| matches!(fact, Fact::Recovered { clean: true, .. });
    assert_eq!(
        env.node.take_facts().iter().filter(recovered).count(),
        3,
        "two partitions and the metadata log"
    );
}

#[test]
fn a_log_that_went_with_the_power_is_said_to_begin_anew() {
    let disk = MemoryDisk::new(1);
    let env = world(&disk);
    env.node.keep_facts();
    let id = env.node.block_on(async {
        let node = started(&env).await;
        create(&node, NewTopic::with_defaults("t")).await.expect("t is new").id
    });
    let begun = |env: &Wired, partition: TopicPartition| {
        let (log_start, log_end) = (Offset::ZERO, Offset::ZERO);
        env.node.take_facts().contains(&Fact::Recovered { partition, clean: false, log_start, log_end })
    };
    assert!(begun(&env, TopicPartition::METADATA));
    // What was answered is in the metadata, which was flushed; the topic's own log was not yet.
    let directory = TopicPartition::new(id, 0).to_string();
    assert!(names(&disk).contains(&directory));
    let disk = disk.restart_machine(PowerLoss::Everything);
    assert!(!names(&disk).contains(&directory));
    let env = world(&disk);
    env.node.keep_facts();
    env.node.block_on(async { stop(started(&env).await).await });
    assert!(
        begun(&env, TopicPartition::new(id, 0)),
        "its offsets will be given again, and checkers must know"
    );
}

#[test]
fn each_start_raises_the_leader_epoch_and_gives_a_new_broker_epoch() {
    let mut disk = MemoryDisk::new(1);
    let mut epochs = Vec::new();
    for round in 0..4 {
        let env = world(&disk);
        env.node.block_on(async {
            let node = started(&env).await;
            if round == 0 {
                create(&node, NewTopic::with_defaults("t")).await.expect("t is new");
            }
            let broker = node.quorum().image().broker(node_id()).expect("the node is registered").epoch;
            epochs.push((leader_epoch(&node, "t"), broker));
            if round == 1 {
                stop(node).await; // clean or not, the epoch rises
            }
        });
        disk = disk.restart_process();
    }
    let leader_epochs: Vec<i32> = epochs.iter().map(|(epoch, _)| epoch.0).collect();
    assert_eq!(leader_epochs, [0, 1, 2, 3]);
    assert!(epochs.is_sorted_by(|(_, left), (_, right)| left < right), "{epochs:?}");
}

fn node_id() -> crate::ids::BrokerId {
    config(&[]).node_id
}

#[test]
fn what_was_answered_survives_a_loss_of_power() {
    for seed in 0..20 {
        let disk = MemoryDisk::new(seed);
        let env = world(&disk);
        env.node.block_on(async {
            let node = started(&env).await;
            for name in ["a", "b", "c"] {
                create(&node, NewTopic::with_defaults(name)).await.expect("the topic is new");
            }
            let gone = TopicReference::Name("b".to_owned());
            node.quorum().submit(Command::DeleteTopics { topics: vec![gone] }).await.expect("b is there");
        });
        let disk = disk.restart_machine(PowerLoss::Subset);
        let env = world(&disk);
        env.node.block_on(async {
            let node = started(&env).await;
            let image = node.quorum().image();
            assert_eq!(image.topics().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
            assert_eq!(
                create(&node, NewTopic::with_defaults("b")).await.map(|topic| topic.partitions),
                Ok(1)
            );
        });
    }
}

/// Crashes in every disk call of a start and a creation, by a loss of power or of the process alone.
#[test]
fn a_crash_at_any_disk_call_leaves_a_directory_that_starts_again() {
    for power in [None, Some(PowerLoss::Subset)] {
        let mut nth = 0;
        loop {
            let disk = MemoryDisk::new(nth);
            disk.crash_at(nth);
            let env = world(&disk);
            let answered = env.node.block_on(async {
                let node = start(&env).await.ok()?;
                let created = create(&node, NewTopic::with_defaults("t")).await.ok()?;
                stop_if_it_can(node).await;
                Some(created.id)
            });
            let crashed = disk.calls() > nth;
            let disk = match power {
                Some(mode) => disk.restart_machine(mode),
                None => disk.restart_process(),
            };
            let env = world(&disk);
            env.node.block_on(async {
                let node =
                    start(&env).await.unwrap_or_else(|error| panic!("after a crash in call {nth}: {error}"));
                if let Some(id) = answered {
                    let image = node.quorum().image();
                    let topic =
                        image.topic("t").unwrap_or_else(|| panic!("t was lost by a crash in call {nth}"));
                    assert_eq!(topic.id, id);
                }
                let _ = create(&node, NewTopic::with_defaults("t")).await;
                stop(node).await;
            });
            if !crashed {
                break;
            }
            nth += 1;
        }
        assert!(nth > 50, "only {nth} calls were struck");
    }
}

async fn stop_if_it_can(node: Node<Wired>) {
    let _ = node.run(std::future::ready(())).await;
}

#[test]
fn deleted_topics_leave_no_files_behind_even_when_the_deletion_was_cut_short() {
    let disk = MemoryDisk::new(1);
    let env = world(&disk);
    let is_topic = |name: &String| {
        name.len() > 22 && !name.starts_with("__") && name != "recovery-point-offset-checkpoint"
    };
    let topics = |disk: &MemoryDisk| -> Vec<String> {
        let with_dash = |name: &String| name.as_bytes().get(22) == Some(&b'-');
        names(disk).into_iter().filter(|name| is_topic(name) && with_dash(name)).collect()
    };
    env.node.block_on(async {
        let node = started(&env).await;
        create(&node, NewTopic { partitions: 3, ..NewTopic::with_defaults("t") }).await.expect("t is new");
        assert_eq!(topics(&disk).len(), 3);
        let reference = TopicReference::Name("t".to_owned());
        node.quorum().submit(Command::DeleteTopics { topics: vec![reference] }).await.expect("t is there");
        // No file has been removed yet, only names were changed.
        assert!(topics(&disk).iter().all(|name| name.ends_with("-delete")), "{:?}", topics(&disk));
    });
    let disk = disk.restart_process();
    let env = world(&disk);
    env.node.block_on(async {
        let node = started(&env).await;
        env.sleep(Duration::from_secs(1)).await;
        assert_eq!(topics(&disk), Vec::<String>::new());
        stop(node).await;
    });
}

#[test]
fn two_nodes_cannot_share_a_directory() {
    let disk = MemoryDisk::new(1);
    let env = world(&disk);
    env.node.block_on(async {
        let _first = started(&env).await;
        let second = start(&env).await.err().expect("the directory is taken").to_string();
        assert_eq!(second, "/data is in use by another process");
    });
}

fn refusal(disk: &MemoryDisk, pairs: &[(&str, &str)]) -> String {
    let env = world(disk);
    let node = env.node.block_on(Node::start(env.clone(), config(pairs)));
    node.err().expect("the start must be refused").to_string()
}

#[test]
fn a_directory_of_another_node_cluster_or_quorum_is_refused() {
    let several = ("controller.quorum.voters", "1@a:1,2@b:1,3@c:1");
    assert!(refusal(&MemoryDisk::new(1), &[several]).contains("other voters"));

    let disk = MemoryDisk::new(1);
    let env = world(&disk);
    env.node.block_on(async { stop(started(&env).await).await });
    let disk = disk.restart_process();
    assert!(refusal(&disk, &[("node.id", "7")]).contains("belongs to node 1"));
    let disk = disk.restart_process();
    assert!(
        refusal(&disk, &[("log.dirs", "/new,/data"), ("metadata.log.dir", "/new")])
            .contains("is empty, but /data")
    );

    disk.put(
        "/data/meta.properties",
        b"version=1\ncluster.id=c\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAg\n",
    );
    let disk = disk.restart_process();
    let env = world(&disk);
    let mut alien = config(&[]);
    alien.cluster_id = Some("d".to_owned());
    let node = env.node.block_on(Node::start(env.clone(), alien));
    assert!(node.err().expect("another cluster").to_string().contains("belongs to cluster c, not to d"));
}

#[test]
fn logs_without_metadata_are_never_taken_for_deleted_topics() {
    let disk = MemoryDisk::new(1);
    let env = world(&disk);
    env.node.block_on(async {
        let node = started(&env).await;
        create(&node, NewTopic::with_defaults("t")).await.expect("t is new");
        stop(node).await;
    });
    let disk = disk.restart_process();
    let from = Path::new("/data/__cluster_metadata-0");
    disk.rename(LIST, from, Path::new("/data/elsewhere")).expect("the directory is there");
    let before = names(&disk);
    let text = refusal(&disk, &[]);
    assert!(text.contains("restore"), "{text}");
    let left = |names: Vec<String>| names.into_iter().filter(|name| name.ends_with("-0")).collect::<Vec<_>>();
    assert_eq!(left(names(&disk)).len(), left(before).len() + 1, "the topic's log stays");
}

#[test]
fn committed_metadata_that_is_missing_is_noticed() {
    let disk = MemoryDisk::new(1);
    let env = world(&disk);
    env.node.block_on(async {
        let node = started(&env).await;
        for index in 0..10 {
            create(&node, NewTopic::with_defaults(&format!("t{index}"))).await.expect("the topic is new");
        }
        stop(node).await;
    });
    let path = "/data/__cluster_metadata-0/00000000000000000000.log";
    let bytes = disk.bytes(path).expect("the metadata log");
    disk.put(path, &bytes[..bytes.len() / 2]);
    let disk = disk.restart_process();
    let text = refusal(&disk, &[]);
    assert!(text.contains("committed metadata is lost"), "{text}");
}

#[test]
fn a_failed_sync_of_the_metadata_ends_the_node_and_is_not_tried_again() {
    let disk = MemoryDisk::new(1);
    let env = world(&disk);
    env.node.block_on(async {
        let node = started(&env).await;
        disk.fail_next(sites::FLUSH_SYNC_ACTIVE, std::io::ErrorKind::Other);
        assert_eq!(create(&node, NewTopic::with_defaults("t")).await, Err(Rejection::NotController));
        let ended = node.run(std::future::pending()).await;
        assert!(matches!(ended, Err(Fatal::MetadataDirectory(_))), "{ended:?}");
    });
}

#[test]
fn one_of_several_directories_may_fail_but_not_the_last() {
    let disk = MemoryDisk::new(1);
    let env = world(&disk);
    let config = config(&[("log.dirs", "/a,/b"), ("metadata.log.dir", "/m")]);
    env.node.block_on(async {
        let node = Node::start(env.clone(), config).await.unwrap_or_else(|error| panic!("{error}"));
        let topic = NewTopic { partitions: 4, ..NewTopic::with_defaults("t") };
        create(&node, topic).await.expect("t is new");
        for dir in ["/a", "/b"] {
            let partitions = disk.list(LIST, Path::new(dir)).expect("a directory");
            assert_eq!(
                partitions.iter().filter(|entry| entry.is_dir).count(),
                2,
                "spread evenly: {partitions:?}"
            );
        }
        disk.fail_next(sites::SEGMENT_CREATE, std::io::ErrorKind::Other);
        create(&node, NewTopic::with_defaults("u")).await.expect("metadata has another directory");
        disk.fail_next(sites::SEGMENT_CREATE, std::io::ErrorKind::Other);
        // The controller does not know of the failure, so the topic may go to either directory.
        let topic = NewTopic { partitions: 2, ..NewTopic::with_defaults("v") };
        create(&node, topic).await.expect("metadata has another directory");
        let ended = node.run(std::future::pending()).await;
        assert!(matches!(ended, Err(Fatal::LastLogDirectory(_))), "{ended:?}");
    });
}

#[test]
fn producer_ids_are_never_given_twice_whatever_happens() {
    let mut disk = MemoryDisk::new(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let env = world(&disk);
        env.node.block_on(async {
            let node = started(&env).await;
            for _ in 0..1500 {
                let id: ProducerId = node.quorum().next_producer_id().await.expect("ids are not used up");
                assert!(seen.insert(id), "{id} was given before");
            }
        });
        disk = disk.restart_machine(PowerLoss::Subset);
    }
}

#[test]
fn a_snapshot_takes_the_place_of_the_log_before_it() {
    let disk = MemoryDisk::new(1);
    let env = world(&disk);
    let config = config(&[("metadata.log.max.record.bytes.between.snapshots", "2000")]);
    let snapshots = |disk: &MemoryDisk| -> Vec<String> {
        let entries = disk.list(LIST, Path::new("/data/__cluster_metadata-0")).expect("the metadata log");
        entries.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(".checkpoint")).collect()
    };
    let before = env.node.block_on(async {
        let node = Node::start(env.clone(), config.clone()).await.unwrap_or_else(|error| panic!("{error}"));
        for index in 0..50 {
            create(&node, NewTopic::with_defaults(&format!("t{index}"))).await.expect("the topic is new");
        }
        let resource = ConfigResource::topic("t7");
        let edit = ConfigEdit::Replace(vec![("retention.ms".to_owned(), Some("1000".to_owned()))]);
        let command =
            Command::AlterConfigs { resources: vec![ConfigChange { resource, edit }], validate_only: false };
        node.quorum().submit(command).await.expect("a good override");
        node.quorum().next_producer_id().await.expect("ids are not used up");
        node.quorum().image()
    });
    assert_eq!(snapshots(&disk).len(), 1, "{:?}", snapshots(&disk));
    assert!(
        disk.bytes("/data/__cluster_metadata-0/00000000000000000000.log").is_err(),
        "the first segment is gone"
    );
    let disk = disk.restart_machine(PowerLoss::Subset);
    let env = world(&disk);
    env.node.block_on(async {
        let node = Node::start(env.clone(), config).await.unwrap_or_else(|error| panic!("{error}"));
        let image = node.quorum().image();
        let names = |image: &crate::metadata::MetadataImage| -> Vec<(String, crate::ids::Uuid)> {
            image.topics().map(|topic| (topic.name.clone(), topic.id)).collect()
        };
        assert_eq!(names(&image), names(&before));
        assert_eq!(image.topic_overrides("t7"), before.topic_overrides("t7"));
        assert_eq!(image.next_producer_id(), before.next_producer_id());
        assert_eq!(leader_epoch(&node, "t0"), LeaderEpoch(1));
    });
}

#[test]
fn a_stop_waits_for_its_signal() {
    let disk = MemoryDisk::new(1);
    let env = world(&disk);
    env.node.block_on(async {
        let node = started(&env).await;
        assert!(node.port() > 0);
        let port = node.port();
        let (signal, shutdown) = oneshot::channel::<()>();
        let mut running = std::pin::pin!(node.run(async { drop(shutdown.await) }));
        tokio::select! {
            biased;
            _ = &mut running => panic!("the node stopped by itself"),
            () = env.sleep(Duration::from_secs(60)) => {}
        }
        let mut client = Client::connect(&env, port).await;
        client.send(ping(1)).await;
        tokio::select! {
            biased;
            _ = &mut running => panic!("the node stopped by itself"),
            answer = client.receive() => assert!(answer.is_some(), "it serves until it is told to stop"),
        }
        signal.send(()).expect("the node waits for it");
        running.await.expect("a clean stop");
    });
}
