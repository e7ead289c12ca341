//! What is on its way.

use jangbu_core::ids::LeaderEpoch;
use jangbu_core::replica::{
    AlterIsr, AlterPartitionRejection, FetchResponse, PartitionState, ReplicaFetch, Ticket,
};

use super::log::Entry;
use super::permutation::Permutation;

/// Between a follower and a leader. No broker is named in it: it lies in the channel of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// A follower asks.
    Fetch(ReplicaFetch),
    /// Its leader answers the process that asked.
    Response {
        /// Which process.
        process: u8,
        /// The answer.
        response: FetchResponse,
        /// At most one record.
        entry: Option<Entry>,
    },
}

/// A leader's proposal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proposal {
    /// The process that made it.
    pub process: u8,
    /// What it asks.
    pub asked: AlterIsr,
}

/// The controller's answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// To which proposal.
    pub ticket: Ticket,
    /// Of which leadership.
    pub leader_epoch: LeaderEpoch,
    /// What became of it.
    pub result: Result<PartitionState, AlterPartitionRejection>,
}

/// Something on the connection of a broker to the controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// On its way there.
    Proposed(Proposal),
    /// On its way back.
    Answered(Answer),
}

/// A broker's connections to the controller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Calls {
    /// What is on the connection, the oldest first.
    pub line: Vec<Call>,
    /// A proposal on a connection that the broker gave up. It may still arrive, and nobody will hear the answer.
    pub given_up: Option<Proposal>,
}

impl Call {
    /// The proposal that it is about.
    pub fn of(&self) -> (Ticket, LeaderEpoch) {
        match self {
            Self::Proposed(Proposal { asked, .. }) => (asked.ticket, asked.leader_epoch),
            Self::Answered(answer) => (answer.ticket, answer.leader_epoch),
        }
    }
}

impl Proposal {
    /// In the form in which states are compared.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        self.asked.isr.sort_unstable();
        self
    }

    fn renamed(&self, permutation: Permutation) -> Self {
        let mut renamed = self.clone();
        for (member, _) in &mut renamed.asked.isr {
            *member = permutation.id(*member);
        }
        renamed.asked.isr.sort_unstable();
        renamed
    }
}

impl Calls {
    /// The connection is gone. The newest proposal on it may still arrive.
    pub fn give_up(&mut self) {
        let mut proposed = self.line.drain(..).filter_map(|call| match call {
            Call::Proposed(proposal) => Some(proposal),
            Call::Answered(_) => None,
        });
        self.given_up = proposed.next_back().or(self.given_up.take());
    }

    /// The same with other names.
    pub fn renamed(&self, permutation: Permutation) -> Self {
        let line = self.line.iter().map(|call| match call {
            Call::Proposed(proposal) => Call::Proposed(proposal.renamed(permutation)),
            Call::Answered(answer) => {
                let mut answer = answer.clone();
                if let Ok(state) = &mut answer.result {
                    state.leader = permutation.id(state.leader);
                    for member in &mut state.isr {
                        *member = permutation.id(*member);
                    }
                    state.isr.sort_unstable();
                }
                Call::Answered(answer)
            }
        });
        let given_up = self.given_up.as_ref().map(|proposal| proposal.renamed(permutation));
        Self { line: line.collect(), given_up }
    }
}
