//! After the faults one client reads every partition from its start to its end, so that what was acknowledged can be
//! looked up in what is really served.

use std::sync::Arc;
use std::time::Duration;

use jangbu_core::client::fetcher::{FetchError, Fetcher, FetcherSettings};
use jangbu_core::env::{Clock, Env};

use super::client;
use super::consume::{bounds, fetch, records, tell_corrupt};
use crate::case::Case;
use crate::model::{ClientEvent, Slot};
use crate::simulate::{Board, Phase};
use crate::world::SimEnv;

/// How often a partition is tried whose log is damaged.
const ATTEMPTS_AT_DAMAGE: u32 = 2;

pub(super) async fn run(env: SimEnv, case: Arc<Case>, board: Arc<Board>) -> Result<(), String> {
    let client = client(&env, &case, "auditor");
    let fetcher = Fetcher::new(client.clone(), FetcherSettings::default());
    while board.phase() < Phase::ReadOut {
        rest(&env).await;
    }
    for (index, topic) in case.topics.iter().enumerate() {
        for partition in 0..topic.partitions as i32 {
            let slot: Slot = (index, partition);
            let mut attempts = 0;
            // Retention may overtake the reading: then it begins anew.
            loop {
                attempts += 1;
                // What is damaged cannot be read whole; that it may be was for the checks to say. A broker that finds the
                // damage first hands out nothing, for ever.
                if board.is_corrupt(slot)
                    || board.is_rotten_unseen(slot)
                    || attempts > ATTEMPTS_AT_DAMAGE && board.is_rotten(slot)
                {
                    board.read_out(slot, 0);
                    break;
                }
                let Some((start, end)) = bounds(&client, &topic.name, partition).await else {
                    rest(&env).await;
                    continue;
                };
                if let Some(values) = read(&env, &board, &fetcher, (&topic.name, slot), (start, end)).await {
                    board.tell(env.world(), &ClientEvent::ReadWhole { slot, log_start: start, values });
                    board.read_out(slot, end);
                    break;
                }
                rest(&env).await;
            }
        }
    }
    Ok(())
}

/// All values between two offsets, or `None` when that did not work.
pub(super) async fn read(
    env: &SimEnv,
    board: &Board,
    fetcher: &Fetcher<SimEnv>,
    (topic, slot): (&str, Slot),
    (start, end): (i64, i64),
) -> Option<Vec<u64>> {
    let mut values = Vec::new();
    let mut position = start;
    while position < end {
        let fetched = match fetch(fetcher, topic, slot.1, (position, 100, 1 << 20)).await {
            Ok(fetched) => fetched,
            Err(error @ FetchError::Corrupt { .. }) => {
                tell_corrupt(env, board, slot, position, &error);
                return None;
            }
            Err(_) => return None,
        };
        let found = records(env, board, slot, position, fetched.batches);
        if found.is_empty() {
            // The log may have lost its end with the power.
            return None;
        }
        for (offset, value) in &found {
            if *offset != position && board.is_rotten_unseen(slot) {
                return None;
            }
            if *offset != position {
                let what = crate::check::slot_text(slot);
                env.world().violate(
                    "no_gap",
                    None,
                    format!("{what}: after {position} comes offset {offset}"),
                );
                return None;
            }
            values.push(*value);
            position += 1;
        }
    }
    values.truncate((end - start) as usize);
    Some(values)
}

async fn rest(env: &SimEnv) {
    env.clock().sleep_until(env.clock().now() + Duration::from_millis(50)).await;
}
