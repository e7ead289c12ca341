//! The producer's task: it does what cannot be done at once, and sleeps as long as everything can.

use std::sync::Arc;

use super::pump::Shared;
use super::queue::Identity;
use crate::env::{Clock, Env};
use crate::time::Instant;

pub(super) async fn run<E: Env>(shared: Arc<Shared<E>>) {
    let client = &shared.client;
    let clock = client.env().clock();
    let mut failures = 0;
    loop {
        let mut changed = std::pin::pin!(client.changed().notified());
        changed.as_mut().enable();
        let now = client.now();
        let (on_identity, until) = work(&shared, now);
        if on_identity {
            let asked = tokio::select! {
                biased;
                asked = client.init_producer_id(until) => asked.map_err(|error| error.to_string()),
                () = clock.sleep_until(until) => Err("no answer in time".into()),
            };
            match asked {
                Ok((id, epoch)) => {
                    failures = 0;
                    let mut state = shared.lock();
                    (state.identity, state.identity_error) = (Some(Identity { id, epoch }), None);
                }
                Err(error) => {
                    tracing::debug!(%error, "a producer id could not be had");
                    shared.lock().identity_error = Some(error.into());
                    failures += 1;
                    client.pause(failures, until).await;
                }
            }
            continue;
        }
        tokio::select! {
            biased;
            () = shared.stuck.notified() => {}
            () = changed => {}
            () = clock.sleep_until(until) => {}
        }
    }
}

/// Whether a producer id must be asked for, and when to look again at the latest.
fn work<E: Env>(shared: &Arc<Shared<E>>, now: Instant) -> (bool, Instant) {
    let mut state = shared.lock();
    shared.expire(&mut state, now);
    let stuck = shared.pump(&mut state, now).unwrap_or_default();
    // A batch that comes meanwhile is not due before this.
    let idle_until = now + shared.settings.delivery_timeout;
    let due = state.queues.iter().filter_map(|queue| queue.next_deadline()).chain(stuck.until);
    (stuck.on_identity, due.min().unwrap_or(idle_until).min(idle_until))
}
