//! What a message does where it arrives.

use jangbu_core::ids::{BrokerEpoch, BrokerId, Offset};
use jangbu_core::replica::producers::Admission;
use jangbu_core::replica::{
    Acknowledgement, Acks, AlterPartitionOutcome, FetchBody, FetchDecision, FetchRefusal, FetchResponse,
    FollowerAction, Pending, Refusal, ReplicaFetch, idempotence,
};

use super::broker::{PARTITION, Waiting};
use super::budget::may_lose_tail;
use super::check;
use super::client::Told;
use super::log::Entry;
use super::message::{Body, CLIENTS, CONTROLLER, Message, ProduceResult, Produced};
use super::world::{Checked, World};

/// The most entries in a response.
const ENTRIES_MAX: usize = 4;

impl World {
    /// A message arrives.
    pub fn deliver(&mut self, message: Message) -> Checked {
        if message.to == CONTROLLER {
            return self.deliver_to_controller(message);
        }
        if message.to >= CLIENTS {
            return self.deliver_to_client(&message);
        }
        self.deliver_to_broker(message)
    }

    fn deliver_to_controller(&mut self, message: Message) -> Checked {
        let Message { from, process, connection, body, .. } = message;
        let id = BrokerId(i32::from(from));
        let is_alive = self.broker(from).is_up && self.broker(from).process == process;
        let answer = match body {
            // The controller learns when the connection of a process is reset.
            Body::Heartbeat { .. } if !is_alive => return Ok(()),
            Body::Register { directory, previous, .. } if !is_alive => {
                self.register_late(from, process, (directory, previous));
                return self.after_controller();
            }
            Body::Register { request, directory, previous } => {
                let epoch = self.controller.register(id, process, directory, previous, self.now_ms);
                if epoch.is_some() {
                    self.broker_mut(from).has_lost = false;
                }
                Body::Registered { request, epoch }
            }
            Body::Heartbeat { request, epoch, offset, wants } => {
                let answer = self.controller.heartbeat(id, epoch, offset, wants, self.now_ms);
                Body::HeartbeatAnswer { request, answer }
            }
            Body::AlterPartition { broker_epoch, asked } => {
                let members = self.controller.view().isr.len();
                let result = self.controller.alter_partition(id, broker_epoch, &asked);
                if let Ok(state) = &result {
                    self.counts.shrinks += u64::from(state.isr.len() < members);
                    self.counts.expansions += u64::from(state.isr.len() > members);
                }
                Body::AlterPartitionAnswer { ticket: asked.ticket, leader_epoch: asked.leader_epoch, result }
            }
            _ => return Ok(()),
        };
        self.send(CONTROLLER, from, process, connection, answer);
        self.after_controller()
    }

    /// A registration of a process that is dead, from a connection whose reset nobody has heard of. Where the session of
    /// the present process is over it is accepted, and what that process is eligible for is lost: a fault as a power
    /// cut is one.
    fn register_late(&mut self, from: u8, process: u32, (directory, previous): (u32, Option<BrokerEpoch>)) {
        if !may_lose_tail(self, from) {
            return;
        }
        let id = BrokerId(i32::from(from));
        let accepted = self.controller.register(id, process, directory, previous, self.now_ms).is_some();
        if accepted {
            let broker = self.broker_mut(from);
            (broker.is_unclean, broker.is_lossy) = (true, true);
            self.counts.late_registrations += 1;
        }
    }

    fn deliver_to_broker(&mut self, message: Message) -> Checked {
        let Message { from, to, process, connection, body } = message;
        if !self.broker(to).is_up {
            return Ok(());
        }
        let is_ours = self.broker(to).process == process;
        match body {
            Body::Fetch { round, fetch } => self.serve_fetch(to, from, process, round, &fetch),
            Body::Produce(produced) => self.serve_produce(to, from, connection, &produced),
            _ if !is_ours => Ok(()),
            Body::FetchResponse { round, response, entries, start_hash } => {
                self.take_response(to, from, round, &response, &entries, start_hash)
            }
            Body::Registered { request, epoch } => {
                let now = self.broker(to).local(self.now_ms);
                let lifecycle = &mut self.broker_mut(to).lifecycle;
                match epoch {
                    Some(epoch) => lifecycle.handle_registered(request, epoch, now),
                    None => lifecycle.handle_failure(request, now),
                }
                self.send_due(to);
                Ok(())
            }
            Body::HeartbeatAnswer { request, answer } => {
                let now = self.broker(to).local(self.now_ms);
                let lifecycle = &mut self.broker_mut(to).lifecycle;
                match answer {
                    Some(answer) => lifecycle.handle_heartbeat(request, answer, now),
                    None => lifecycle.handle_stale_epoch(request, now),
                }
                self.stop_if_told(to);
                self.send_due(to);
                Ok(())
            }
            Body::AlterPartitionAnswer { ticket, leader_epoch, result } => {
                let now = self.broker(to).local(self.now_ms);
                let broker = self.broker_mut(to);
                let Some(index) = broker.calls.iter().position(|call| call.connection == connection) else {
                    return Ok(());
                };
                broker.calls.remove(index);
                let high_watermark = broker.replica.high_watermark();
                let outcome = AlterPartitionOutcome::Answered(result);
                broker.replica.handle_alter_partition(ticket, leader_epoch, &outcome, &broker.log, now);
                self.after_event(to, high_watermark)
            }
            _ => Ok(()),
        }
    }

