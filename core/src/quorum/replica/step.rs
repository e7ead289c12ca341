//! What the machine wants, done.

use bytes::Bytes;

use super::{Leadership, Outbound, Replica, ReplicaError, Reply, Step};
use crate::env::{Clock, Env, File, Site};
use crate::epochs::{LogEnd, LogView, MetadataLogView};
use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::metadata::control::{ControlRecord, VoterEndpoint, VoterRecord};
use crate::quorum::metadata_log::{MetadataLog, MetadataLogError};
use crate::quorum::snapshots::on_disk;
use crate::raft::messages::{
    FetchResponse, FetchSnapshotResponse, Fetched, Request, Response, SnapshotChunk,
};
use crate::raft::{Endpoint, Output, ReplicaKey, ReplyTo, Voter, VoterHistory, Voters};
use crate::record::batch::Batch;
use crate::record::records::iterate;

/// Records of the metadata log are read for a follower, or for those behind this replica.
const READ: Site = Site::new("quorum.log.read");

/// Every place from which a replica calls the disk by itself.
pub const SITES: &[Site] = &[READ];

/// Committed records are told in pieces of about this many bytes.
const TOLD_BYTES: u32 = 1 << 20;
/// The most bytes of one answer, whatever is asked for.
const READ_BYTES_MAX: u32 = 8 << 20;
/// The versions of the quorum's protocol that this node understands: static and changing voters (KIP-853).
const KRAFT_VERSIONS: (i16, i16) = (0, 1);

impl<E: Env> Replica<E> {
    pub(super) async fn perform_outputs(&mut self) -> Result<(), ReplicaError> {
        while let Some(output) = self.machine.poll_output() {
            self.perform(output).await?;
        }
        Ok(())
    }

    async fn perform(&mut self, output: Output) -> Result<(), ReplicaError> {
        match output {
            Output::SaveElection(state) => self.save_election(state).await?,
            Output::Send { to, request } => self.send(to, request),
            Output::Reply { to, response } => self.reply(to, response, Bytes::new()),
            Output::Read { to, request_id, from, up_to, standing, high_watermark } => {
                match self.read(to, from, up_to) {
                    Ok((bytes, end)) => {
                        let fetched = Fetched::Records(end);
                        let response = FetchResponse { request_id, standing, high_watermark, fetched };
                        self.reply(to, Response::Fetch(response), bytes);
                    }
                    Err(error) => self.give_up(to, error)?,
                }
            }
            Output::Park { to, request } => self.asked.park(to, request),
            Output::Unpark => {
                for (to, request) in self.asked.unpark() {
                    self.tell(|machine, moment| machine.handle_fetch(to, &request, moment));
                }
            }
            Output::ReadSnapshot { to, request_id, standing, chunk } => {
                let length = chunk.length.min(u64::from(self.asked.max_bytes(to)));
                match self.log.read_snapshot(&SnapshotChunk { length, ..chunk }) {
                    Ok(bytes) => {
                        let chunk = Ok(SnapshotChunk { length: bytes.len() as u64, ..chunk });
                        let response = FetchSnapshotResponse { request_id, standing, chunk };
                        self.reply(to, Response::FetchSnapshot(response), bytes);
                    }
                    Err(error) => self.give_up(to, error.into())?,
                }
            }
            Output::AppendLeaderChange(epoch) => self.append_leader_change(epoch)?,
            Output::AppendVoters(voters) => {
                let epoch = self.machine.election().epoch;
                self.append_control(&ControlRecord::Voters(records_of(&voters)), epoch)?;
            }
            Output::AppendFetched(_) => self.append_fetched()?,
            Output::Truncate(to) => self.log.truncate(to).await?,
            Output::WriteSnapshot { chunk, .. } => self.log.stage(&chunk, &self.arrived)?,
            Output::InstallSnapshot(id) => {
                self.finish_flush().await?;
                self.log.install(id).await?;
                self.told = id.end;
                self.tell_snapshot()?;
                self.tell(|machine, moment| machine.handle_snapshot_installed(id, None, moment));
            }
            // They are told piece by piece, between other things.
            Output::HighWatermark(_) => {}
            // Not before everything that was committed in earlier epochs has been told.
            Output::BecameLeader(epoch) => {
                self.leadership = Leadership::Elected(epoch, self.log.log_end());
            }
            Output::LostLeadership(epoch) => {
                let told = std::mem::replace(&mut self.leadership, Leadership::None);
                if matches!(told, Leadership::Told(_)) {
                    self.step(Step::LostLeadership(epoch));
                }
            }
            Output::Fatal(fatal) => return Err(fatal.into()),
        }
        Ok(())
    }

    /// What finds no room is lost, as if the network had lost it.
    fn send(&mut self, to: BrokerId, request: Request) {
        let _ = self.wires.outbound.try_send(Outbound { to, request });
    }

    /// Those behind the replica may be gone, when the node stops.
    fn step(&mut self, step: Step) {
        let _ = self.wires.steps.send(step);
    }

    fn reply(&mut self, to: ReplyTo, response: Response, bytes: Bytes) {
        let log_start = self.log.log_start();
        self.asked.answer(to, Reply { response, bytes, log_start });
    }

    /// Records for a follower, and where they end.
    fn read(&mut self, to: ReplyTo, from: Offset, up_to: Offset) -> Result<(Bytes, LogEnd), ReplicaError> {
        let (bytes, end) = read_log(&self.log, from, up_to, self.asked.max_bytes(to).min(READ_BYTES_MAX))?;
        let epoch = self.log.epochs().at(Offset(end.0 - 1)).unwrap_or(LeaderEpoch(0));
        Ok((bytes, LogEnd { epoch, offset: end }))
    }

