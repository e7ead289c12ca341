//! Changes of the set of voters: one at a time, as records of the log (KIP-853).

use super::machine::{Machine, Moment, Role};
use super::output::Output;
use super::voters::{ReplicaKey, Voter, Voters};
use crate::ids::Offset;
use crate::museum::Switch;

/// Why the voters are not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoterChangeRefusal {
    /// This replica does not lead.
    #[error("this replica does not lead the quorum")]
    NotLeader,
    /// No record of the leader's epoch is committed: there may be a change that it does not know of.
    #[error("the leader has not committed a record of its epoch yet; try again")]
    EpochNotCommitted,
    /// The last change is not committed.
    #[error("the last change of the voters is not committed yet; try again")]
    ChangePending,
    /// The voters come from the configuration (kraft.version 0).
    #[error("the voters are fixed by controller.quorum.voters; change the configuration instead")]
    StaticVoters,
    /// Without its directory a voter that lost its disk could not be told from the one it was (KIP-853).
    #[error("the voter's directory id is missing; give the one in its meta.properties")]
    NoDirectory,
    /// The id votes already, perhaps with another directory, which then has to be removed first.
    #[error("a voter of this id exists; remove it first")]
    DuplicateVoter,
    /// The new voter would hold up commits until it has fetched everything; for ever, if it is dead.
    #[error("the new voter has not caught up with the leader; let it observe first, then try again")]
    NotCaughtUp,
    /// There is no such voter, or it is the last one.
    #[error("there is no such voter, or no other one")]
    VoterNotFound,
}

impl Machine {
    /// Makes an observer that has caught up, and lives, a voter.
    ///
    /// # Errors
    /// See [`VoterChangeRefusal`].
    pub fn add_voter(&mut self, voter: Voter, moment: &Moment<'_>) -> Result<(), VoterChangeRefusal> {
        let key = voter.key;
        self.check_change(key)?;
        let voters = self.voters.latest().with(voter).ok_or(VoterChangeRefusal::DuplicateVoter)?;
        if !self.progress.is_caught_up(key, self.settings.fetch_timeout, moment.now) {
            return Err(VoterChangeRefusal::NotCaughtUp);
        }
        self.push(Output::AppendVoters(voters));
        Ok(())
    }

    /// Takes a voter out. A leader may remove itself: it leads until that is committed.
    ///
    /// # Errors
    /// See [`VoterChangeRefusal`].
    pub fn remove_voter(&mut self, key: ReplicaKey) -> Result<(), VoterChangeRefusal> {
        self.check_change(key)?;
        let voters = self.voters.latest().without(key).ok_or(VoterChangeRefusal::VoterNotFound)?;
        self.push(Output::AppendVoters(voters));
        Ok(())
    }

    /// Records a voter's new endpoints. Its directory cannot change: another directory is another voter.
    ///
    /// # Errors
    /// See [`VoterChangeRefusal`].
    pub fn update_voter(&mut self, voter: &Voter) -> Result<(), VoterChangeRefusal> {
        self.check_change(voter.key)?;
        let voters = self.voters.latest().updated(voter).ok_or(VoterChangeRefusal::VoterNotFound)?;
        self.push(Output::AppendVoters(voters));
        Ok(())
    }

    /// Two sets of voters that follow each other share a majority only if the first one is committed, by this
    /// leader or before it: hence the record of its own epoch (the erratum of 2015 to Raft's dissertation).
    fn check_change(&self, key: ReplicaKey) -> Result<(), VoterChangeRefusal> {
        let Role::Leader(leading) = &self.role else { return Err(VoterChangeRefusal::NotLeader) };
        if self.voters.latest().is_static() {
            return Err(VoterChangeRefusal::StaticVoters);
        }
        if key.directory.is_zero() {
            return Err(VoterChangeRefusal::NoDirectory);
        }
        if !leading.has_committed && !self.settings.switches.off(Switch::ReconfigureEarly) {
            return Err(VoterChangeRefusal::EpochNotCommitted);
        }
        if self.voters.latest_offset() >= self.high_watermark {
            return Err(VoterChangeRefusal::ChangePending);
        }
        Ok(())
    }

    /// A VotersRecord is in the log, appended here or fetched: it counts at once, committed or not.
    pub fn handle_voters_appended(&mut self, offset: Offset, voters: Voters, moment: &Moment<'_>) {
        self.voters.append(offset, voters);
        self.voters_changed();
        if matches!(self.role, Role::Leader(_)) {
            self.progress.set_voters(self.voters.latest());
            self.advance_high_watermark(moment);
        }
    }
}