    /// A broker that may stop flushes, writes its marker, and ends.
    pub fn stop_if_told(&mut self, number: u8) {
        let broker = self.broker_mut(number);
        if !broker.lifecycle.has_ended() {
            return;
        }
        broker.marker = broker.lifecycle.clean_shutdown_epoch();
        broker.log.flushed = broker.log.end();
        broker.written = Some(broker.log.clone());
        broker.checkpoint = broker.replica.high_watermark().0;
        broker.is_up = false;
        broker.waiting.clear();
        self.counts.clean_stops += 1;
    }

    fn serve_fetch(
        &mut self,
        number: u8,
        from: u8,
        process: u32,
        round: jangbu_core::fetch_loop::RoundId,
        fetch: &ReplicaFetch,
    ) -> Checked {
        let now_ms = self.now_ms;
        let broker = &mut self.brokers[usize::from(number) - 1];
        let now = broker.local(now_ms);
        let high_watermark = broker.replica.high_watermark();
        let decision = broker.replica.handle_fetch(fetch, &broker.log, now);
        let mut entries: Vec<Entry> = Vec::new();
        let body = match decision {
            FetchDecision::Read { from, .. } => {
                entries.extend_from_slice(broker.log.read(from.0, ENTRIES_MAX));
                FetchBody::Records
            }
            FetchDecision::Diverging(end) => {
                self.counts.divergences += 1;
                FetchBody::Diverging(end)
            }
            FetchDecision::Refused(FetchRefusal::OutOfRange) => FetchBody::OutOfRange,
            FetchDecision::Refused(_) => FetchBody::Refused,
        };
        let start = broker.log.start();
        let response = FetchResponse {
            leader_epoch: fetch.current_leader_epoch,
            fetch_offset: fetch.fetch_offset,
            high_watermark: broker.replica.high_watermark(),
            log_start: Offset(start),
            body,
        };
        // A log that is emptied begins at the leader's start, or where the leader says that the logs part.
        let begins_at = match body {
            FetchBody::Diverging(end) => end.end.0,
            _ => start,
        };
        let start_hash = broker.log.hash_at(begins_at).unwrap_or(0);
        self.send(number, from, process, 0, Body::FetchResponse { round, response, entries, start_hash });
        self.after_event(number, high_watermark)
    }

    fn take_response(
        &mut self,
        number: u8,
        from: u8,
        round: jangbu_core::fetch_loop::RoundId,
        response: &FetchResponse,
        entries: &[Entry],
        start_hash: u64,
    ) -> Checked {
        let now_ms = self.now_ms;
        let broker = &mut self.brokers[usize::from(number) - 1];
        let now = broker.local(now_ms);
        let leader = BrokerId(i32::from(from));
        if !broker.fetch_loop.handle_response(leader, round)
            || !broker.fetch_loop.owns(PARTITION, leader, response.leader_epoch)
        {
            return Ok(());
        }
        let high_watermark = broker.replica.high_watermark();
        let end = broker.log.end();
        match broker.replica.handle_fetch_response(response, &broker.log) {
            FollowerAction::Ignore => {
                if response.body != FetchBody::Records {
                    broker.fetch_loop.back_off(PARTITION, now);
                }
            }
            FollowerAction::Append => {
                for entry in entries {
                    broker.log.append(*entry, false);
                }
                broker.log.move_start(response.log_start.0, start_hash);
                broker.replica.replicated(response, &broker.log);
                if !entries.is_empty() {
                    check::replicated(self, number)?;
                }
            }
            FollowerAction::Truncate(cut) => {
                broker.log.truncate_as_leader(cut.to.0, start_hash);
                broker.replica.truncated(&broker.log);
                self.counts.truncations += u64::from(cut.to.0 < end);
                check::committed_stays(self, number, cut.to.0)?;
                check::epoch_cache(self, number)?;
            }
            FollowerAction::StartOver(start) => {
                broker.log.start_over(start.0, start_hash);
                broker.replica.started_over(&broker.log);
                check::log_start(self, number)?;
                self.counts.started_over += 1;
            }
        }
        self.after_event(number, high_watermark)
    }

