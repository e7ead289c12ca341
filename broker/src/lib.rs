//! The product: the core in the world of production, and its command line.

pub mod tokio_env;
