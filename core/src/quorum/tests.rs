use std::path::PathBuf;

use super::*;
use crate::config::Config;
use crate::controller::{NewTopic, Registration};
use crate::env::memory::{MemoryDisk, PowerLoss};
use crate::env::one_node::OneNode;
use crate::env::{Env, Lane, Task};
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, Offset, TopicPartition, Uuid};
use crate::log::dir::LogDir;
use crate::log::recovery::Checkpointed;
use crate::log::sites;
use crate::museum::Switches;
use crate::record::batch::Batch;
use crate::record::builder::BatchBuilder;
use crate::record::compression::Codec;
use crate::time::Timestamp;

type World = OneNode<MemoryDisk>;

fn settings() -> Settings {
    Settings {
        node_id: BrokerId(1),
        directory_id: Uuid([9; 16]),
        cluster_id: "c".to_owned(),
        controller: Config::default().controller_settings(),
        log: Default::default(),
        bytes_between_snapshots: u64::MAX,
    }
}

async fn open(env: &World) -> Arc<LogDir<MemoryDisk>> {
    let opened = LogDir::open(env.disk().clone(), PathBuf::from("/d"), Switches::default()).await;
    Arc::new(opened.unwrap_or_else(|error| panic!("{error}")).dir)
}

/// A quorum that works, with a data lane that has nothing to follow.
async fn start(env: &World) -> (Quorum, Vec<Task>) {
    start_with(env, settings()).await
}

async fn start_with(env: &World, settings: Settings) -> (Quorum, Vec<Task>) {
    let log_dir = open(env).await;
    let loaded = load(env.clone(), log_dir, (Checkpointed::default(), false), settings).await;
    let Loaded { quorum, driver, mut publications, .. } = loaded.unwrap_or_else(|error| panic!("{error}"));
    let drive = env.spawn(Lane::Control, "quorum", async move { drop(driver.run().await) });
    let follow = env.spawn(Lane::Data, "follow", async move {
        while let Some(publication) = publications.recv().await {
            publication.followed();
        }
    });
    let registration = Registration {
        broker_id: BrokerId(1),
        incarnation_id: Uuid([1; 16]),
        previous_broker_epoch: None,
        endpoints: Vec::new(),
        features: Vec::new(),
        rack: None,
        log_dirs: Vec::new(),
    };
    quorum.submit(Command::RegisterBroker(registration)).await.expect("a good registration");
    (quorum, vec![drive, follow])
}

fn create(name: &str) -> Command {
    Command::CreateTopics { topics: vec![NewTopic::with_defaults(name)], validate_only: false }
}

#[test]
fn commands_that_come_together_share_a_sync() {
    let env = OneNode::new(MemoryDisk::new(1));
    env.block_on(async {
        let (quorum, _tasks) = start(&env).await;
        env.keep_facts();
        let (answer, mut answers) = mpsc::unbounded_channel();
        let clients: Vec<Task> = (0..20)
            .map(|number| {
                let (quorum, answer) = (quorum.clone(), answer.clone());
                env.spawn(Lane::Data, "client", async move {
                    let _ = answer.send(quorum.submit(create(&format!("t{number}"))).await);
                })
            })
            .collect();
        for _ in &clients {
            answers.recv().await.expect("an answer for each").expect("the names are new");
        }
        let syncs = env.take_facts().iter().filter(|fact| matches!(fact, Fact::Flushed { .. })).count();
        assert!(syncs <= 3, "{syncs} syncs for 20 commands");
        assert_eq!(quorum.image().topic_count(), 20);
    });
}

#[test]
fn nobody_learns_of_what_was_not_synced() {
    let disk = MemoryDisk::new(1);
    let env = OneNode::new(disk.clone());
    env.block_on(async {
        let (quorum, _tasks) = start(&env).await;
        let before = quorum.image();
        disk.fail_next(sites::FLUSH_SYNC_ACTIVE, std::io::ErrorKind::Other);
        assert_eq!(quorum.submit(create("t")).await, Err(Rejection::OutcomeUnknown));
        assert_eq!(quorum.image(), before);
        assert_eq!(
            quorum.submit(create("u")).await,
            Err(Rejection::NotController),
            "and nothing is tried again"
        );
    });
}

