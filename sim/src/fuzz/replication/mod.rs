//! `sim fuzz replication`: the replica machine, the fetch loop, the broker's life and the controller in a bag of
//! messages that are late, repeated and lost, while brokers stand still, die, and lose what was not on their disks.
//!
//! An episode is short (50 to 300 drawn steps), ends healed, and must come to rest. Each seed draws its own weights and
//! its own kinds of messages to delay.

pub mod action;
mod broker;
mod budget;
pub mod check;
mod client;
pub mod command;
mod deliver;
mod emphasis;
mod generate;
mod heal;
pub mod hunt;
mod log;
mod message;
pub mod profile;
mod quorum;
pub mod report;
mod run;
pub mod script;
pub mod shrink;
mod step;
#[cfg(test)]
mod tests;
mod world;

pub use run::{Failure, Found, Report, Settings, find, find_by, run};

/// The most brokers of an episode.
pub const BROKERS_MAX: usize = 5;
