//! The controller: decides what becomes of the metadata.
mod command;

pub use command::*;
