//! `kind = "churn"`: a client that creates topics, uses them and deletes them, one step after the other.
//!
//! Every topic is told under an index of its own, which modulo the number of the scenario's topics is that of the one it
//! is like. A name is used again for the next topic unless the fate of a request was ever unknown: one that comes late
//! would otherwise create or delete what belongs to a later topic.

use std::sync::Arc;
use std::time::Duration;

use jangbu_core::client::Client;
use jangbu_core::client::admin::{AdminError, NewTopic, OffsetSpec};
use jangbu_core::client::fetcher::{Fetcher, FetcherSettings};
use jangbu_core::client::producer::{Producer, ProducerSettings, Sending};
use jangbu_core::env::{Clock, Env};
use jangbu_core::error::ErrorCode;
use jangbu_core::ids::{Offset, TopicId};
use jangbu_core::time::Timestamp;

use super::consume::bounds;
use super::{audit, client, value};
use crate::case::{Case, ChurnCase};
use crate::check::value_of;
use crate::model::{ClientEvent, Slot};
use crate::rng::Rng;
use crate::simulate::{Board, Phase};
use crate::world::SimEnv;

/// A name, and the topic that has it now.
struct Place {
    name: String,
    topic: Option<Topic>,
    /// The last topic that had the name, and was deleted.
    deleted: Option<usize>,
}

/// A topic that is there.
struct Topic {
    index: usize,
    producer: Producer<SimEnv>,
    /// Whether no request to create it may still be on its way.
    certain: bool,
}

/// A batch on its way.
struct Flight {
    slot: Slot,
    first: u64,
    era: u64,
    sending: Sending,
}

struct Churner {
    env: SimEnv,
    case: Arc<Case>,
    board: Arc<Board>,
    number: usize,
    settings: ChurnCase,
    client: Client<SimEnv>,
    rng: Rng,
    places: Vec<Place>,
    names: u64,
    topics: usize,
    values: u64,
}

pub(super) async fn run(
    env: SimEnv,
    number: usize,
    case: Arc<Case>,
    board: Arc<Board>,
) -> Result<(), String> {
    let name = format!("churner{}", number + 1);
    let mut churner = Churner {
        client: client(&env, &case, &name),
        rng: env.world().stream(&name),
        settings: case.churners[number].clone(),
        env,
        case,
        board,
        number,
        places: Vec::new(),
        names: 0,
        topics: 0,
        values: 0,
    };
    for _ in 0..churner.settings.topics {
        let name = churner.fresh_name();
        churner.places.push(Place { name, topic: None, deleted: None });
    }
    while churner.board.phase() == Phase::Load {
        churner.pause().await;
        churner.step().await;
    }
    churner.settle().await;
    Ok(())
}

impl Churner {
    async fn step(&mut self) {
        let place = self.rng.below(self.places.len() as u64) as usize;
        match (self.places[place].topic.is_some(), self.rng.below(10)) {
            (false, 0..=1) | (true, 0) => {
                self.look(place).await;
            }
            (false, _) => self.create(place).await,
            (true, 1..=4) => {
                self.write(place).await;
            }
            (true, 5) => self.look_up_time(place).await,
            (true, 6) => self.delete_records(place).await,
            (true, _) => self.delete(place).await,
        }
    }

    /// Every topic must be there and take records, and be read whole; every deleted one must be gone.
    async fn settle(&mut self) {
        self.delete_if_there(0).await;
        for place in 0..self.places.len() {
            while !self.look(place).await {
                self.rest().await;
            }
            let Some(index) = self.places[place].topic.as_ref().map(|topic| topic.index) else { continue };
            for partition in 0..self.partitions() {
                loop {
                    let flight = self.send(place, (index, partition));
                    if let Some(flight) = flight
                        && self.outcome(flight).await
                    {
                        break;
                    }
                    self.rest().await;
                }
                while !self.read(place, (index, partition)).await {
                    self.rest().await;
                }
            }
        }
        self.board.settled(self.case.producers.len() + self.number);
    }