/// What was appended is there after a restart, synced or not, when the machine itself lives on.
#[test]
fn a_command_whose_sync_failed_is_unknown_and_those_behind_it_certainly_had_no_effect() {
    let disk = MemoryDisk::new(1);
    let env = OneNode::new(disk.clone());
    env.block_on(async {
        let (quorum, _tasks) = start(&env).await;
        disk.fail_next(sites::FLUSH_SYNC_ACTIVE, std::io::ErrorKind::Other);
        let (answer, mut answers) = mpsc::unbounded_channel();
        let clients: Vec<Task> = (0..200)
            .map(|number| {
                let (quorum, answer) = (quorum.clone(), answer.clone());
                env.spawn(Lane::Data, "client", async move {
                    let _ = answer.send((number, quorum.submit(create(&format!("t{number}"))).await));
                })
            })
            .collect();
        let mut unknown = Vec::new();
        for _ in &clients {
            match answers.recv().await.expect("an answer for each") {
                (number, Err(Rejection::OutcomeUnknown)) => unknown.push(number),
                (_, told) => assert_eq!(told, Err(Rejection::NotController)),
            }
        }
        assert!(!unknown.is_empty() && unknown.len() <= 64, "those of one round: {unknown:?}");
        let left = OneNode::new(disk.restart_process());
        let log_dir = open(&left).await;
        let loaded = load(left.clone(), log_dir, (Checkpointed::default(), false), settings()).await;
        let image = loaded.unwrap_or_else(|error| panic!("{error}")).quorum.image();
        for number in 0..200 {
            let is_there = image.topic(&format!("t{number}")).is_some();
            assert!(!is_there || unknown.contains(&number), "t{number} is there, and was said not to be");
        }
        assert!(image.topic_count() > 0, "what was called unknown can indeed be there");
    });
}

#[test]
fn a_stop_answers_those_who_wait() {
    let env = OneNode::new(MemoryDisk::new(1));
    env.block_on(async {
        let (quorum, _tasks) = start(&env).await;
        quorum.stop();
        env.checkpoint().await;
        assert_eq!(quorum.submit(create("t")).await, Err(Rejection::NotController));
    });
}

#[test]
fn a_request_that_is_refused_writes_nothing() {
    let env = OneNode::new(MemoryDisk::new(1));
    env.block_on(async {
        let (quorum, _tasks) = start(&env).await;
        let before = quorum.image().offset;
        let Ok(Response::TopicsCreated(results)) = quorum.submit(create("no good")).await else {
            panic!("an answer to CreateTopics")
        };
        assert!(matches!(results[0], Err(Rejection::InvalidTopicName(_))));
        assert_eq!(quorum.image().offset, before);
    });
}

/// What a metadata log with this one record is loaded as.
fn load_with(value: &[u8]) -> Result<(), LoadError> {
    let env = OneNode::new(MemoryDisk::new(1));
    env.block_on(async {
        let log_dir = open(&env).await;
        let (metadata, now) = (TopicPartition::METADATA, Timestamp(1));
        let mut log = log_dir.create_log(metadata, Default::default(), Offset::ZERO, now).expect("a new log");
        let mut bytes = BatchBuilder::new(Codec::None).append(now, None, Some(value), &[]).build();
        let batch = Batch::split_from(&mut bytes).expect("a whole batch");
        log.append(&batch, LeaderEpoch(0), now).expect("there is room");
        drop(log);
        load(env.clone(), log_dir, (Checkpointed::default(), false), settings()).await.map(|_| ())
    })
}

