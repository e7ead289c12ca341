//! Leaks of non-determinism, planted on demand: a check for determinism that cannot fail proves nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::World;
use crate::trace::Kind;

/// Something that differs between two runs of one seed in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leak {
    /// The order in which `tokio::sync::watch` wakes its receivers hangs on a process-wide counter.
    Watch,
    /// A map whose hasher is seeded by addresses and by a process-wide seed is iterated.
    Map,
    /// A counter of the process is read.
    Counter,
}

impl Leak {
    /// All of them, with the names by which they are asked for.
    pub const ALL: &'static [(&'static str, Leak)] =
        &[("watch", Leak::Watch), ("map", Leak::Map), ("counter", Leak::Counter)];
}

static RUNS: AtomicU64 = AtomicU64::new(0);

impl World {
    /// Mixes a leak into the run.
    pub(super) fn plant(self: &Arc<Self>, leak: Leak) {
        match leak {
            Leak::Watch => self.plant_watch(),
            Leak::Map => self.leak(map_order()),
            Leak::Counter => self.leak(RUNS.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn leak(&self, value: u64) {
        self.note(Kind::Leak, value, 0, || format!("leaked {value:x}"));
    }

    fn plant_watch(self: &Arc<Self>) {
        let (sender, receiver) = watch::channel(0);
        for number in 0..64 {
            let (world, mut receiver) = (self.clone(), receiver.clone());
            self.executor.spawn(async move {
                while receiver.changed().await.is_ok() {
                    world.leak(number);
                }
            });
        }
        let world = self.clone();
        self.executor.spawn(async move {
            for round in 0..8 {
                world.sleep(std::time::Duration::from_millis(1)).await;
                let _ = sender.send(round);
            }
        });
    }
}

/// Folds the order in which a map gives out its keys.
fn map_order() -> u64 {
    let map: hashbrown::HashMap<u64, ()> = (0..64).map(|key| (key, ())).collect();
    let mut order = 0u64;
    for key in map.keys() {
        order = order.wrapping_mul(31).wrapping_add(*key);
    }
    order
}
