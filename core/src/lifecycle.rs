//! A broker's life towards the controller: register, catch up, serve, drain, stop (KIP-631, KIP-841, KIP-966). The
//! controller's side is in `controller/{registration,brokers,sessions}.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{BrokerEpoch, Offset, Uuid};
use crate::museum::{Switch, Switches};
use crate::time::Instant;

/// What the machine needs of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `broker.heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// How long a request may take before it is given up.
    pub timeout: Duration,
    /// How long a failed request waits.
    pub backoff: Duration,
    /// `log.dir.failure.timeout.ms`: how long the controller may remain without knowledge of a failed directory.
    pub log_dir_failure_timeout: Duration,
    /// `initial.broker.registration.timeout.ms`: how long the first registration may take in all.
    pub registration_timeout: Duration,
    /// Which guards are off.
    pub switches: Switches,
}

/// Where a broker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has no epoch yet, or none that counts: another process was registered in its place, or it was unregistered.
    Registering,
    /// Registered, and reading the metadata up to its own registration.
    CatchingUp,
    /// It has published what the metadata says and asks to be unfenced.
    Starting,
    /// Unfenced.
    Serving,
    /// In controlled shutdown: it hands over, and still follows the metadata.
    Draining,
    /// It may stop: it flushes, writes the clean-shutdown marker with its epoch, and ends.
    Stopping,
    /// It could not register, or tell of a failed directory, in time: it ends as above, but with an error, for somebody has to look at it.
    Failed,
}

/// A request to the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// BrokerRegistration, with the log directories that work by now.
    Register {
        /// From the clean-shutdown marker; `None` after any other stop, which may have lost records (KIP-966).
        previous_broker_epoch: Option<BrokerEpoch>,
    },
    /// BrokerHeartbeat.
    Heartbeat {
        /// The incarnation.
        broker_epoch: BrokerEpoch,
        /// The last record of the metadata that it has published.
        metadata_offset: Offset,
        /// Whether it does not want to serve yet.
        wants_fence: bool,
        /// Whether it wants to stop.
        wants_shutdown: bool,
        /// The log directories that have failed since it started (KIP-858).
        offline_log_dirs: Vec<Uuid>,
    },
}

/// Names a request, so that an answer to an earlier one is not taken for its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestId(pub u64);

/// The answer to a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    /// The metadata that the broker has published reaches its registration.
    pub is_caught_up: bool,
    /// It is fenced.
    pub is_fenced: bool,
    /// It has handed everything over and may stop.
    pub should_shut_down: bool,
}

/// A log directory that failed.
#[derive(Clone, Copy, Debug)]
struct Failure {
    /// The heartbeat that told of it last.
    told_in: Option<RequestId>,
    /// When the process ends unless a heartbeat that told of it was answered; `None` once one was.
    fails_at: Option<Instant>,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    settings: Settings,
    stage: Stage,
    previous_broker_epoch: Option<BrokerEpoch>,
    broker_epoch: BrokerEpoch,
    metadata_offset: Offset,
    wants_shutdown: bool,
    last_request: RequestId,
    in_flight: Option<(RequestId, Instant)>,
    next_request: Instant,
    /// When a process that was never registered gives up.
    fails_at: Option<Instant>,
    offline_log_dirs: BTreeMap<Uuid, Failure>,
}

impl Lifecycle {
    /// A process that just started. `previous_broker_epoch` is what the clean-shutdown marker holds, which is removed
    /// before anything is loaded.
    pub fn new(settings: Settings, previous_broker_epoch: Option<BrokerEpoch>, now: Instant) -> Self {
        Self {
            settings,
            stage: Stage::Registering,
            previous_broker_epoch,
            broker_epoch: BrokerEpoch(-1),
            metadata_offset: Offset::UNKNOWN,
            wants_shutdown: false,
            last_request: RequestId(0),
            in_flight: None,
            next_request: now,
            fails_at: Some(now + settings.registration_timeout),
            offline_log_dirs: BTreeMap::new(),
        }
    }

