//! One step of a schedule.

use jangbu_core::controller::ElectionKind;
use jangbu_core::ids::BrokerId;

use super::action::Action;
use super::broker::PARTITION;
use super::budget::{may_kill, may_lose_directory, may_lose_tail};
use super::check;
use super::message::{Body, CONTROLLER, Kind, Message, Node};
use super::world::{Checked, World};

impl World {
    /// Carries out one step; one that makes no sense now does nothing.
    ///
    /// # Errors
    /// When an invariant is violated.
    pub fn step(&mut self, action: &Action) -> Checked {
        self.counts.steps += 1;
        match *action {
            Action::Deliver { from, to, kind, nth } => self.deliver_nth(from, to, kind, nth),
            Action::Drop { from, to, kind, nth } => {
                self.drop_nth(from, to, kind, nth);
                Ok(())
            }
            Action::Tick { ms } => {
                self.now_ms += u64::from(ms);
                Ok(())
            }
            Action::Timers { broker } => self.timers(broker),
            Action::Fetch { broker } => {
                self.fetch(broker);
                Ok(())
            }
            Action::Exchange { broker } => self.exchange(broker),
            Action::Write { client, via } => self.write(client, via),
            Action::Metadata { broker, states } if self.broker(broker).runs() => {
                self.publish(broker, states.into())
            }
            Action::Flush { broker } if self.broker(broker).runs() => self.flush(broker),
            Action::Produce { client, via, fails } => {
                self.produce(client, via, fails);
                Ok(())
            }
            Action::Retry { client, via } => {
                if let Some(client) = self.clients.get_mut(usize::from(client)) {
                    client.give_up_connection();
                }
                self.send_batches(client, via, false);
                Ok(())
            }
            Action::Consume { broker, from } if self.broker(broker).runs() => self.consume(broker, from),
            Action::Sessions => {
                self.controller.expire(self.now_ms);
                self.after_controller()
            }
            Action::Elect { unclean } => {
                let may = !unclean || !self.profile.is_within_budget();
                if may {
                    self.controller.elect(if unclean {
                        ElectionKind::Unclean
                    } else {
                        ElectionKind::Preferred
                    });
                }
                self.after_controller()
            }
            Action::MinInsync { value } => {
                self.controller.alter_min_insync(value.max(self.profile.min_insync_replicas).into());
                self.after_controller()
            }
            Action::Zombie { broker, back } => {
                self.zombie(broker, back.into());
                Ok(())
            }
            Action::Reassign { brokers } => self.reassign(brokers),
            Action::Prefer { broker } => {
                self.controller.prefer(BrokerId(i32::from(broker)));
                self.after_controller()
            }
            Action::Retain { broker, count } if self.broker(broker).runs() => {
                self.retain(broker, count.into())
            }
            Action::Metadata { .. }
            | Action::Flush { .. }
            | Action::Consume { .. }
            | Action::Retain { .. } => Ok(()),
            Action::Crash { .. }
            | Action::LoseDirectory { .. }
            | Action::Restart { .. }
            | Action::Pause { .. }
            | Action::Resume { .. }
            | Action::Drain { .. } => self.disturb(action),
        }
    }

    fn disturb(&mut self, action: &Action) -> Checked {
        let now_ms = self.now_ms;
        match *action {
            Action::Crash { broker, lost } if self.broker(broker).is_up => {
                let may = if lost > 0 { may_lose_tail(self, broker) } else { may_kill(self, broker) };
                if may {
                    self.crash(broker, lost.into());
                }
            }
            Action::LoseDirectory { broker }
                if !self.broker(broker).is_up && may_lose_directory(self, broker) =>
            {
                let profile = &self.profile;
                self.brokers[usize::from(broker) - 1].lose_directory(profile);
                self.counts.lost_directories += 1;
            }
            Action::Restart { broker } if !self.broker(broker).is_up => return self.restart(broker),
            Action::Pause { broker } => self.broker_mut(broker).is_paused = true,
            Action::Resume { broker } => self.broker_mut(broker).is_paused = false,
            Action::Drain { broker } if self.broker(broker).runs() => {
                let now = self.broker(broker).local(now_ms);
                self.broker_mut(broker).lifecycle.drain(now);
                self.stop_if_told(broker);
                self.send_due(broker);
            }
            _ => {}
        }
        Ok(())
    }

