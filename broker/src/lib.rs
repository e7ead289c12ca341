//! The product: the core in the world of production, and its command line.

pub mod cli;
pub mod config_file;
pub mod keys;
pub mod logging;
pub mod serve;
pub mod tokio_env;
