//! The brokers: the same node that production runs, on a simulated machine.

use std::sync::Arc;

use jangbu_core::config::Config;
use jangbu_core::museum::Switches;
use jangbu_core::node::Node;

use super::PORT;
use crate::case::Case;
use crate::world::{NodeId, SimEnv, World};

/// Adds the brokers of a case, which are down; the first is node 1 of plans.
pub fn brokers(world: &Arc<World>, case: &Arc<Case>, switches: Switches) -> Vec<NodeId> {
    let add = |number| {
        let config = config(case, number, switches);
        world.add_node(format!("b{number}"), move |env| run(env, config.clone()))
    };
    (1..=case.brokers).map(add).collect()
}

async fn run(env: SimEnv, config: Result<Config, String>) -> Result<(), String> {
    let node = Node::start(env.clone(), config?).await.map_err(|error| error.to_string())?;
    node.run(env.shutdown_requested()).await.map_err(|error| error.to_string())
}

/// The configuration of one broker; the scenario's keys win over these.
///
/// # Errors
/// When the scenario's keys are not Kafka's.
pub fn config(case: &Case, number: u64, switches: Switches) -> Result<Config, String> {
    let mut pairs = vec![
        ("node.id".to_owned(), number.to_string()),
        ("listeners".to_owned(), format!("PLAINTEXT://b{number}:{PORT}")),
        ("log.dirs".to_owned(), "/data".to_owned()),
        ("auto.create.topics.enable".to_owned(), "false".to_owned()),
    ];
    pairs.retain(|(key, _)| !case.config.contains_key(key));
    pairs.extend(case.config.iter().map(|(key, value)| (key.clone(), value.clone())));
    let mut config = Config::parse(pairs).map_err(|error| error.to_string())?;
    config.switches = switches;
    Ok(config)
}
