//! A leader's side of replication: it answers fetches (KIP-595, KIP-630).

use super::machine::{Machine, Moment};
use super::messages::{FetchRequest, FetchResponse, Fetched, Refusal, Response};
use super::output::{Output, ReplyTo};
use crate::epochs::{EpochEnd, LogEnd, SnapshotId};
use crate::ids::{LeaderEpoch, Offset};
use crate::museum::Switch;

/// How a follower's log relates to ours.
enum Relation {
    /// The same up to its end.
    Agrees,
    /// Different somewhere after this.
    Diverges(EpochEnd),
    /// What it needs has been removed here.
    NeedsSnapshot(SnapshotId),
}

impl Machine {
    /// Answers a Fetch request.
    pub fn handle_fetch(&mut self, to: ReplyTo, request: &FetchRequest, moment: &Moment<'_>) {
        if self.has_failed {
            return;
        }
        if let Err(refusal) = self.check_leader_request(request.epoch) {
            return self.reply_fetch(to, request, Fetched::Refused(refusal));
        }
        if !self.makes_sense(request) {
            return self.reply_fetch(to, request, Fetched::Refused(Refusal::InvalidRequest));
        }
        if !self.counts_only_what_agrees() {
            self.replica_fetched(request.replica, request.log_end.offset, moment);
        }
        match relation(request.log_end, moment) {
            Relation::Agrees => {
                self.replica_fetched(request.replica, request.log_end.offset, moment);
                self.serve(to, request, moment);
            }
            Relation::Diverges(at) => self.reply_fetch(to, request, Fetched::Diverging(at)),
            Relation::NeedsSnapshot(id) => self.reply_fetch(to, request, Fetched::Snapshot(id)),
        }
    }

    fn makes_sense(&self, request: &FetchRequest) -> bool {
        let FetchRequest { log_end, epoch, replica, .. } = request;
        // No record has a negative offset or epoch, and none is of a later epoch than its leader (KIP-595).
        let is_log_end = log_end.offset >= Offset::ZERO && (LeaderEpoch(0)..=*epoch).contains(&log_end.epoch);
        // The leader's own end is what it flushed; nobody else speaks for it, whatever directory he names.
        is_log_end && replica.id != self.me.id
    }

    /// A position says nothing about what is before it until the epochs have been compared.
    fn counts_only_what_agrees(&self) -> bool {
        !self.settings.switches.off(Switch::MatchFromLogEnd)
    }

    fn serve(&mut self, to: ReplyTo, request: &FetchRequest, moment: &Moment<'_>) {
        // The fetch itself may have moved the high watermark, and that may have ended the leadership.
        if let Err(refusal) = self.check_leader_request(request.epoch) {
            return self.reply_fetch(to, request, Fetched::Refused(refusal));
        }
        let up_to = self.readable_end(moment);
        let high_watermark = self.told_high_watermark();
        if request.log_end.offset < up_to {
            self.push(Output::Read {
                to,
                request_id: request.request_id,
                from: request.log_end.offset,
                up_to,
                standing: self.standing(),
                high_watermark,
            });
        } else if request.high_watermark < high_watermark.min(request.log_end.offset) {
            // KIP-1166: a higher high watermark is news enough.
            self.reply_fetch(to, request, Fetched::Records(request.log_end));
        } else {
            self.push(Output::Park { to, request: *request });
        }
    }

    /// The answer to a fetch that was parked for too long.
    pub fn expire_fetch(&mut self, to: ReplyTo, request: &FetchRequest) {
        if self.has_failed {
            return;
        }
        let fetched = match self.check_leader_request(request.epoch) {
            Ok(()) => Fetched::Records(request.log_end),
            Err(refusal) => Fetched::Refused(refusal),
        };
        self.reply_fetch(to, request, fetched);
    }

    pub(super) fn check_leader_request(&self, epoch: LeaderEpoch) -> Result<(), Refusal> {
        match self.leader_epoch() {
            _ if epoch < self.election.epoch => Err(Refusal::FencedLeaderEpoch),
            _ if epoch > self.election.epoch => Err(Refusal::UnknownLeaderEpoch),
            Some(_) => Ok(()),
            None => Err(Refusal::NotLeader),
        }
    }

    fn reply_fetch(&mut self, to: ReplyTo, request: &FetchRequest, fetched: Fetched) {
        let response = FetchResponse {
            request_id: request.request_id,
            standing: self.standing(),
            high_watermark: self.told_high_watermark(),
            fetched,
        };
        self.push(Output::Reply { to, response: Response::Fetch(response) });
    }
}

/// Compares a follower's log with ours by the epoch of its last record.
fn relation(theirs: LogEnd, moment: &Moment<'_>) -> Relation {
    let log = moment.log;
    let start = log.log_start();
    if start == Offset::ZERO && theirs.offset == Offset::ZERO && log.latest_snapshot().is_none() {
        return Relation::Agrees;
    }
    if let Some(latest) = log.latest_snapshot() {
        let before = log.epoch_before_start();
        // KIP-630. The last case: its last epoch ended in what was removed here, so that nobody could say where;
        // the records that are left would tell it to cut below its high watermark.
        let is_removed = theirs.offset < start
            || (theirs.offset == start && theirs.epoch != before)
            || theirs.epoch < before;
        if (start > Offset::ZERO && is_removed) || theirs.offset == Offset::ZERO {
            return Relation::NeedsSnapshot(latest);
        }
    }
    if theirs.offset == start {
        return Relation::Agrees;
    }
    let first = log.epochs().entries().first().map_or(LeaderEpoch::NONE, |entry| entry.epoch);
    let ours = if theirs.epoch < first {
        EpochEnd { epoch: log.epoch_before_start(), end: start }
    } else {
        match log.epochs().end_of(theirs.epoch, log.log_end()) {
            Some(end) => end,
            None => {
                let end = moment.log_end();
                EpochEnd { epoch: end.epoch, end: end.offset }
            }
        }
    };
    if ours.epoch == theirs.epoch && theirs.offset <= ours.end {
        Relation::Agrees
    } else {
        Relation::Diverges(ours)
    }
}
