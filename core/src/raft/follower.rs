//! A follower's side of replication: it fetches, appends, flushes and fetches on; a diverging log is cut (KIP-595).

use std::time::Duration;

use super::machine::{Machine, Moment, Role};
use super::messages::{FetchRequest, FetchResponse, Fetched, Request};
use super::output::{Fatal, Output};
use super::settings::Settings;
use super::snapshot::Download;
use crate::epochs::{EpochEnd, LogEnd};
use crate::ids::{BrokerId, Offset};
use crate::museum::Switch;
use crate::time::Instant;

/// What a follower knows of its leader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Following {
    pub(super) leader: BrokerId,
    /// When to ask for an election.
    pub(super) fetch_deadline: Instant,
    /// Whether a fetch succeeded: then the leader lives, and pre-votes are refused (KIP-996).
    pub(super) has_fetched: bool,
    /// The request that is under way, and when it is given up.
    pub(super) pending: Option<(u32, Instant)>,
    /// After a refusal the next request waits until then.
    pub(super) retry_at: Option<Instant>,
    /// The snapshot that is being fetched.
    pub(super) download: Option<Download>,
}

impl Following {
    pub(super) fn new(leader: BrokerId, now: Instant, fetch_timeout: Duration) -> Self {
        Self {
            leader,
            fetch_deadline: now + fetch_timeout,
            has_fetched: false,
            pending: None,
            retry_at: None,
            download: None,
        }
    }

    /// A wait for the disk has no deadline of its own.
    pub(super) fn next_deadline(&self, may_fetch_next: bool) -> Instant {
        let next = match self.pending {
            Some((_, given_up_at)) => Some(given_up_at),
            None if may_fetch_next => self.retry_at,
            None => None,
        };
        next.map_or(self.fetch_deadline, |next| next.min(self.fetch_deadline))
    }

    /// Whether this is the response that is waited for; it is not waited for again. An older one would be appended
    /// to a log that has moved on.
    pub(super) fn take_response(&mut self, from: BrokerId, request_id: u32) -> bool {
        let is_awaited = self.leader == from && self.pending.is_some_and(|(id, _)| id == request_id);
        if is_awaited {
            self.pending = None;
        }
        is_awaited
    }
}

impl Machine {
    /// To fetch at an offset is to say that everything before it is on the disk: this holds for voters, and for
    /// controllers that may become voters while their fetches are remembered (KAFKA-17332).
    fn must_flush_before_fetch(&self) -> bool {
        if self.is_voter {
            !self.settings.switches.off(Switch::RaftAckUnflushed)
        } else {
            self.settings.is_controller && !self.settings.switches.off(Switch::ObserverNoFlush)
        }
    }

    pub(super) fn may_fetch_next(&self) -> bool {
        self.installing.is_none()
    }

    pub(super) fn fetch_if_due(&mut self, moment: &Moment<'_>) {
        let may_fetch = self.may_fetch_next();
        let Role::Follower(following) = &mut self.role else { return };
        if !may_fetch || following.pending.is_some() || following.retry_at.is_some_and(|at| moment.now < at) {
            return;
        }
        following.retry_at = None;
        match following.download {
            Some(download) => self.fetch_snapshot(download, moment),
            None => self.fetch_at(moment.log_end(), moment),
        }
    }

    /// Fetches what follows `log_end`, unless what is before it must get to the disk first.
    fn fetch_at(&mut self, log_end: LogEnd, moment: &Moment<'_>) {
        let is_ready = self.flushed >= log_end.offset || !self.must_flush_before_fetch();
        if !is_ready || !self.may_fetch_next() {
            return;
        }
        let request_id = self.next_request_id();
        if let Role::Follower(following) = &mut self.role {
            following.pending = Some((request_id, moment.now + self.settings.request_timeout));
            let to = following.leader;
            self.send_fetch(to, request_id, log_end);
        }
    }

    fn send_fetch(&mut self, to: BrokerId, request_id: u32, log_end: LogEnd) {
        let request = FetchRequest {
            request_id,
            epoch: self.election.epoch,
            replica: self.me,
            log_end,
            high_watermark: self.high_watermark,
        };
        self.push(Output::Send { to, request: Request::Fetch(request) });
    }