    /// Where it stands.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// This incarnation, or -1 before it is registered.
    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.broker_epoch
    }

    /// Whether an image may be published to the partitions. Not before the broker is registered and the image holds the
    /// registration: an older one may still call it the leader of an epoch in which another incarnation led, or not
    /// yet assign what it holds (KAFKA-13127, KAFKA-14616). And then to the end: a broker that drains must learn of its
    /// demotions (KAFKA-14296).
    pub fn may_publish(&self, image_offset: Offset) -> bool {
        let is_registered = self.was_registered() && image_offset.0 >= self.broker_epoch.0;
        let is_deaf = self.wants_shutdown && self.settings.switches.off(Switch::ShutdownIgnoreMetadata);
        is_registered && !is_deaf && !self.has_ended()
    }

    /// Whether replicas that an image does not assign to this broker may be removed: only by an image that may be
    /// published.
    pub fn may_sweep(&self, image_offset: Offset) -> bool {
        self.may_publish(image_offset) || self.settings.switches.off(Switch::SweepStaleImage)
    }

    /// An image was published up to this offset.
    pub fn published(&mut self, image_offset: Offset) {
        self.metadata_offset = self.metadata_offset.max(image_offset);
        if self.stage == Stage::CatchingUp && self.metadata_offset.0 >= self.broker_epoch.0 {
            self.stage = Stage::Starting;
            self.hurry();
        }
    }

    /// The process was asked to stop. One that nobody knows of, and one in whose place another was registered, have
    /// nothing to hand over. One whose registration is under way learns its epoch first, until the deadline of the
    /// registration: with another one in its marker its log would count as that of a crash.
    pub fn drain(&mut self, now: Instant) {
        self.wants_shutdown = true;
        match self.stage {
            Stage::Serving | Stage::Starting | Stage::CatchingUp => {
                self.stage = Stage::Draining;
                self.next_request = self.next_request.min(now);
            }
            Stage::Registering if self.was_registered() || self.last_request == RequestId(0) => {
                self.stage = Stage::Stopping;
            }
            Stage::Registering => {}
            Stage::Draining | Stage::Stopping | Stage::Failed => {}
        }
    }

    /// A log directory failed. Until the controller knows it, it takes the replicas there for what they were: a broker
    /// that cannot tell ends (KIP-858).
    pub fn directory_failed(&mut self, id: Uuid, now: Instant) {
        let fails_at = Some(now + self.settings.log_dir_failure_timeout);
        self.offline_log_dirs.entry(id).or_insert(Failure { told_in: None, fails_at });
        if self.was_registered() {
            self.hurry();
        }
    }

    /// The next request, if one is due. At most one is in flight.
    pub fn poll_output(&mut self, now: Instant) -> Option<(RequestId, Output)> {
        if self.in_flight.is_some() || self.next_request > now || self.has_ended() {
            return None;
        }
        self.last_request = RequestId(self.last_request.0 + 1);
        self.in_flight = Some((self.last_request, now + self.settings.timeout));
        let output = match self.stage {
            Stage::Registering => Output::Register { previous_broker_epoch: self.previous_broker_epoch },
            _ => Output::Heartbeat {
                broker_epoch: self.broker_epoch,
                metadata_offset: self.metadata_offset,
                wants_fence: matches!(self.stage, Stage::CatchingUp),
                wants_shutdown: self.wants_shutdown,
                offline_log_dirs: self.tell_failures(),
            },
        };
        Some((self.last_request, output))
    }

    /// The directories that have failed, for a heartbeat that is about to be sent.
    fn tell_failures(&mut self) -> Vec<Uuid> {
        for failure in self.offline_log_dirs.values_mut() {
            failure.told_in = Some(self.last_request);
        }
        self.offline_log_dirs.keys().copied().collect()
    }

    /// The registration was answered.
    pub fn handle_registered(&mut self, id: RequestId, broker_epoch: BrokerEpoch, now: Instant) {
        if self.is_answer(id) && self.stage == Stage::Registering {
            self.broker_epoch = broker_epoch;
            // Of a broker that registers again the image may have come before the answer.
            let has_caught_up = self.metadata_offset.0 >= broker_epoch.0;
            self.stage = match (self.wants_shutdown, has_caught_up) {
                (true, _) => Stage::Draining,
                (false, true) => Stage::Starting,
                (false, false) => Stage::CatchingUp,
            };
            self.next_request = now;
            self.fails_at = None;
            // What the marker said of the log is over: records may be written from now on.
            self.previous_broker_epoch = None;
        }
    }

    /// A heartbeat was answered.
    pub fn handle_heartbeat(&mut self, id: RequestId, answer: HeartbeatAnswer, now: Instant) {
        if !self.is_answer(id) {
            return;
        }
        self.next_request = now + self.settings.heartbeat_interval;
        for failure in self.offline_log_dirs.values_mut() {
            if failure.told_in == Some(id) {
                failure.fails_at = None;
            } else if failure.fails_at.is_some() {
                self.next_request = now;
            }
        }
        match self.stage {
            Stage::Draining if answer.should_shut_down => self.stage = Stage::Stopping,
            Stage::Starting if !answer.is_fenced => self.stage = Stage::Serving,
            // The session ended while the broker was out of reach: it asks again.
            Stage::Serving if answer.is_fenced => self.stage = Stage::Starting,
            _ => {}
        }
    }

    /// A heartbeat was refused with STALE_BROKER_EPOCH: the controller knows another incarnation, or none. In whichever
    /// stage, nothing that this one waits for will come: it registers again, and follows the metadata meanwhile, which
    /// takes its leaderships from it. One that drains has nothing left to hand over.
    pub fn handle_stale_epoch(&mut self, id: RequestId, now: Instant) {
        if !self.is_answer(id) {
            return;
        }
        self.next_request = now;
        self.stage = match self.stage {
            Stage::CatchingUp | Stage::Starting | Stage::Serving => Stage::Registering,
            Stage::Draining => Stage::Stopping,
            Stage::Registering | Stage::Stopping | Stage::Failed => self.stage,
        };
    }

    /// A request was refused, or its connection broke: its outcome is unknown and it is sent again.
    pub fn handle_failure(&mut self, id: RequestId, now: Instant) {
        if self.is_answer(id) {
            self.next_request = now + self.settings.backoff;
        }
    }

    /// Gives up a request that takes too long, and names it, so that its connection is closed; and fails a process that
    /// was not registered, or could not tell of a directory, in time.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<RequestId> {
        if !self.has_ended() && self.fails_at().is_some_and(|fails_at| fails_at <= now) {
            self.stage = Stage::Failed;
        }
        let (id, _) = self.in_flight.filter(|(_, gives_up_at)| *gives_up_at <= now)?;
        self.handle_failure(id, now);
        Some(id)
    }

    /// When something is to be done without being asked.
    pub fn next_deadline(&self) -> Option<Instant> {
        let next = match self.in_flight {
            Some((_, gives_up_at)) => Some(gives_up_at),
            None => (!self.has_ended()).then_some(self.next_request),
        };
        next.into_iter().chain(self.fails_at().filter(|_| !self.has_ended())).min()
    }

    fn fails_at(&self) -> Option<Instant> {
        let failures = self.offline_log_dirs.values().filter_map(|failure| failure.fails_at);
        failures.chain(self.fails_at).min()
    }

    /// Whether the controller knows of every directory that failed.
    fn has_told_failures(&self) -> bool {
        self.offline_log_dirs.values().all(|failure| failure.fails_at.is_none())
    }

    /// Whether the process has nothing more to do than to flush, to write its marker, and to end.
    pub fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Stopping | Stage::Failed)
    }

    /// The epoch for the clean-shutdown marker: only of a broker that ends, after everything is flushed. One that was
    /// never registered has changed nothing, and puts back what it found. There is none while the controller takes the
    /// replicas of a failed directory for what they were: the marker would prove them complete.
    pub fn clean_shutdown_epoch(&self) -> Option<BrokerEpoch> {
        let known = if self.was_registered() { Some(self.broker_epoch) } else { self.previous_broker_epoch };
        known.filter(|_| self.has_ended() && self.has_told_failures())
    }

    fn was_registered(&self) -> bool {
        self.broker_epoch >= BrokerEpoch(0)
    }

    fn is_answer(&mut self, id: RequestId) -> bool {
        let is_answer = self.in_flight.is_some_and(|(in_flight, _)| in_flight == id);
        if is_answer {
            self.in_flight = None;
        }
        is_answer
    }

    fn hurry(&mut self) {
        if self.in_flight.is_none() {
            self.next_request = Instant::default();
        }
    }
}

#[cfg(test)]
mod tests;
