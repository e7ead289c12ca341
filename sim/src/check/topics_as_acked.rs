//! A topic whose creation was acknowledged is there, under its id, until somebody asks for its deletion; one whose
//! deletion was acknowledged never comes back, whatever the node forgets in between. A later topic of the same name
//! is another topic (KIP-516).

use std::collections::BTreeMap;

use jangbu_core::fact::Fact;
use jangbu_core::ids::{TopicId, TopicPartition};

use super::Check;
use crate::model::{ClientEvent, Ledger, Seen};

#[derive(Default)]
pub(super) struct TopicsAsAcked {
    /// What is known of each topic, by its index.
    topics: BTreeMap<usize, (State, TopicId)>,
    deleted: BTreeMap<TopicId, usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Created,
    DeletionAsked,
    Deleted,
}

impl TopicsAsAcked {
    fn created(&mut self, topic: usize, topic_id: TopicId) -> Result<(), String> {
        if let Some(deleted) = self.deleted.get(&topic_id) {
            return Err(format!(
                "topic {} got the id {topic_id}, which is that of topic {}, whose deletion was acknowledged",
                topic + 1,
                deleted + 1
            ));
        }
        self.topics.insert(topic, (State::Created, topic_id));
        Ok(())
    }

    fn looked(&self, topic: usize, found: Option<TopicId>) -> Result<(), String> {
        let Some((state, topic_id)) = self.topics.get(&topic) else { return Ok(()) };
        let name = topic + 1;
        match (state, found) {
            (State::Created, Some(found)) if found == *topic_id => Ok(()),
            (State::Created, Some(found)) => {
                Err(format!("topic {name} was created as {topic_id}, and its name now means {found}"))
            }
            (State::Created, None) => Err(format!(
                "the creation of topic {name} as {topic_id} was acknowledged, and it is not there"
            )),
            (State::DeletionAsked, _) | (State::Deleted, None) => Ok(()),
            (State::Deleted, Some(found)) => Err(format!(
                "the deletion of topic {name} was acknowledged, and its name means {found} again"
            )),
        }
    }

    /// A deleted topic's partitions take no part in anything.
    fn at_work(&self, partition: TopicPartition, what: &str) -> Result<(), String> {
        match self.deleted.get(&partition.topic_id) {
            None => Ok(()),
            Some(topic) => Err(format!(
                "{partition} {what}, but the deletion of its topic {} was acknowledged",
                topic + 1
            )),
        }
    }
}

impl Check for TopicsAsAcked {
    fn see(&mut self, seen: &Seen<'_>, _: &Ledger) -> Result<(), String> {
        match seen {
            Seen::Client(ClientEvent::TopicCreated { topic, topic_id }) => self.created(*topic, *topic_id),
            Seen::Client(ClientEvent::DeletionAsked { topic }) => {
                if let Some((state, _)) = self.topics.get_mut(topic) {
                    *state = State::DeletionAsked;
                }
                Ok(())
            }
            Seen::Client(ClientEvent::TopicDeleted { topic }) => {
                if let Some((state, topic_id)) = self.topics.get_mut(topic) {
                    *state = State::Deleted;
                    self.deleted.insert(*topic_id, *topic);
                }
                Ok(())
            }
            Seen::Client(ClientEvent::TopicLooked { topic, found }) => self.looked(*topic, *found),
            Seen::Recovered { fact: Fact::Recovered { partition, .. }, .. } => {
                self.at_work(*partition, "was opened at a start")
            }
            Seen::Fact { fact: Fact::BecameLeader { partition, .. }, .. } => {
                self.at_work(*partition, "got a leader")
            }
            Seen::Fact { fact: Fact::Appended { partition, .. }, .. } => {
                self.at_work(*partition, "took an append")
            }
            Seen::Fact { fact: Fact::Acked { partition, .. }, .. } => {
                self.at_work(*partition, "acknowledged records")
            }
            Seen::Fact { fact: Fact::Fetched { partition, .. }, .. } => {
                self.at_work(*partition, "handed out records")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jangbu_core::ids::{Offset, Uuid};

    use super::*;
    use crate::model::Scan;
    use crate::world::NodeId;

    const FIRST: TopicId = Uuid([1; 16]);
    const SECOND: TopicId = Uuid([2; 16]);

    /// What the check says to the last of these events.
    fn last(events: &[ClientEvent]) -> Result<(), String> {
        let (mut check, ledger) = (TopicsAsAcked::default(), Ledger::default());
        events.iter().map(|event| check.see(&Seen::Client(event), &ledger)).last().expect("an event")
    }

    fn looked(found: Option<TopicId>) -> ClientEvent {
        ClientEvent::TopicLooked { topic: 4, found }
    }

    #[test]
    fn a_topic_that_was_created_must_be_there_under_its_id() {
        let created = ClientEvent::TopicCreated { topic: 4, topic_id: FIRST };
        assert!(last(&[created.clone(), looked(Some(FIRST))]).is_ok());
        assert!(last(&[created.clone(), looked(None)]).is_err());
        assert!(last(&[created.clone(), looked(Some(SECOND))]).is_err());
        assert!(last(&[created, ClientEvent::DeletionAsked { topic: 4 }, looked(None)]).is_ok());
    }

    #[test]
    fn a_topic_that_was_deleted_must_not_come_back() {
        let created = ClientEvent::TopicCreated { topic: 4, topic_id: FIRST };
        let gone = [created, ClientEvent::DeletionAsked { topic: 4 }, ClientEvent::TopicDeleted { topic: 4 }];
        let then = |event| last(&[&gone[..], &[event]].concat());
        assert!(then(looked(None)).is_ok());
        assert!(then(looked(Some(FIRST))).is_err());
        assert!(then(ClientEvent::TopicCreated { topic: 5, topic_id: FIRST }).is_err());
        assert!(then(ClientEvent::TopicCreated { topic: 5, topic_id: SECOND }).is_ok());

        let (mut check, ledger) = (TopicsAsAcked::default(), Ledger::default());
        for event in &gone {
            check.see(&Seen::Client(event), &ledger).expect("that is how topics go");
        }
        let opened = |id| Fact::Recovered {
            partition: TopicPartition::new(id, 0),
            clean: false,
            log_start: Offset(0),
            log_end: Offset(0),
        };
        let (scan, node) = (Scan::default(), NodeId(0));
        let mut see = |fact: Fact| check.see(&Seen::Recovered { node, fact: &fact, scan: &scan }, &ledger);
        assert!(see(opened(FIRST)).is_err());
        assert!(see(opened(SECOND)).is_ok());
    }
}
