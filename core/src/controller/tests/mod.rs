mod cluster;
mod configs;
mod elections;
mod eligible;
mod lifecycle;
#[cfg(feature = "museum")]
mod museum;
mod offline_directories;
mod placement;
mod proposals;
mod reassignments;
mod registrations;
mod sessions;
mod single;
mod topics;
mod walk;

use super::*;
use crate::ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionIndex, ProducerId, TopicId, Uuid};
use crate::metadata::ConfigResource;
use crate::metadata::records::ResourceType;
use crate::time::Timestamp;

/// A node that is alone.
fn settings() -> Settings {
    Settings {
        num_partitions: 3,
        default_replication_factor: 1,
        delete_topics: true,
        check_config: |key, value| match (key, value) {
            (
                "retention.ms" | "cleanup.policy" | "min.insync.replicas" | "unclean.leader.election.enable",
                value,
            ) if value != "bad" => Ok(()),
            (key, value) => Err(format!("{key}={value} is refused")),
        },
        list_default: |key| (key == "cleanup.policy").then_some("delete"),
        first_min_insync_replicas: 1,
        unclean_leader_election: false,
        fence_new_brokers: false,
        session_timeout: SESSION_TIMEOUT,
        switches: Switches::default(),
    }
}

/// A controller with a log of its own.
struct Scene {
    controller: Controller,
    next_offset: Offset,
    draws: u64,
}

impl Scene {
    fn new(settings: Settings, brokers: &[i32]) -> Self {
        let image = MetadataImage::empty("c".to_owned(), BrokerId(1));
        let mut scene =
            Self { controller: Controller::new(settings, image), next_offset: Offset(0), draws: 0 };
        for broker in brokers {
            scene.register(*broker);
        }
        scene
    }

    fn decide(&mut self, command: &Command) -> Result<Decision, Rejection> {
        let draws = &mut self.draws;
        self.controller.decide(command, self.next_offset, &mut || {
            *draws += 1;
            draws.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }

    fn run(&mut self, command: &Command) -> Result<Response, Rejection> {
        let decision = self.decide(command)?;
        for record in &decision.records {
            // What goes through the log must come out of it the same.
            assert_eq!(Record::decode(&record.encode()).as_ref(), Ok(record));
            self.controller.apply(record).expect("a decision fits the state it was made on");
            self.controller.advance(self.next_offset, LeaderEpoch(0));
            self.next_offset = self.next_offset.next();
        }
        self.controller.check_all();
        Ok(decision.response)
    }

    fn new_incarnation(&mut self) -> Uuid {
        self.draws += 1;
        Uuid::at_time(Timestamp(self.draws as i64), || 0)
    }

    fn register(&mut self, broker: i32) -> BrokerEpoch {
        let registration = Registration {
            broker_id: BrokerId(broker),
            incarnation_id: self.new_incarnation(),
            previous_broker_epoch: None,
            endpoints: Vec::new(),
            features: Vec::new(),
            rack: None,
            log_dirs: vec![Uuid([broker as u8 + 100; 16])],
        };
        match self.run(&Command::RegisterBroker(registration)) {
            Ok(Response::Registered(epoch)) => epoch,
            other => panic!("not registered: {other:?}"),
        }
    }

    fn create_all(&mut self, topics: Vec<NewTopic>) -> Vec<Result<CreatedTopic, Rejection>> {
        match self.run(&Command::CreateTopics { topics, validate_only: false }) {
            Ok(Response::TopicsCreated(results)) => results,
            other => panic!("not an answer to CreateTopics: {other:?}"),
        }
    }

    fn create(&mut self, topic: NewTopic) -> Result<CreatedTopic, Rejection> {
        self.create_all(vec![topic]).remove(0)
    }

    fn alter(&mut self, name: &str, edit: ConfigEdit) -> Result<(), Rejection> {
        let resources = vec![ConfigChange { resource: ConfigResource::topic(name), edit }];
        match self.run(&Command::AlterConfigs { resources, validate_only: false }) {
            Ok(Response::ConfigsAltered(mut results)) => results.remove(0),
            other => panic!("not an answer to AlterConfigs: {other:?}"),
        }
    }

    fn overrides(&self, name: &str) -> Vec<(&str, &str)> {
        let overrides = self.controller.image().topic_overrides(name);
        overrides.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
}

fn single() -> Scene {
    Scene::new(settings(), &[1])
}

fn topic(name: &str) -> NewTopic {
    NewTopic::with_defaults(name)
}

fn pair(key: &str, value: &str) -> (String, Option<String>) {
    (key.to_owned(), Some(value.to_owned()))
}