    async fn create(&mut self, place: usize) {
        let like = &self.case.topics[self.settings.topic];
        let wanted = NewTopic {
            name: self.places[place].name.clone(),
            partitions: like.partitions as i32,
            replication_factor: like.replication as i16,
            configs: like.config.clone(),
        };
        let index = self.next_index();
        let mut certain = true;
        let topic_id = loop {
            let found = match create_one(&self.client, &wanted).await {
                Ok(topic_id) => Some(topic_id),
                Err(AdminError::Refused { code: ErrorCode::TopicAlreadyExists, .. }) => {
                    if certain {
                        self.violate(format!(
                            "{} is said to exist, and nobody had asked for it",
                            wanted.name
                        ));
                    }
                    find(&self.client, &wanted.name).await.flatten()
                }
                Err(error) => {
                    certain &= error.is_definite();
                    None
                }
            };
            match found {
                Some(topic_id) => break topic_id,
                None => self.rest().await,
            }
        };
        self.tell(ClientEvent::TopicCreated { topic: index, topic_id });
        let settings = ProducerSettings {
            delivery_timeout: Duration::from_millis(self.rng.within(2_000..6_000)),
            ..ProducerSettings::default()
        };
        let producer = Producer::new(self.client.clone(), settings);
        self.places[place].topic = Some(Topic { index, producer, certain });
    }

    async fn delete_if_there(&mut self, place: usize) {
        if self.places[place].topic.is_some() {
            self.delete(place).await;
        }
    }

    /// Deletes a topic, at times in the middle of a write.
    async fn delete(&mut self, place: usize) {
        let slot = self.draw_slot(place);
        if self.rng.chance(0.5) {
            self.read(place, slot).await;
        }
        let flight = if self.rng.chance(0.3) { self.send(place, slot) } else { None };
        let name = self.places[place].name.clone();
        let Some(Topic { index, producer, mut certain }) = self.places[place].topic.take() else { return };
        self.tell(ClientEvent::DeletionAsked { topic: index });
        let mut asked_before = false;
        loop {
            match delete_one(&self.client, &name).await {
                Ok(()) => break,
                Err(AdminError::Refused { code: ErrorCode::UnknownTopicOrPartition, .. }) => {
                    if !asked_before {
                        self.violate(format!("{name} was created and is not there to be deleted"));
                    }
                    break;
                }
                Err(error) => {
                    asked_before |= !error.is_definite();
                    self.rest().await;
                }
            }
        }
        certain &= !asked_before;
        self.tell(ClientEvent::TopicDeleted { topic: index });
        // What it has under way is given up.
        drop(producer);
        if let Some(flight) = flight {
            self.outcome(flight).await;
        }
        self.places[place].deleted = certain.then_some(index);
        if !certain {
            self.places[place].name = self.fresh_name();
        }
    }

    /// Asks for the topic of a name. Returns whether there was an answer.
    async fn look(&mut self, place: usize) -> bool {
        let Place { name, topic, deleted } = &self.places[place];
        let Some(index) = topic.as_ref().map(|topic| topic.index).or(*deleted) else { return true };
        let Some(found) = find(&self.client, name).await else { return false };
        self.tell(ClientEvent::TopicLooked { topic: index, found });
        true
    }

    /// Asks for the offset of a time in the last few seconds; what the answer must be is for others to check.
    async fn look_up_time(&mut self, place: usize) {
        let slot = self.draw_slot(place);
        let ago_ms = self.rng.below(5_000) as i64;
        let time = Timestamp(self.env.clock().wall().0 - ago_ms);
        let name = self.places[place].name.clone();
        let _ = offset_at(&self.client, &name, slot.1, time).await;
    }

    async fn delete_records(&mut self, place: usize) {
        let slot = self.draw_slot(place);
        let name = self.places[place].name.clone();
        let _ = delete_to_end(&self.client, &name, slot.1).await;
    }

    /// Sends a few batches at once.
    async fn write(&mut self, place: usize) {
        let mut flights = Vec::new();
        for _ in 0..=self.rng.below(4) {
            let slot = self.draw_slot(place);
            flights.extend(self.send(place, slot));
        }
        for flight in flights {
            self.outcome(flight).await;
        }
    }

    fn send(&mut self, place: usize, slot: Slot) -> Option<Flight> {
        let Place { name, topic: Some(topic), .. } = &self.places[place] else { return None };
        let (producer, count) = (self.producer(), self.settings.records);
        let first = value_of(producer, self.values);
        self.values += count;
        self.tell(ClientEvent::Sent { producer, slot, first, count });
        let batch = value::batch(&self.env, first, count, self.settings.record_bytes);
        let sending = topic.producer.send(name, slot.1, batch);
        Some(Flight { slot, first, era: self.board.era(), sending })
    }

