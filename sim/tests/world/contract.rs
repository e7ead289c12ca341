//! The promises that the simulated world and production both keep.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jangbu_core::env::contract::{self, Ground, Promise};
use sim::run::{Ended, run_seed};
use sim::world::{Exit, Settings, SimEnv};

/// How many seeds each promise is put to: other seeds run the tasks in another order.
const SEEDS: u64 = 8;

/// Runs a promise on two nodes of their own and returns what broke, if anything.
fn broken(promise: &Promise<SimEnv>, seed: u64) -> Option<String> {
    let run = promise.run;
    let outcome = run_seed(Settings::default(), seed, move |world| async move {
        let peer = Arc::new(Mutex::new(None));
        let slot = peer.clone();
        let peer_node = world.add_node("peer", move |env| {
            *slot.lock().expect("no panic") = Some(env);
            std::future::pending()
        });
        world.start(peer_node);
        world.sleep(Duration::from_millis(1)).await;
        let peer = peer.lock().expect("no panic").take().expect("the peer has started");
        let node = world.add_node("ground", move |env| {
            let directory = PathBuf::from("/contract");
            let ground = Ground { env, peer: peer.clone(), host: "ground".to_owned(), directory };
            async move {
                run(ground).await;
                Ok(())
            }
        });
        world.make_dir(node, Path::new("/contract"));
        world.start(node);
        for _ in 0..10_000 {
            world.sleep(Duration::from_millis(10)).await;
            if let Some(exit) = world.last_exit(node) {
                return exit;
            }
        }
        Exit::Failed("it never ended".to_owned())
    });
    match outcome.ended {
        Ended::Finished(Exit::Finished) if outcome.violations.is_empty() => None,
        Ended::Finished(exit) => Some(format!("{exit:?} {:?}", outcome.violations)),
        other => Some(format!("{other:?}")),
    }
}

#[test]
fn the_simulated_world_keeps_every_promise() {
    let promises = contract::all::<SimEnv>();
    let mut failures = Vec::new();
    for promise in &promises {
        let failure = (0..SEEDS).find_map(|seed| broken(promise, seed).map(|message| (seed, message)));
        failures
            .extend(failure.map(|(seed, message)| format!("{} with seed {seed}: {message}", promise.name)));
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), promises.len(), failures.join("\n"));
}
