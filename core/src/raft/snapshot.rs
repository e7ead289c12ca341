//! Snapshots in the place of records (KIP-630): when one may be made, and how a follower fetches one.

use super::machine::{Machine, Moment, Role};
use super::messages::{
    FetchSnapshotRequest, FetchSnapshotResponse, Refusal, Request, Response, SnapshotChunk,
};
use super::output::{Fatal, Output, ReplyTo};
use super::voters::Voters;
use crate::epochs::SnapshotId;
use crate::ids::{BrokerId, Offset};
use crate::museum::Switch;

/// A snapshot that is being fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Download {
    id: SnapshotId,
    /// How many bytes are here.
    position: u64,
}

/// Why no snapshot may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotRefusal {
    /// The records are not all committed.
    #[error("a snapshot up to {0} would hold records that are not committed")]
    NotCommitted(Offset),
    /// A later one exists.
    #[error("there is a snapshot up to {0} or beyond")]
    Exists(Offset),
}

impl Machine {
    /// The name of a snapshot of everything before `end`.
    ///
    /// # Errors
    /// When the state there is not committed, or older than a snapshot that exists.
    pub fn snapshot_id(&self, end: Offset, moment: &Moment<'_>) -> Result<SnapshotId, SnapshotRefusal> {
        let log = moment.log;
        if !self.is_committed(end, moment) {
            return Err(SnapshotRefusal::NotCommitted(end));
        }
        let last =
            log.latest_snapshot().map_or(log.log_start(), |snapshot| snapshot.end).max(log.log_start());
        if end <= last {
            return Err(SnapshotRefusal::Exists(end));
        }
        let epoch = moment.end_at(end).epoch;
        let end = if self.ends_after_last_record() { end } else { Offset(end.0 - 1) };
        Ok(SnapshotId { end, epoch })
    }

    /// KIP-630: only what cannot be taken back gets into a snapshot.
    fn is_committed(&self, end: Offset, moment: &Moment<'_>) -> bool {
        if self.settings.switches.off(Switch::SnapshotAboveHighWatermark) {
            return end <= moment.log.log_end();
        }
        end <= self.high_watermark
    }

    /// KAFKA-14618: the end of a snapshot is the first offset that is not in it.
    fn ends_after_last_record(&self) -> bool {
        !self.settings.switches.off(Switch::SnapshotOffByOne)
    }

    /// The shell removed the log's head, which it may up to the end of a snapshot.
    ///
    /// # Panics
    /// When there is no such snapshot: nobody could be told any more what was removed (KAFKA-14240).
    pub fn handle_log_start_moved(&mut self, moment: &Moment<'_>) {
        let start = moment.log.log_start();
        let snapshot_end = moment.log.latest_snapshot().map_or(Offset::ZERO, |snapshot| snapshot.end);
        assert!(
            start <= snapshot_end,
            "the log begins at {start}, after the last snapshot at {snapshot_end}"
        );
        self.voters.truncate_from_start(start);
    }

    /// Answers a FetchSnapshot request.
    pub fn handle_fetch_snapshot(
        &mut self,
        to: ReplyTo,
        request: &FetchSnapshotRequest,
        moment: &Moment<'_>,
    ) {
        if self.has_failed {
            return;
        }
        let decided = self.check_leader_request(request.epoch).and_then(|()| {
            if request.replica.id == self.me.id {
                return Err(Refusal::InvalidRequest);
            }
            let size = moment.log.snapshot_size(request.snapshot).ok_or(Refusal::SnapshotNotFound)?;
            let rest = size.checked_sub(request.position).filter(|rest| *rest > 0 || size == 0);
            let length = rest.ok_or(Refusal::PositionOutOfRange)?.min(self.settings.snapshot_chunk_bytes_max);
            Ok(SnapshotChunk { snapshot: request.snapshot, position: request.position, length, size })
        });
        let (request_id, standing) = (request.request_id, self.standing());
        match decided {
            Ok(chunk) => {
                self.note_fetch(request.replica, moment);
                self.push(Output::ReadSnapshot { to, request_id, standing, chunk });
            }
            Err(refusal) => {
                let response = FetchSnapshotResponse { request_id, standing, chunk: Err(refusal) };
                self.push(Output::Reply { to, response: Response::FetchSnapshot(response) });
            }
        }
    }

    /// The leader says that only this snapshot leads on from here.
    pub(super) fn begin_download(&mut self, id: SnapshotId, moment: &Moment<'_>) {
        if id.end < self.high_watermark {
            let high_watermark = self.high_watermark;
            return self.fail(Fatal::SnapshotBelowHighWatermark { end: id.end, high_watermark });
        }
        let download = Download { id, position: 0 };
        if let Role::Follower(following) = &mut self.role {
            following.download = Some(download);
        }
        self.fetch_snapshot(download, moment);
    }

    pub(super) fn fetch_snapshot(&mut self, download: Download, moment: &Moment<'_>) {
        let request_id = self.next_request_id();
        let Role::Follower(following) = &mut self.role else { return };
        following.pending = Some((request_id, moment.now + self.settings.request_timeout));
        let request = FetchSnapshotRequest {
            request_id,
            epoch: self.election.epoch,
            replica: self.me,
            snapshot: download.id,
            position: download.position,
        };
        let to = following.leader;
        self.push(Output::Send { to, request: Request::FetchSnapshot(request) });
    }

    /// Takes a piece of a snapshot.
    pub fn handle_fetch_snapshot_response(
        &mut self,
        from: BrokerId,
        response: &FetchSnapshotResponse,
        moment: &Moment<'_>,
    ) {
        if self.has_failed {
            return;
        }
        self.learn(response.standing, moment);
        let Role::Follower(following) = &mut self.role else { return };
        if !following.take_response(from, response.request_id) {
            return;
        }
        let Some(download) = following.download else { return };
        let is_next =
            |chunk: &SnapshotChunk| chunk.snapshot == download.id && chunk.position == download.position;
        let Some(chunk) = response.chunk.ok().filter(is_next) else {
            // The leader has a newer one by now, or is none any more: a fetch will tell.
            following.download = None;
            following.retry_at = Some(moment.now + self.settings.retry_backoff);
            return;
        };
        following.fetch_deadline = moment.now + self.settings.fetch_timeout;
        following.has_fetched = true;
        let download = Download { id: download.id, position: chunk.position + chunk.length };
        let is_whole = download.position >= chunk.size;
        following.download = (!is_whole).then_some(download);
        self.push(Output::WriteSnapshot { request_id: response.request_id, chunk });
        if is_whole {
            self.installing = Some(download.id);
            self.push(Output::InstallSnapshot(download.id));
        } else {
            self.fetch_snapshot(download, moment);
        }
    }

    /// The snapshot is durable and in the place of the log, which begins and ends where it ends. `voters` is the set
    /// that it holds, if it holds one.
    pub fn handle_snapshot_installed(&mut self, id: SnapshotId, voters: Option<Voters>, moment: &Moment<'_>) {
        self.installing = None;
        self.flushed = id.end;
        let voters = voters.unwrap_or_else(|| self.voters.latest().clone());
        self.voters.reset(id.end, voters);
        self.voters_changed();
        self.raise_high_watermark(id.end);
        self.fetch_if_due(moment);
    }
}
