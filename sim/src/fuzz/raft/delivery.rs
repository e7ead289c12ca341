//! A message arrives at its node.

use jangbu_core::ids::BrokerId;
use jangbu_core::raft::messages::{Request, Response};
use jangbu_core::raft::{Machine, Moment, ReplyTo};

use super::cluster::Cluster;
use super::disk::Payload;
use super::network::{Body, Held};
use crate::fuzz::check::Violation;

impl Cluster {
    /// A message arrives.
    pub fn deliver(&mut self, held: Held) {
        let message = self.network.message(&held);
        let id = message.to as usize;
        let from = BrokerId(i32::from(message.from));
        let node = &mut self.nodes[id];
        match &message.body {
            _ if node.has_failed => return self.network.release(held),
            Body::Request(request) => {
                let to = ReplyTo(u64::from(message.from) | u64::from(message.incarnation) << 8);
                node.tell(|machine, moment| ask(machine, to, request, moment));
            }
            Body::Response(_) if message.incarnation != node.incarnation => {
                return self.network.release(held);
            }
            Body::Response(response) => {
                self.arrived_records.copy_from(&message.records);
                self.arrived_image = message.image;
                node.tell(|machine, moment| respond(machine, from, response, moment));
            }
        }
        self.network.release(held);
        self.drain(id);
    }

    /// The records that came with the response go into the log.
    pub(super) fn append_fetched(&mut self, id: usize) {
        for index in 0..usize::from(self.arrived_records.count) {
            let entry = self.arrived_records.entries[index];
            self.append(id, entry.epoch, Payload::decode(entry.payload));
            let here = self.nodes[id].disk.entries.last().map(|entry| entry.hash);
            if here != Some(entry.hash) && !self.committed.is_void() {
                let offset = self.nodes[id].disk.end() - 1;
                let message =
                    format!("node {id} appended at offset {offset} what its leader has after another log");
                self.judge(Err(Violation::new("log_matching", message)));
            }
        }
    }
}

/// Hands a question to a machine.
#[inline]
fn ask(machine: &mut Machine, to: ReplyTo, request: &Request, moment: &Moment<'_>) {
    match request {
        Request::Vote(request) => machine.handle_vote(to, request, moment),
        Request::BeginQuorumEpoch(request) => machine.handle_begin_quorum_epoch(to, request, moment),
        Request::EndQuorumEpoch(request) => machine.handle_end_quorum_epoch(to, request, moment),
        Request::Fetch(request) => machine.handle_fetch(to, request, moment),
        Request::FetchSnapshot(request) => machine.handle_fetch_snapshot(to, request, moment),
    }
}

/// Hands an answer to the machine that asked.
#[inline]
fn respond(machine: &mut Machine, from: BrokerId, response: &Response, moment: &Moment<'_>) {
    match response {
        Response::Vote(response) => machine.handle_vote_response(from, response, moment),
        Response::Epoch(response) => machine.handle_epoch_response(response, moment),
        Response::Fetch(response) => machine.handle_fetch_response(from, response, moment),
        Response::FetchSnapshot(response) => machine.handle_fetch_snapshot_response(from, response, moment),
    }
}