    fn serve_produce(&mut self, number: u8, client: u8, connection: u32, produced: &Produced) -> Checked {
        let now_ms = self.now_ms;
        let switches = self.profile.switches;
        let broker = &mut self.brokers[usize::from(number) - 1];
        let value = produced.entry.value;
        let refuse = |result: ProduceResult| Message {
            from: number,
            to: client,
            process: 0,
            connection,
            body: Body::ProduceAnswer { value, result },
        };
        let leader_epoch = match broker.replica.handle_append(produced.acks) {
            Ok(epoch) => epoch,
            Err(Refusal::NotLeader) => {
                self.bag.push(refuse(ProduceResult::NotLeader));
                return Ok(());
            }
            Err(Refusal::NotEnoughReplicas { .. }) => {
                self.bag.push(refuse(ProduceResult::NotEnoughReplicas));
                return Ok(());
            }
        };
        let entry = Entry { epoch: leader_epoch.0, ..produced.entry };
        let end = broker.log.end();
        let header = entry.header(end);
        let log_start = Offset(broker.log.start());
        let admission = if entry.producer >= 0 {
            idempotence::admit(&broker.log.producers, &header, log_start, switches)
        } else {
            Ok(Admission::New)
        };
        let high_watermark = broker.replica.high_watermark();
        let (end, is_duplicate) = match admission {
            Err(_) => {
                self.bag.push(refuse(ProduceResult::OutOfOrder));
                return Ok(());
            }
            Ok(Admission::Duplicate { last_offset, .. }) => {
                self.counts.duplicates += 1;
                (last_offset.next(), true)
            }
            Ok(Admission::New) => {
                if entry.producer >= 0 {
                    idempotence::note_attempt(&mut broker.log.producers, &header, switches);
                }
                if produced.fails {
                    self.bag.push(refuse(ProduceResult::Failed));
                    return Ok(());
                }
                broker.log.append(entry, true);
                let now = broker.local(now_ms);
                broker.replica.appended(&broker.log, now);
                (Offset(end + 1), false)
            }
        };
        if !is_duplicate {
            check::appended(self, number, end.0 - 1, produced.acks)?;
        }
        let pending = Pending { end, leader_epoch, acks: produced.acks, is_duplicate };
        self.broker_mut(number).waiting.push(Waiting { client, connection, value, pending });
        self.after_event(number, high_watermark)
    }

    /// Answers what can be answered.
    pub fn settle_waiting(&mut self, number: u8) -> Checked {
        let mut index = 0;
        while let Some(waiting) = self.broker(number).waiting.get(index).copied() {
            let broker = self.broker(number);
            let result = match broker.replica.acknowledgement(&waiting.pending, &broker.log) {
                Acknowledgement::Awaits => {
                    index += 1;
                    continue;
                }
                Acknowledgement::Given => {
                    if waiting.pending.acks == Acks::All {
                        check::acknowledged(self, number, &waiting)?;
                    }
                    ProduceResult::Acknowledged(waiting.pending.end.0 - 1)
                }
                Acknowledgement::NotEnoughReplicas | Acknowledgement::Lost => ProduceResult::Unknown,
            };
            let broker = self.broker_mut(number);
            broker.waiting.remove(index);
            let body = Body::ProduceAnswer { value: waiting.value, result };
            self.send(number, waiting.client, 0, waiting.connection, body);
        }
        Ok(())
    }

    fn deliver_to_client(&mut self, message: &Message) -> Checked {
        let index = usize::from(message.to - CLIENTS);
        let Body::ProduceAnswer { value, result } = message.body else { return Ok(()) };
        // A batch that nobody confirmed may have been lost beyond the budget, or removed by retention.
        let may_be_gone = !self.profile.is_within_budget() || self.profile.has_retention;
        let Some(client) = self.clients.get_mut(index) else { return Ok(()) };
        if client.connection != message.connection {
            return Ok(());
        }
        let is_head = client.window.first().is_some_and(|batch| batch.value == value);
        match client.handle(value, result) {
            Told::Nothing => {
                if result == ProduceResult::OutOfOrder && is_head && may_be_gone {
                    client.bump_epoch();
                }
                Ok(())
            }
            Told::Acknowledged { value, offset } => check::told(self, index, value, offset),
            Told::Failed { value } => check::failed(self, value),
        }
    }

    /// A client sends what is not under way, in order, to the leader that a broker knows.
    pub fn send_batches(&mut self, client: u8, via: u8, fails: bool) {
        let Some(published) = self.brokers.get(usize::from(via) - 1).and_then(|broker| broker.published)
        else {
            return;
        };
        let leader = self.controller.views[published].leader;
        let index = usize::from(client);
        if leader == BrokerId::NONE || index >= self.clients.len() {
            return;
        }
        let client = &mut self.clients[index];
        if client.target != leader.0 as u8 {
            client.give_up_connection();
            client.target = leader.0 as u8;
        }
        let (connection, target) = (client.connection, client.target);
        let unsent: Vec<_> = client.window.iter().copied().filter(|batch| !batch.is_sent).collect();
        for batch in unsent {
            let body = Body::Produce(client.produced(&batch, fails));
            let from = CLIENTS + index as u8;
            self.bag.push(Message { from, to: target, process: 0, connection, body });
        }
        for batch in &mut client.window {
            batch.is_sent = true;
            batch.is_unknown |= client.kind == super::profile::ClientKind::None;
        }
        if client.kind == super::profile::ClientKind::None {
            client.window.clear();
        }
    }
}
