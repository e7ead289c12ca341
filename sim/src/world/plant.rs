//! Misbehaviour planted on demand: what cannot notice it proves nothing.
//!
//! The leaks of non-determinism leak into what a node does, and note nothing themselves: a trace that left out the
//! order of two disk calls would not notice them.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use jangbu_core::env::{Clock, Disk, Env, File, Lane, Site, Task};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::disk::SimFile;
use super::{SimEnv, World};

/// What can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plant {
    /// A leak: the order in which `tokio::sync::watch` wakes its receivers hangs on a process-wide counter.
    Watch,
    /// A leak: a map whose hasher is seeded by addresses and by a process-wide seed is iterated.
    Map,
    /// A leak: a counter of the process is read.
    Counter,
    /// A poll that never ends.
    Spin,
    /// Polls without end, in which hardly any time passes.
    Circle,
    /// The process is aborted.
    Abort,
    /// An invariant is violated.
    Violate,
}

impl Plant {
    /// All of them, with the names by which they are asked for.
    pub const ALL: &'static [(&'static str, Plant)] = &[
        ("watch", Plant::Watch),
        ("map", Plant::Map),
        ("counter", Plant::Counter),
        ("spin", Plant::Spin),
        ("circle", Plant::Circle),
        ("abort", Plant::Abort),
        ("violate", Plant::Violate),
    ];
    /// The leaks of non-determinism.
    pub const LEAKS: [Plant; 3] = [Plant::Watch, Plant::Map, Plant::Counter];
}

static RUNS: AtomicU64 = AtomicU64::new(0);

const SITE: Site = Site::new("planted");

/// When what is no leak begins: other things have happened by then.
const LATER: Duration = Duration::from_secs(2);

impl World {
    /// Adds a node that misbehaves, and starts it.
    pub fn plant(self: &Arc<Self>, plant: Plant) {
        let run = match plant {
            Plant::Counter => RUNS.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        let node = self.add_node("planted", move |env| async move {
            misbehave(env, plant, run).await.map_err(|error| error.to_string())
        });
        self.start(node);
    }
}

async fn misbehave(env: SimEnv, plant: Plant, run: u64) -> io::Result<()> {
    match plant {
        Plant::Watch => return watch_order(&env).await,
        Plant::Map => {
            let files = files(&env, 8)?;
            let map: hashbrown::HashMap<usize, SimFile> = files.into_iter().collect();
            // Equal bytes at equal positions: the files alone tell the calls apart.
            return map.values().try_for_each(touch);
        }
        Plant::Counter => {
            let files = files(&env, 2)?;
            return (0..2)
                .map(|place| (place + run as usize) % 2)
                .try_for_each(|number| touch(&files[&number]));
        }
        Plant::Spin | Plant::Circle | Plant::Abort | Plant::Violate => {}
    }
    env.clock().sleep_until(env.clock().now() + LATER).await;
    match plant {
        Plant::Spin => loop {
            std::hint::spin_loop();
        },
        Plant::Abort => std::process::abort(),
        Plant::Violate => env.world().violate("planted", Some(env.node()), "this was asked for"),
        _ => {
            std::future::poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            })
            .await;
        }
    }
    Ok(())
}

fn files(env: &SimEnv, count: usize) -> io::Result<BTreeMap<usize, SimFile>> {
    (0..count)
        .map(|number| Ok((number, env.disk().create(SITE, Path::new(&format!("/{number}")))?)))
        .collect()
}

fn touch(file: &SimFile) -> io::Result<()> {
    file.write_at(SITE, &[IoSlice::new(b"x")], 0)
}

/// Each receiver has a file, and writes when it is woken.
async fn watch_order(env: &SimEnv) -> io::Result<()> {
    let (sender, receiver) = watch::channel(0);
    let mut tasks: Vec<Task> = Vec::new();
    for file in files(env, 64)?.into_values() {
        let mut receiver = receiver.clone();
        tasks.push(env.spawn(Lane::Data, "receiver", async move {
            while receiver.changed().await.is_ok() {
                let _ = touch(&file);
            }
        }));
    }
    for round in 0..8 {
        env.clock().sleep_until(env.clock().now() + Duration::from_millis(1)).await;
        let _ = sender.send(round);
    }
    env.clock().sleep_until(env.clock().now() + Duration::from_millis(1)).await;
    Ok(())
}
