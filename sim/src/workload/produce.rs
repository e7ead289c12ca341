//! `kind = "produce"`: a client that sends batches at its pace, each value once, and tells what it learns of them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use jangbu_core::client::producer::{Producer, ProducerSettings, Sending};
use jangbu_core::env::{Clock, Env};
use jangbu_core::time::Instant;

use super::{client, value};
use crate::case::{Case, ProducerCase};
use crate::check::value_of;
use crate::model::{ClientEvent, Slot};
use crate::rng::Rng;
use crate::simulate::{Board, Phase};
use crate::world::SimEnv;

/// A batch under way.
struct Flight {
    slot: Slot,
    first: u64,
    count: u64,
    sending: Pin<Box<Sending>>,
}

struct Load<'a> {
    env: SimEnv,
    number: usize,
    settings: &'a ProducerCase,
    topic: &'a str,
    partitions: u64,
    producer: Producer<SimEnv>,
    rng: Rng,
    values: u64,
    flights: Vec<Flight>,
    board: Arc<Board>,
}

pub(super) async fn run(
    env: SimEnv,
    number: usize,
    case: Arc<Case>,
    board: Arc<Board>,
) -> Result<(), String> {
    let settings = &case.producers[number];
    let topic = &case.topics[settings.topic];
    let name = format!("producer{}", number + 1);
    let mut rng = env.world().stream(&name);
    let producer_settings = ProducerSettings {
        acks: settings.acks,
        idempotent: settings.idempotent,
        delivery_timeout: Duration::from_millis(rng.within(4_000..15_000)),
        max_in_flight: settings.in_flight as usize,
        ..ProducerSettings::default()
    };
    let producer =
        Producer::new(client(&env, &case, &name), producer_settings).map_err(|error| error.to_string())?;
    let mut load = Load {
        env,
        number,
        settings,
        topic: &topic.name,
        partitions: topic.partitions,
        producer,
        rng,
        values: 0,
        flights: Vec::new(),
        board,
    };
    load.send_under_faults().await;
    load.settle().await;
    Ok(())
}

impl Load<'_> {
    async fn send_under_faults(&mut self) {
        let mut next = self.env.clock().now() + self.pause();
        while self.board.phase() == Phase::Load {
            let full = self.flights.len() as u64 >= self.settings.in_flight;
            // When too much is under way, the answer decides when to go on; a look now and then is for the phase.
            let until = if full { self.env.clock().now() + Duration::from_millis(200) } else { next };
            self.wait(until).await;
            if !full && self.env.clock().now() >= next {
                let partition = self.rng.below(self.partitions) as i32;
                self.send(partition);
                next = self.env.clock().now() + self.pause();
            }
        }
    }

    /// Finishes what is under way, then gets one more batch into each partition of which nobody is deceived.
    async fn settle(&mut self) {
        while !self.flights.is_empty() {
            self.wait(Instant(u64::MAX)).await;
        }
        for partition in 0..self.partitions as i32 {
            while !self.board.is_rotten_unseen((self.settings.topic, partition)) {
                self.send(partition);
                let mut acked = false;
                while !self.flights.is_empty() {
                    acked |= self.wait(Instant(u64::MAX)).await;
                }
                if acked {
                    break;
                }
                self.env.clock().sleep_until(self.env.clock().now() + Duration::from_millis(100)).await;
            }
        }
        self.board.settled(self.number);
    }

    fn pause(&mut self) -> Duration {
        // Evenly around the mean, so that clients do not march in step.
        let mean = self.settings.every.as_nanos() as u64;
        Duration::from_nanos(self.rng.within(mean / 2..mean + mean / 2 + 1))
    }

    fn send(&mut self, partition: i32) {
        let (first, count) = (value_of(self.number, self.values), self.settings.records);
        let slot = (self.settings.topic, partition);
        self.values += count;
        self.tell(ClientEvent::Sent { producer: self.number, slot, first, count });
        let batch = value::batch(&self.env, first, count, self.settings.record_bytes);
        let sending = Box::pin(self.producer.send(self.topic, partition, batch));
        self.flights.push(Flight { slot, first, count, sending });
    }

    fn tell(&self, event: ClientEvent) {
        self.board.tell(self.env.world(), &event);
    }

    /// Waits until something under way ends or it is `until`; returns whether a batch was acknowledged.
    async fn wait(&mut self, until: Instant) -> bool {
        let env = self.env.clone();
        let mut sleep = std::pin::pin!(env.clock().sleep_until(until));
        std::future::poll_fn(|context| {
            let (mut ended, mut acked) = (false, false);
            let mut index = 0;
            while index < self.flights.len() {
                match self.flights[index].sending.as_mut().poll(context) {
                    Poll::Pending => index += 1,
                    Poll::Ready(result) => {
                        let Flight { slot, first, count, .. } = self.flights.remove(index);
                        let producer = self.number;
                        ended = true;
                        self.tell(match result {
                            Ok(delivered) => {
                                acked = true;
                                let base_offset = Some(delivered.base_offset.0).filter(|offset| *offset >= 0);
                                ClientEvent::Acked { producer, slot, first, count, base_offset }
                            }
                            Err(error) if error.is_definite() => {
                                ClientEvent::Refused { producer, slot, first, count }
                            }
                            Err(_) => ClientEvent::Unknown { producer, slot, first, count },
                        });
                    }
                }
            }
            if ended || sleep.as_mut().poll(context).is_ready() {
                return Poll::Ready(acked);
            }
            Poll::Pending
        })
        .await
    }
}