    /// A broker that is down starts.
    ///
    /// # Errors
    /// When its log is not what it must be.
    pub fn restart(&mut self, number: u8) -> Checked {
        let now_ms = self.now_ms;
        let profile = &self.profile;
        self.brokers[usize::from(number) - 1].start(profile, now_ms);
        self.send_due(number);
        check::recovered(self, number)
    }

    fn position(&self, from: Node, to: Node, kind: Kind, nth: u8) -> Option<usize> {
        let is_it = |message: &super::message::Message| {
            message.from == from && message.to == to && message.body.kind() == kind
        };
        let index = self.bag.iter().enumerate().filter(|(_, it)| is_it(it)).nth(nth.into())?.0;
        if !matches!(kind, Kind::Produce | Kind::ProduceAnswer) {
            return Some(index);
        }
        // A connection keeps the order of what is sent on it.
        let connection = self.bag[index].connection;
        self.bag.iter().position(|message| is_it(message) && message.connection == connection)
    }

    fn deliver_nth(&mut self, from: Node, to: Node, kind: Kind, nth: u8) -> Checked {
        let Some(index) = self.position(from, to, kind, nth) else { return Ok(()) };
        let is_broker = to != CONTROLLER && usize::from(to) <= self.brokers.len();
        if is_broker && self.broker(to).is_paused && self.broker(to).is_up {
            return Ok(());
        }
        let message = self.bag.remove(index);
        self.deliver(message)
    }

    /// A message is lost with its connection. Whoever asked learns it.
    fn drop_nth(&mut self, from: Node, to: Node, kind: Kind, nth: u8) {
        let Some(index) = self.position(from, to, kind, nth) else { return };
        let message = self.bag.remove(index);
        if matches!(kind, Kind::Produce | Kind::ProduceAnswer) {
            self.reset_client(from.max(to), message.connection);
        }
        let now_ms = self.now_ms;
        let asker = if matches!(
            kind,
            Kind::FetchResponse | Kind::Registered | Kind::HeartbeatAnswer | Kind::AlterPartitionAnswer
        ) {
            to
        } else {
            from
        };
        if !(1..=self.profile.brokers).contains(&asker) || self.broker(asker).process != message.process {
            return;
        }
        let other = BrokerId(i32::from(if asker == to { from } else { to }));
        let broker = self.broker_mut(asker);
        let now = broker.local(now_ms);
        match message.body {
            Body::Fetch { round, .. } | Body::FetchResponse { round, .. } => {
                broker.fetch_loop.handle_failure(other, round, now);
            }
            Body::Register { request, .. }
            | Body::Registered { request, .. }
            | Body::Heartbeat { request, .. }
            | Body::HeartbeatAnswer { request, .. } => broker.lifecycle.handle_failure(request, now),
            Body::AlterPartition { .. } | Body::AlterPartitionAnswer { .. } => {
                self.give_up_call(asker, message.connection);
            }
            Body::Produce(_) | Body::ProduceAnswer { .. } => {}
        }
    }

    /// The connection of a client breaks, with all that is on it.
    fn reset_client(&mut self, node: Node, connection: u32) {
        self.bag.retain(|message| message.from.max(message.to) != node || message.connection != connection);
        if let Some(client) = self.clients.get_mut(usize::from(node - super::message::CLIENTS))
            && client.connection == connection
        {
            client.give_up_connection();
        }
    }

    /// What a broker has is on its disk now.
    pub fn flush(&mut self, number: u8) -> Checked {
        let now_ms = self.now_ms;
        let broker = self.broker_mut(number);
        let now = broker.local(now_ms);
        let high_watermark = broker.replica.high_watermark();
        broker.log.flushed = broker.log.end();
        broker.checkpoint = high_watermark.0;
        let end = jangbu_core::ids::Offset(broker.log.end());
        broker.replica.flushed(end, &broker.log, now);
        broker.fetch_loop.resume(PARTITION);
        self.after_event(number, high_watermark)
    }

