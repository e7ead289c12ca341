//! Creates the topics of a scenario.

use std::sync::Arc;
use std::time::Duration;

use jangbu_core::env::{Clock, Env};

use super::client;
use crate::case::Case;
use crate::model::ClientEvent;
use crate::simulate::Board;
use crate::world::SimEnv;

pub(super) async fn create(env: SimEnv, case: Arc<Case>, board: Arc<Board>) -> Result<(), String> {
    let client = client(&env, &case, "admin");
    for (index, topic) in case.topics.iter().enumerate() {
        todo!("admin api");
    }
    Ok(())
}
