//! What the machine reads of the metadata.

use crate::ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};
use crate::metadata::{MetadataImage, PartitionImage};

/// A partition's registration at one offset of the metadata log.
#[derive(Clone, Copy, Debug)]
pub struct PartitionView<'a> {
    /// The replicas, the preferred leader first.
    pub replicas: &'a [BrokerId],
    /// The replicas in sync.
    pub isr: &'a [BrokerId],
    /// The leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// The version of the registration.
    pub partition_epoch: PartitionEpoch,
    /// Whether it recovers from an unclean election.
    pub is_recovering: bool,
    /// The effective `min.insync.replicas`: never more than there are replicas.
    pub min_insync_replicas: usize,
}

impl<'a> PartitionView<'a> {
    /// The view of an image. `min_insync_replicas` is the configured one.
    pub fn new(image: &'a PartitionImage, min_insync_replicas: usize) -> Self {
        Self {
            replicas: &image.replicas,
            isr: &image.isr,
            leader: image.leader,
            leader_epoch: image.leader_epoch,
            partition_epoch: image.partition_epoch,
            is_recovering: image.is_recovering,
            min_insync_replicas: min_insync_replicas.min(image.replicas.len()),
        }
    }
}

/// What the metadata says of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BrokerStanding {
    /// Its incarnation.
    pub epoch: BrokerEpoch,
    /// Whether it may neither lead nor be in sync.
    pub fenced: bool,
    /// Whether it is handing over to stop.
    pub in_controlled_shutdown: bool,
}

impl BrokerStanding {
    /// Whether it may be in sync (KIP-841).
    pub fn is_eligible(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }
}

/// The brokers at the same offset of the metadata log as the partition: one consistent snapshot (KAFKA-15221).
pub trait BrokersView {
    /// A broker, if it is registered.
    fn standing(&self, id: BrokerId) -> Option<BrokerStanding>;
}

impl BrokersView for MetadataImage {
    fn standing(&self, id: BrokerId) -> Option<BrokerStanding> {
        self.broker(id).map(|broker| BrokerStanding {
            epoch: broker.epoch,
            fenced: broker.fenced,
            in_controlled_shutdown: broker.in_controlled_shutdown,
        })
    }
}
