//! `kind = "consume"`: a client that reads every partition of a topic from its start, and tells each record.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jangbu_core::client::Client;
use jangbu_core::client::admin::{AdminError, FoundOffset, OffsetSpec};
use jangbu_core::client::fetcher::{FetchError, Fetched, Fetcher, FetcherSettings};
use jangbu_core::env::{Clock, Env, Lane, Task};
use jangbu_core::ids::Offset;
use jangbu_core::record::batch::Batch;
use jangbu_core::record::records::iterate;

use super::{client, value};
use crate::case::{Case, ConsumerCase};
use crate::model::{ClientEvent, Slot};
use crate::simulate::Board;
use crate::world::SimEnv;

/// More than any batch of a workload unpacks to.
const BATCH_BYTES_MAX: usize = 64 << 20;

pub(super) async fn run(
    env: SimEnv,
    number: usize,
    case: Arc<Case>,
    board: Arc<Board>,
) -> Result<(), String> {
    let settings = case.consumers[number].clone();
    let topic = &case.topics[settings.topic];
    let client = client(&env, &case, &format!("reader{}", number + 1));
    let mut tasks: Vec<Task> = Vec::new();
    for partition in 0..topic.partitions as i32 {
        let reader = Reader {
            env: env.clone(),
            number,
            topic: topic.name.clone(),
            slot: (settings.topic, partition),
            settings: settings.clone(),
            client: client.clone(),
            board: board.clone(),
        };
        tasks.push(env.spawn(Lane::Data, "workload.read", reader.run()));
    }
    loop {
        let now = env.clock().now();
        env.clock().sleep_until(now + Duration::from_millis(500)).await;
        // All parts have reached the end, and the last one said so.
        if tasks.iter().all(Task::is_finished) {
            board.set_behind(number, None);
            return Ok(());
        }
    }
}

struct Reader {
    env: SimEnv,
    number: usize,
    topic: String,
    slot: Slot,
    settings: ConsumerCase,
    client: Client<SimEnv>,
    board: Arc<Board>,
}

impl Reader {
    async fn run(self) {
        let fetcher = Fetcher::new(self.client.clone(), FetcherSettings::default());
        let mut position = 0;
        let is_behind = |end, position| position < end && !self.board.is_rotten_unseen(self.slot);
        while self.board.end(self.slot).is_none_or(|end| is_behind(end, position)) {
            let max_wait_ms = self.settings.max_wait.as_millis() as i32;
            let bytes_max = self.settings.fetch_bytes as i32;
            let era = self.board.era();
            match fetch(&fetcher, &self.topic, self.slot.1, (position, max_wait_ms, bytes_max)).await {
                Ok(fetched) => position = self.take(position, fetched, era),
                Err(FetchError::OutOfRange { .. }) => position = self.find(position).await,
                Err(error @ FetchError::Corrupt { .. }) => {
                    tell_corrupt(&self.env, &self.board, self.slot, position, &error);
                    // Nobody gets past the damage by asking again.
                    return;
                }
                Err(_) => self.rest().await,
            }
            let text = format!("{} is read to {position}", crate::check::slot_text(self.slot));
            self.board.set_behind(self.number, Some(text));
        }
    }

    fn take(&self, position: i64, fetched: Fetched, era: u64) -> i64 {
        let mut position = position;
        for (offset, number) in records(&self.env, &self.board, self.slot, position, fetched.batches) {
            let event =
                ClientEvent::Read { reader: self.number, slot: self.slot, offset, value: number, era };
            self.board.tell(self.env.world(), &event);
            position = offset + 1;
        }
        position
    }

    /// The position is out of range: goes on at the nearest end of the log.
    async fn find(&self, from: i64) -> i64 {
        loop {
            if let Some((start, end)) = bounds(&self.client, &self.topic, self.slot.1).await {
                let to = from.clamp(start, end);
                let event = ClientEvent::Moved { reader: self.number, slot: self.slot, from, to };
                self.board.tell(self.env.world(), &event);
                return to;
            }
            self.rest().await;
        }
    }

    async fn rest(&self) {
        self.env.clock().sleep_until(self.env.clock().now() + Duration::from_millis(50)).await;
    }
}

/// Bytes came that are no whole batches.
pub(super) fn tell_corrupt(
    env: &SimEnv,
    board: &Board,
    slot: Slot,
    offset: i64,
    error: &dyn std::error::Error,
) {
    board.tell(env.world(), &ClientEvent::Corrupt { slot, offset, what: error.to_string() });
}

/// A future of a client's request. The compiler cannot see on its own that these are `Send` for every lifetime.
type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Fetches from a position, for so many milliseconds and bytes at most.
pub(super) fn fetch<'a>(
    fetcher: &'a Fetcher<SimEnv>,
    topic: &'a str,
    partition: i32,
    (position, max_wait_ms, bytes_max): (i64, i32, i32),
) -> Answer<'a, Result<Fetched, FetchError>> {
    Box::pin(fetcher.fetch(topic, partition, Offset(position), max_wait_ms, 1, bytes_max))
}

/// First and next offset of a partition.
pub(super) fn bounds<'a>(
    client: &'a Client<SimEnv>,
    topic: &'a str,
    partition: i32,
) -> Answer<'a, Option<(i64, i64)>> {
    let lookup = move |spec| -> Answer<'a, Result<FoundOffset, AdminError>> {
        Box::pin(client.list_offsets(topic, partition, spec))
    };
    Box::pin(async move {
        let start = lookup(OffsetSpec::Earliest).await.ok()?;
        let end = lookup(OffsetSpec::Latest).await.ok()?;
        Some((start.offset.0, end.offset.0))
    })
}

/// The records of a fetch from `position` on: offset and number. What no producer can have written is a violation.
pub(super) fn records(
    env: &SimEnv,
    board: &Board,
    slot: Slot,
    position: i64,
    mut batches: Bytes,
) -> Vec<(i64, u64)> {
    let mut found = Vec::new();
    let wrong = |what: String| {
        env.world().violate("offsets_unique", None, format!("{}: {what}", crate::check::slot_text(slot)));
    };
    // The fetcher has cut off what is no whole batch.
    while !batches.is_empty() {
        let batch = match Batch::split_from(&mut batches) {
            Ok(batch) => batch,
            Err(error) => {
                tell_corrupt(env, board, slot, position, &error);
                break;
            }
        };
        let base = batch.header().base_offset.0;
        if batch.header().is_control() {
            continue;
        }
        let Ok(records) = iterate(&batch, BATCH_BYTES_MAX) else {
            wrong(format!("the batch at {base} cannot be decoded"));
            break;
        };
        for record in records {
            let Ok(record) = record else {
                wrong(format!("a record of the batch at {base} cannot be decoded"));
                break;
            };
            let offset = base + i64::from(record.offset_delta);
            if offset < position {
                continue;
            }
            match record.value.as_deref().and_then(value::read) {
                Some(number) => found.push((offset, number)),
                None => wrong(format!("offset {offset} holds bytes that nobody wrote")),
            }
        }
    }
    found
}