    /// An observer without a leader asks any voter or bootstrap address, whose answer names the leader (KIP-595).
    pub(super) fn look_for_leader(&mut self, moment: &Moment<'_>) {
        self.role = Role::Unattached { deadline: moment.jittered(self.settings.fetch_timeout / 8) };
        let bootstrap = self.settings.bootstrap_servers;
        let others = || {
            let voters = self.voters.latest().iter().map(|voter| voter.key.id).filter(|id| *id != self.me.id);
            voters.chain((0..bootstrap).map(Settings::bootstrap_server))
        };
        let chosen = others().nth(moment.pick(others().count()));
        if let Some(to) = chosen {
            self.ask_for_leader(to, moment);
        }
    }

    /// A voter whom nobody would elect may be none any more: the voters that its log names may all be gone, and those
    /// that came after them do not know of it. So it asks a bootstrap address, too (KIP-853).
    pub(super) fn ask_bootstrap_server(&mut self, moment: &Moment<'_>) {
        let servers = self.settings.bootstrap_servers;
        if servers > 0 {
            let chosen = moment.pick(usize::from(servers)) as u16;
            self.ask_for_leader(Settings::bootstrap_server(chosen), moment);
        }
    }

    fn ask_for_leader(&mut self, to: BrokerId, moment: &Moment<'_>) {
        let log_end = moment.log_end();
        let is_ready = self.flushed >= log_end.offset || !self.must_flush_before_fetch();
        if is_ready && self.may_fetch_next() {
            let request_id = self.next_request_id();
            self.send_fetch(to, request_id, log_end);
        }
    }

    pub(super) fn follower_timeout(&mut self, moment: &Moment<'_>) {
        let Role::Follower(following) = &mut self.role else { return };
        if moment.now >= following.fetch_deadline {
            return if self.may_stand() {
                self.become_prospective(moment);
            } else {
                self.become_unattached(self.election.epoch, moment);
            };
        }
        if let Some((_, given_up_at)) = following.pending
            && moment.now >= given_up_at
        {
            following.pending = None;
        }
        self.fetch_if_due(moment);
    }

    /// Takes the leader's answer to a fetch.
    pub fn handle_fetch_response(&mut self, from: BrokerId, response: &FetchResponse, moment: &Moment<'_>) {
        if self.has_failed {
            return;
        }
        self.learn(response.standing, moment);
        let Role::Follower(following) = &mut self.role else { return };
        if !following.take_response(from, response.request_id) {
            return;
        }
        let is_refused =
            matches!(response.fetched, Fetched::Refused(_)) || response.standing.epoch != self.election.epoch;
        if is_refused {
            following.retry_at = Some(moment.now + self.settings.retry_backoff);
            return;
        }
        following.fetch_deadline = moment.now + self.settings.fetch_timeout;
        following.has_fetched = true;
        match response.fetched {
            Fetched::Records(end) => {
                if end.offset > moment.log.log_end() {
                    self.push(Output::AppendFetched(response.request_id));
                }
                // The leader may be ahead: what is committed and not here is not committed here.
                self.raise_high_watermark(response.high_watermark.min(end.offset));
                self.fetch_at(end, moment);
            }
            Fetched::Diverging(at) => self.cut(at, moment),
            Fetched::Snapshot(id) => self.begin_download(id, moment),
            Fetched::Refused(_) => {}
        }
    }

    /// Cuts the log to the largest offset at which it can agree with a leader whose `at.epoch` ends at `at.end`.
    fn cut(&mut self, at: EpochEnd, moment: &Moment<'_>) {
        let log_end = moment.log.log_end();
        let to = match moment.log.epochs().end_of(at.epoch, log_end) {
            Some(here) if here.epoch == at.epoch => here.end.min(at.end),
            Some(here) => here.end,
            None => at.end.min(log_end),
        };
        if to < self.high_watermark && !self.may_cut_below_high_watermark(to, moment) {
            let high_watermark = self.high_watermark;
            return self.fail(Fatal::TruncateBelowHighWatermark { to, high_watermark });
        }
        self.push(Output::Truncate(to));
        self.high_watermark = self.high_watermark.min(to);
        self.flushed = self.flushed.min(to);
        if self.voters.truncate(to) {
            self.voters_changed();
        }
        self.fetch_at(moment.end_at(to), moment);
    }

    /// KAFKA-12460: what is committed is never cut, whoever says so.
    fn may_cut_below_high_watermark(&self, to: Offset, moment: &Moment<'_>) -> bool {
        self.settings.switches.off(Switch::RaftTruncateBelowHighWatermark) && to >= moment.log.log_start()
    }

    pub(super) fn raise_high_watermark(&mut self, to: Offset) {
        if to > self.high_watermark {
            self.high_watermark = to;
            self.push(Output::HighWatermark(to));
        }
    }
}
