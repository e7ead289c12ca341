//! The messages written by hand, because they are hot (Produce, Fetch) or odd (ApiVersions).

pub mod api_versions;
pub mod fetch;
mod leader_hint;
pub mod produce;

pub use leader_hint::{CurrentLeader, NodeEndpoint};
