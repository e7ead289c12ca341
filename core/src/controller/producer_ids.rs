//! Producer ids, in blocks.

use super::response::{ProducerIdBlock, Rejection, Response};
use super::{Controller, Decision, PRODUCER_IDS_PER_BLOCK};
use crate::ids::{BrokerEpoch, BrokerId, ProducerId};
use crate::metadata::records::ProducerIdsRecord;

impl Controller {
    /// A block of producer ids that nobody ever had: recorded before its first id is used (KIP-730).
    pub(super) fn allocate_producer_ids(
        &self,
        broker_id: BrokerId,
        broker_epoch: BrokerEpoch,
    ) -> Result<Decision, Rejection> {
        self.find_incarnation(broker_id, broker_epoch)?;
        let first = self.image.next_producer_id();
        let Some(next) = first.0.checked_add(PRODUCER_IDS_PER_BLOCK.into()) else {
            return Err(Rejection::InvalidRequest(
                "all producer ids there are have been given away".to_owned(),
            ));
        };
        let record = ProducerIdsRecord { broker_id, broker_epoch, next_producer_id: ProducerId(next) };
        let block = ProducerIdBlock { first, count: PRODUCER_IDS_PER_BLOCK };
        Ok(Decision { records: vec![record.into()], is_atomic: true, response: Response::ProducerIds(block) })
    }
}