    /// What became of a batch; returns whether it was acknowledged.
    async fn outcome(&self, flight: Flight) -> bool {
        let Flight { slot, first, era, sending } = flight;
        let (producer, count) = (self.producer(), self.settings.records);
        let event = match sending.await {
            Ok(delivered) => {
                let base_offset = Some(delivered.base_offset.0).filter(|offset| *offset >= 0);
                ClientEvent::Acked { producer, slot, first, count, base_offset, era }
            }
            Err(error) if error.is_definite() => ClientEvent::Refused { producer, slot, first, count },
            Err(_) => ClientEvent::Unknown { producer, slot, first, count },
        };
        let acked = matches!(event, ClientEvent::Acked { .. });
        self.tell(event);
        acked
    }

    /// Reads a partition whole. Returns whether that worked, and no loss of power came in between.
    async fn read(&mut self, place: usize, slot: Slot) -> bool {
        let name = self.places[place].name.clone();
        let era = self.board.era();
        let Some((start, end)) = bounds(&self.client, &name, slot.1).await else { return false };
        let fetcher = Fetcher::new(self.client.clone(), FetcherSettings::default());
        let values = audit::read(&self.env, &self.board, &fetcher, (&name, slot), (start, end)).await;
        let Some(values) = values.filter(|_| self.board.era() == era) else { return false };
        self.tell(ClientEvent::ReadWhole { slot, log_start: start, values });
        true
    }

    /// Those who create and delete topics are numbered behind the producers.
    fn producer(&self) -> usize {
        self.case.producers.len() + self.number
    }

    fn partitions(&self) -> i32 {
        self.case.topics[self.settings.topic].partitions as i32
    }

    fn draw_slot(&mut self, place: usize) -> Slot {
        let index = self.places[place].topic.as_ref().map_or(0, |topic| topic.index);
        (index, self.rng.below(self.partitions() as u64) as i32)
    }

    fn next_index(&mut self) -> usize {
        let round = 1 + self.number + self.case.churners.len() * self.topics;
        self.topics += 1;
        self.settings.topic + self.case.topics.len() * round
    }

    fn fresh_name(&mut self) -> String {
        self.names += 1;
        format!("churn-{}-{}", self.number + 1, self.names)
    }

    fn tell(&self, event: ClientEvent) {
        self.board.tell(self.env.world(), &event);
    }

    fn violate(&self, what: String) {
        self.env.world().violate("topics_as_acked", None, what);
    }

    async fn pause(&mut self) {
        let mean = self.settings.every.as_nanos() as u64;
        let wait = Duration::from_nanos(self.rng.within(mean / 2..mean + mean / 2 + 1));
        self.env.clock().sleep_until(self.env.clock().now() + wait).await;
    }

    async fn rest(&self) {
        self.env.clock().sleep_until(self.env.clock().now() + Duration::from_millis(50)).await;
    }
}

async fn create_one(client: &Client<SimEnv>, wanted: &NewTopic) -> Result<TopicId, AdminError> {
    let created = client.create_topics(std::slice::from_ref(wanted), false).await?.pop();
    created.unwrap_or(Err(AdminError::Incomplete))
}

async fn delete_one(client: &Client<SimEnv>, name: &str) -> Result<(), AdminError> {
    let deleted = client.delete_topics(&[name]).await?.pop();
    deleted.unwrap_or(Err(AdminError::Incomplete))
}

/// The id that a name has, `None` within when it has none; `None` when there is no answer.
async fn find(client: &Client<SimEnv>, name: &str) -> Option<Option<TopicId>> {
    let metadata = client.metadata(Some(&[name])).await.ok()?;
    match (metadata.topics.get(name), metadata.errors.get(name)) {
        (Some(topic), _) => Some(Some(topic.topic_id)),
        (None, Some(ErrorCode::UnknownTopicOrPartition)) => Some(None),
        (None, _) => None,
    }
}

async fn offset_at(
    client: &Client<SimEnv>,
    topic: &str,
    partition: i32,
    time: Timestamp,
) -> Result<(), AdminError> {
    client.list_offsets(topic, partition, OffsetSpec::At(time)).await.map(drop)
}

/// Deletes all records that are committed.
async fn delete_to_end(client: &Client<SimEnv>, topic: &str, partition: i32) -> Result<(), AdminError> {
    client.delete_records(topic, partition, Offset(-1)).await.map(drop)
}
