//! The core of Jangbu: everything that decides what happens to a record, written against an abstracted clock,
//! network and disk, so that the same code runs on real machines and inside the simulator.
//!
//! The modules form rings; imports point to lower rings only (`cargo xtask tidy` checks it).
//!
//! | ring | modules | rules |
//! |---|---|---|
//! | 0 values | [`ids`] [`time`] [`error`] [`epochs`] [`fact`] [`museum`] [`sync`] [`wire`] [`record`] | no async, no I/O |
//! | 1 machines | [`metadata`] [`controller`] [`raft`] [`replica`] [`purgatory`] [`fetch_session`] [`fetch_loop`] [`lifecycle`] | pure: `now` and random bits are arguments |
//! | 2 storage | [`mod@env`] [`log`] | sync; async only where the hardware makes one wait |
//! | 3 shell | [`client`] [`partition`] [`quorum`] [`api`] [`server`] [`node`] [`config`] | async, generic over `E: Env` |

pub mod api;
pub mod client;
pub mod config;
pub mod controller;
pub mod env;
pub mod epochs;
pub mod error;
pub mod fact;
pub mod fetch_loop;
pub mod fetch_session;
pub mod ids;
pub mod lifecycle;
pub mod log;
pub mod metadata;
pub mod museum;
pub mod node;
pub mod partition;
pub mod purgatory;
pub mod quorum;
pub mod raft;
pub mod record;
pub mod replica;
pub mod server;
pub mod sync;
pub mod time;
pub mod wire;