    /// Where no descriptor was free, whoever asked gets no answer and asks again.
    fn give_up(&mut self, to: ReplyTo, error: ReplicaError) -> Result<(), ReplicaError> {
        match error {
            ReplicaError::Disk(error) | ReplicaError::Log(MetadataLogError::Disk(error))
                if error.changed_nothing() =>
            {
                self.asked.forget(to);
                Ok(())
            }
            error => Err(error),
        }
    }

    /// Tells one more piece of what is committed; returns whether there is more.
    pub(super) fn tell_committed(&mut self) -> Result<bool, ReplicaError> {
        let committed = self.machine.high_watermark();
        if self.told < committed {
            let (batches, end) = read_log(&self.log, self.told, committed, TOLD_BYTES)?;
            if end <= self.told {
                return Ok(false);
            }
            self.told = end;
            self.step(Step::Committed { batches, end });
        }
        if let Leadership::Elected(epoch, first) = self.leadership
            && self.told > first
        {
            self.leadership = Leadership::Told(epoch);
            self.step(Step::BecameLeader(epoch));
        }
        Ok(self.told < committed)
    }

    /// Tells the newest snapshot, which stands for everything before it.
    pub(super) fn tell_snapshot(&mut self) -> Result<(), ReplicaError> {
        if let Some(id) = self.log.latest_snapshot() {
            let size = self.log.size_of(id);
            let whole = SnapshotChunk { snapshot: id, position: 0, length: size, size };
            let bytes = self.log.read_snapshot(&whole)?;
            self.step(Step::Snapshot { id, bytes });
        }
        Ok(())
    }

    fn append_leader_change(&mut self, epoch: LeaderEpoch) -> Result<(), ReplicaError> {
        let leader = self.machine.me().id;
        let voters = self.machine.voters().iter().map(|voter| voter.key.id).collect();
        let granting = self.machine.granting_voters().collect();
        self.append_control(&ControlRecord::LeaderChange { leader, voters, granting }, epoch)
    }

    fn append_control(&mut self, record: &ControlRecord, epoch: LeaderEpoch) -> Result<(), ReplicaError> {
        let now = self.env.clock().wall();
        let appended = self.log.append(&mut record.batch(now), epoch)?;
        if let ControlRecord::Voters(voters) = record {
            let voters = voters_of(voters);
            self.tell(|machine, moment| {
                machine.handle_voters_appended(appended.base_offset, voters, moment);
            });
        }
        Ok(())
    }

    fn append_fetched(&mut self) -> Result<(), ReplicaError> {
        let records = std::mem::take(&mut self.arrived);
        // What is not understood does not get into the log, where every start would find it again.
        let voters = voters_in(records.clone())?;
        self.log.append_fetched(records)?;
        for (offset, voters) in voters {
            self.tell(|machine, moment| machine.handle_voters_appended(offset, voters, moment));
        }
        Ok(())
    }
}

/// Whole batches from `from` on, below `up_to`, and where they end.
fn read_log<E: Env>(
    log: &MetadataLog<E>,
    from: Offset,
    up_to: Offset,
    bytes_max: u32,
) -> Result<(Bytes, Offset), ReplicaError> {
    let slice = log.read(from, up_to, bytes_max)?;
    let Some(range) = slice.bytes else { return Ok((Bytes::new(), from)) };
    let mut bytes = vec![0; range.len as usize];
    let read = range.file.read_at(READ, &mut bytes, range.position);
    bytes.truncate(on_disk(read, READ, log.path())?);
    Ok((bytes.into(), slice.next_offset))
}

/// Gathers the voters that a log names.
pub(super) fn voters_of_log<E: Env>(
    log: &MetadataLog<E>,
    history: &mut VoterHistory,
) -> Result<(), ReplicaError> {
    let mut next = log.log_start();
    while next < log.log_end() {
        let (bytes, end) = read_log(log, next, log.log_end(), TOLD_BYTES)?;
        if end <= next {
            break;
        }
        for (offset, voters) in voters_in(bytes)? {
            history.append(offset, voters);
        }
        next = end;
    }
    Ok(())
}

/// The sets of voters in whole batches.
fn voters_in(mut batches: Bytes) -> Result<Vec<(Offset, Voters)>, ReplicaError> {
    let mut found = Vec::new();
    while !batches.is_empty() {
        let batch = Batch::split_from(&mut batches)?;
        if !batch.header().is_control() {
            continue;
        }
        for record in iterate(&batch, batch.bytes().len())? {
            let record = record?;
            let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
            if let Some(voters) = ControlRecord::decode_voters(&key, &value)? {
                found.push((record.offset, voters_of(&voters)));
            }
        }
    }
    Ok(found)
}

fn voters_of(records: &[VoterRecord]) -> Voters {
    let voter = |record: &VoterRecord| Voter {
        key: ReplicaKey { id: record.id, directory: record.directory },
        endpoints: (record.endpoints.iter())
            .map(|VoterEndpoint { listener, host, port }| Endpoint {
                listener: listener.clone(),
                host: host.clone(),
                port: *port,
            })
            .collect(),
    };
    Voters::new(records.iter().map(voter).collect())
}

fn records_of(voters: &Voters) -> Vec<VoterRecord> {
    let record = |voter: &Voter| VoterRecord {
        id: voter.key.id,
        directory: voter.key.directory,
        endpoints: (voter.endpoints.iter())
            .map(|Endpoint { listener, host, port }| VoterEndpoint {
                listener: listener.clone(),
                host: host.clone(),
                port: *port,
            })
            .collect(),
        kraft_versions: KRAFT_VERSIONS,
    };
    voters.iter().map(record).collect()
}
