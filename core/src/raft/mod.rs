//! The metadata quorum: KRaft as a pure machine (KIP-595, KIP-630, KIP-853, KIP-996).
//!
//! [`Machine`] is told what arrives (`handle_*`), what has become durable (`handle_flushed`, `handle_snapshot_installed`)
//! and what time it is; it answers with [`Output`]s, in order. It sees its log through
//! [`MetadataLogView`](crate::epochs::MetadataLogView) and never its bytes.
//!
//! | file | what |
//! |---|---|
//! | `machine.rs` | the state, the roles, the timers |
//! | `election.rs` | votes, pre-votes, begin and end of an epoch |
//! | `fetch.rs` | replication: the leader's answers |
//! | `follower.rs` | replication: the follower's questions, and how it is cut |
//! | `progress.rs` | how far the leader knows the others to be; the high watermark; who still fetches |
//! | `snapshot.rs` | snapshots instead of records |
//! | `voters.rs`, `reconfiguration.rs` | who may vote, and how that changes |

mod election;
mod fetch;
mod follower;
mod machine;
pub mod messages;
mod output;
mod progress;
mod reconfiguration;
mod settings;
mod snapshot;
#[cfg(test)]
mod tests;
mod voters;

pub use machine::{ElectionState, Machine, Moment, RoleName};
pub use output::{Fatal, Output, ReplyTo};
pub use progress::{Progress, Replica};
pub use reconfiguration::VoterChangeRefusal;
pub use settings::Settings;
pub use snapshot::SnapshotRefusal;
pub use voters::{Endpoint, ReplicaKey, Voter, VoterHistory, Voters};
