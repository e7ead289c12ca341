//! Who lives in the world: brokers that run the real node, and clients that speak to them in Kafka's protocol over
//! the simulated network, through the core's own client.

mod audit;
mod brokers;
mod churn;
mod consume;
mod produce;
mod seek;
mod topics;
mod value;

pub use brokers::brokers;

use std::sync::Arc;
use std::time::Duration;

use jangbu_core::client::{self, Backoff, Client};

use crate::case::Case;
use crate::simulate::Board;
use crate::world::{SimEnv, World};

/// The port of every broker.
const PORT: u16 = 9092;

/// Has the topics created; the board knows when they are.
pub fn start_admin(world: &Arc<World>, case: &Arc<Case>, board: &Arc<Board>) {
    let (case, board) = (case.clone(), board.clone());
    let node = world.add_node("admin", move |env| topics::create(env, case.clone(), board.clone()));
    world.start(node);
}

/// Starts the producers, the readers and those who create and delete topics, each on a machine of its own, and the one
/// who reads everything at the end.
pub fn start_clients(world: &Arc<World>, case: &Arc<Case>, board: &Arc<Board>) {
    let mut nodes = Vec::new();
    for number in 0..case.producers.len() {
        let (case, board) = (case.clone(), board.clone());
        nodes.push(world.add_node(format!("producer{}", number + 1), move |env| {
            produce::run(env, number, case.clone(), board.clone())
        }));
    }
    for number in 0..case.consumers.len() {
        let (case, board) = (case.clone(), board.clone());
        nodes.push(world.add_node(format!("reader{}", number + 1), move |env| {
            consume::run(env, number, case.clone(), board.clone())
        }));
    }
    for number in 0..case.churners.len() {
        let (case, board) = (case.clone(), board.clone());
        nodes.push(world.add_node(format!("churner{}", number + 1), move |env| {
            churn::run(env, number, case.clone(), board.clone())
        }));
    }
    for number in 0..case.seekers.len() {
        let (case, board) = (case.clone(), board.clone());
        nodes.push(world.add_node(format!("seeker{}", number + 1), move |env| {
            seek::run(env, number, case.clone(), board.clone())
        }));
    }
    let (case, board) = (case.clone(), board.clone());
    nodes.push(world.add_node("auditor", move |env| audit::run(env, case.clone(), board.clone())));
    for node in nodes {
        world.start(node);
    }
}

/// A client that is impatient enough to meet every fault several times in a run.
fn client(env: &SimEnv, case: &Case, name: &str) -> Client<SimEnv> {
    let mut rng = env.world().stream(&format!("patience of {name}"));
    let mut millis = |low: u64, high: u64| Duration::from_millis(rng.within(low..high));
    let settings = client::Settings {
        bootstrap: (1..=case.brokers).map(|broker| format!("b{broker}:{PORT}")).collect(),
        client_id: name.to_owned(),
        request_timeout: millis(1_000, 5_000),
        connect_timeout: millis(500, 3_000),
        retry_backoff: Backoff { min: millis(5, 100), max: millis(200, 1_000) },
        reconnect_backoff: Backoff { min: millis(5, 50), max: millis(100, 1_000) },
        metadata_age_max: millis(5_000, 60_000),
    };
    Client::new(env.clone(), settings)
}
