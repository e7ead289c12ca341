//! The end of an episode: nothing fails any more, messages come in order, due timers fire; then everything must come to
//! rest within a bound.

use jangbu_core::controller::ElectionKind;

use super::check;
use super::world::{Checked, World};

/// How many rounds of 0.7 seconds it may take.
const ROUNDS: u32 = 70;
/// How many deliveries a round may take.
const DELIVERIES: u32 = 2_000;

impl World {
    /// Heals everything and waits. Then, in some episodes, one broker dies for good, and the others must go on.
    ///
    /// # Errors
    /// When an invariant is violated, progress included.
    pub fn heal(&mut self) -> Checked {
        let stays_down = self.profile.stays_down.take();
        self.come_to_rest()?;
        let Some(number) = stays_down else { return Ok(()) };
        let view = self.controller.view();
        if view.replicas.len() > view.min_insync_replicas && !view.is_reassigning {
            self.profile.stays_down = stays_down;
            self.crash(number, 0);
            for client in &mut self.clients {
                client.push(self.next_value);
                self.next_value += 1;
            }
            self.come_to_rest()?;
        }
        Ok(())
    }

    fn come_to_rest(&mut self) -> Checked {
        for round in 0..ROUNDS {
            self.now_ms += 700;
            for number in 1..=self.profile.brokers {
                self.tend(number)?;
            }
            self.controller.expire(self.now_ms);
            self.after_controller()?;
            if round > 15 && !self.profile.is_within_budget() {
                // Where the only complete log may be gone, an operator must say that its loss is accepted.
                self.controller.elect(ElectionKind::Unclean);
                self.after_controller()?;
            }
            self.tend_clients(round);
            self.deliver_all()?;
            if check::converged(self)? {
                return self.at_rest();
            }
        }
        Err(check::stuck(self))
    }

    /// What is checked when nothing happens any more.
    fn at_rest(&mut self) -> Checked {
        for number in 1..=self.profile.brokers {
            check::is_folded(self, number)?;
            check::epoch_cache(self, number)?;
        }
        check::metadata(self)?;
        check::finally(self)
    }

    fn tend(&mut self, number: u8) -> Checked {
        if self.profile.stays_down == Some(number) {
            return Ok(());
        }
        self.counts.steps += 1;
        self.broker_mut(number).is_paused = false;
        if !self.broker(number).is_up {
            self.restart(number)?;
        }
        self.publish(number, usize::MAX >> 1)?;
        self.timers(number)?;
        if self.broker(number).log.flushed < self.broker(number).log.end() && self.profile.flush_before_ack {
            self.flush(number)?;
        }
        self.fetch(number);
        Ok(())
    }

    fn tend_clients(&mut self, round: u32) {
        let leader = self.controller.view().leader.0;
        if leader < 1 {
            return;
        }
        for client in 0..self.clients.len() as u8 {
            if self.clients[usize::from(client)].window.is_empty() {
                continue;
            }
            self.counts.steps += 1;
            if round.is_multiple_of(8) {
                self.clients[usize::from(client)].give_up_connection();
            }
            self.send_batches(client, leader as u8, false);
        }
    }

    fn deliver_all(&mut self) -> Checked {
        for _ in 0..DELIVERIES {
            if self.bag.is_empty() {
                return Ok(());
            }
            self.counts.steps += 1;
            let message = self.bag.remove(0);
            self.deliver(message)?;
        }
        Ok(())
    }
}