#[test]
fn a_log_that_is_not_understood_is_refused_with_the_place_and_a_remedy() {
    let refused = |value: &[u8]| load_with(value).expect_err("must be refused").to_string();
    let unknown = refused(&[1, 99, 0, 0]);
    assert!(unknown.starts_with("at 0 of the metadata log: metadata record type 99"), "{unknown}");
    let later = refused(&[&[1, 12, 0, 17][..], b"metadata.version", &[0, 99, 0]].concat());
    assert!(later.contains("metadata.version 99"), "{later}");
    // A partition of a topic that is not there.
    let orphan = [&[1, 9, 0][..], &[7; 16], &[0]].concat();
    assert!(refused(&orphan).contains("which is not there"));
    assert!(refused(&[]).contains("malformed"));
    assert!(load_with(&[1, 20, 0, 0]).is_ok(), "a record of nothing");
}

/// A log entry that does not fit in a segment would be the end of the node; so the request is.
#[test]
fn a_change_larger_than_a_segment_is_refused_and_the_controller_goes_on() {
    let env = OneNode::new(MemoryDisk::new(1));
    env.block_on(async {
        let log = crate::log::Settings { segment_bytes: 1000, ..Default::default() };
        let (quorum, _tasks) = start_with(&env, Settings { log, ..settings() }).await;
        let rejection = quorum.submit(create(&"x".repeat(240))).await.map(drop);
        assert_eq!(rejection, Ok(()), "it fits");
        let mut topic = NewTopic::with_defaults("t");
        topic.configs = vec![("cleanup.policy".to_owned(), Some(vec!["delete"; 200].join(",")))];
        let command = Command::CreateTopics { topics: vec![topic], validate_only: false };
        let refused = quorum.submit(command).await.map(drop);
        assert!(matches!(refused, Err(Rejection::PolicyViolation(_))), "{refused:?}");
        assert_eq!(quorum.submit(create("u")).await.map(drop), Ok(()));
    });
}

#[test]
fn a_metadata_log_that_lost_what_was_flushed_is_refused_at_every_start() {
    let disk = MemoryDisk::new(1);
    for start in 0..3 {
        let disk = disk.restart_process();
        let env = OneNode::new(disk.clone());
        env.block_on(async {
            let (metadata, now) = (TopicPartition::METADATA, Timestamp(1));
            let opened = LogDir::open(disk, PathBuf::from("/d"), Switches::default()).await;
            let opened = opened.unwrap_or_else(|error| panic!("{error}"));
            let log_dir = Arc::new(opened.dir);
            if start == 0 {
                let log = log_dir.create_log(metadata, Default::default(), Offset::ZERO, now);
                drop(log.expect("a new log"));
                let flushed = [(metadata, Offset(5))].into();
                log_dir.write_recovery_points(&flushed).await.expect("the disk works");
                return;
            }
            let checkpointed = opened.checkpoints.of(metadata);
            let loaded = load(env.clone(), log_dir, (checkpointed, false), settings()).await;
            assert!(matches!(loaded, Err(LoadError::Lost { expected: Offset(5), .. })), "at start {start}");
        });
    }
}

#[test]
fn a_removal_that_a_dead_process_left_unsynced_is_synced_before_anybody_acts_on_it() {
    let disk = MemoryDisk::new(1);
    let env = OneNode::new(disk.clone());
    env.block_on(async {
        let (quorum, _tasks) = start(&env).await;
        quorum.submit(create("t")).await.expect("the name is new");
        disk.fail_next(sites::FLUSH_SYNC_ACTIVE, std::io::ErrorKind::Other);
        let topics = vec![crate::controller::TopicReference::Name("t".into())];
        let removal = quorum.submit(Command::DeleteTopics { topics }).await;
        assert_eq!(removal, Err(Rejection::OutcomeUnknown));
    });
    let disk = disk.restart_process();
    let env = OneNode::new(disk.clone());
    let is_removed = env.block_on(async {
        let log_dir = open(&env).await;
        let loaded = load(env.clone(), log_dir, (Checkpointed::default(), false), settings()).await;
        !loaded.unwrap_or_else(|error| panic!("{error}")).removed_topics.is_empty()
    });
    assert!(is_removed, "the page cache had it");
    let disk = disk.restart_machine(PowerLoss::Everything);
    let env = OneNode::new(disk);
    env.block_on(async {
        let (quorum, _tasks) = start(&env).await;
        assert_eq!(quorum.image().topic_count(), 0, "whoever had its logs deleted must not see it again");
    });
}
