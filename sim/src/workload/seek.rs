//! `kind = "seek"`: a client that asks for the record at any offset below the end, as one does that goes back to a
//! committed position, and tells what comes first.

use std::sync::Arc;
use std::time::Duration;

use jangbu_core::client::fetcher::{Fetched, Fetcher, FetcherSettings};
use jangbu_core::env::{Clock, Env};

use super::client;
use super::consume::{bounds, fetch, records};
use crate::case::Case;
use crate::model::{ClientEvent, Slot};
use crate::simulate::{Board, Phase};
use crate::world::SimEnv;

pub(super) async fn run(
    env: SimEnv,
    number: usize,
    case: Arc<Case>,
    board: Arc<Board>,
) -> Result<(), String> {
    let settings = &case.seekers[number];
    let topic = &case.topics[settings.topic];
    let name = format!("seeker{}", number + 1);
    let client = client(&env, &case, &name);
    let fetcher = Fetcher::new(client.clone(), FetcherSettings::default());
    let mut rng = env.world().stream(&name);
    let mean = settings.every.as_nanos() as u64;
    while board.phase() < Phase::ReadOut {
        let pause = Duration::from_nanos(rng.within(mean / 2..mean + mean / 2 + 1));
        env.clock().sleep_until(env.clock().now() + pause).await;
        let slot: Slot = (settings.topic, rng.below(topic.partitions) as i32);
        let Some((start, end)) = bounds(&client, &topic.name, slot.1).await else { continue };
        if start >= end {
            continue;
        }
        let asked = start + rng.below((end - start) as u64) as i64;
        let era = board.era();
        let bytes_max = settings.fetch_bytes as i32;
        // An error tells nothing: the broker is down, or the log begins or ends elsewhere by now.
        if let Ok(fetched) = fetch(&fetcher, &topic.name, slot.1, (asked, 0, bytes_max)).await {
            tell(&env, &board, (number, slot), asked, fetched, era);
        }
    }
    Ok(())
}

fn tell(env: &SimEnv, board: &Board, (seeker, slot): (usize, Slot), asked: i64, fetched: Fetched, era: u64) {
    if fetched.batches.is_empty() {
        return;
    }
    let found = records(env, board, slot, asked, fetched.batches).first().copied();
    board.tell(env.world(), &ClientEvent::Sought { seeker, slot, asked, found, era });
}