    /// A broker's AlterPartition reaches a controller that was deposed.
    fn zombie(&mut self, number: u8, back: usize) {
        let is_it = |message: &Message| message.from == number && message.body.kind() == Kind::AlterPartition;
        let Some(index) = self.bag.iter().position(is_it) else { return };
        let message = self.bag.remove(index);
        let Body::AlterPartition { broker_epoch, asked } = message.body else { return };
        let id = BrokerId(i32::from(number));
        if let Some(rejection) = self.controller.refuse_as_zombie(id, broker_epoch, &asked, back) {
            let (ticket, leader_epoch) = (asked.ticket, asked.leader_epoch);
            let body = Body::AlterPartitionAnswer { ticket, leader_epoch, result: Err(rejection) };
            self.send(CONTROLLER, number, message.process, message.connection, body);
        }
    }

    /// One round of a fetcher, without delay.
    fn exchange(&mut self, number: u8) -> Checked {
        let before = self.bag.len();
        self.fetch(number);
        if self.bag.len() == before {
            return Ok(());
        }
        let Some(message) = self.bag.pop() else { return Ok(()) };
        let leader = message.to;
        if self.broker(leader).is_paused {
            self.bag.push(message);
            return Ok(());
        }
        self.counts.steps += 2;
        self.deliver(message)?;
        let is_answer = |message: &Message| {
            message.from == leader && message.to == number && message.body.kind() == Kind::FetchResponse
        };
        let Some(index) = self.bag.iter().rposition(is_answer) else { return Ok(()) };
        let answer = self.bag.remove(index);
        self.deliver(answer)
    }

    /// Batches of a client, in the order of its connection, without delay.
    fn write(&mut self, client: u8, via: u8) -> Checked {
        self.produce(client, via, false);
        let from = super::message::CLIENTS + client;
        let Some(host) = self.clients.get(usize::from(client)) else { return Ok(()) };
        let (connection, target) = (host.connection, host.target);
        if target == CONTROLLER || self.broker(target).is_paused {
            return Ok(());
        }
        let is_it = |message: &Message| message.from == from && message.connection == connection;
        while let Some(index) = self.bag.iter().position(is_it) {
            self.counts.steps += 1;
            let message = self.bag.remove(index);
            self.deliver(message)?;
        }
        Ok(())
    }

    fn produce(&mut self, client: u8, via: u8, fails: bool) {
        let window = usize::from(self.profile.window);
        let value = self.next_value;
        let Some(host) = self.clients.get_mut(usize::from(client)) else { return };
        if host.window.len() < window && host.may_send_more() {
            host.push(value);
            self.next_value += 1;
        }
        self.send_batches(client, via, fails);
    }

    fn consume(&mut self, number: u8, back: u8) -> Checked {
        let broker = self.broker(number);
        if !broker.replica.is_leader() && broker.replica.followed().is_none() {
            return Ok(());
        }
        self.counts.reads += 1;
        let from = (self.consumer - i64::from(back) * 2).max(0);
        let to = check::consumed(self, number, from, 6)?;
        self.consumer = self.consumer.max(to);
        Ok(())
    }

    fn reassign(&mut self, brokers: u8) -> Checked {
        if brokers == 0 {
            self.controller.reassign(None);
            return self.after_controller();
        }
        let target: Vec<BrokerId> = (1..=i32::from(self.profile.brokers))
            .filter(|id| brokers & (1 << (id - 1)) != 0)
            .map(BrokerId)
            .collect();
        let least = if self.profile.is_within_budget() { 1 } else { 2 };
        if target.len() >= usize::from(self.profile.min_insync_replicas).max(least) {
            self.controller.reassign(Some(target));
        }
        self.after_controller()
    }

    fn retain(&mut self, number: u8, count: i64) -> Checked {
        let broker = self.broker_mut(number);
        if !broker.replica.is_leader() {
            return Ok(());
        }
        let start = (broker.log.start() + count).min(broker.replica.high_watermark().0);
        let Some(hash) = broker.log.hash_at(start) else { return Ok(()) };
        broker.log.move_start(start, hash);
        broker.replica.log_start_moved(&broker.log);
        self.book.has_retained |= start > 0;
        check::log_start(self, number)
    }
}
