//! W21, as far as an ideal log leaves it open: the metadata is the fold of its records, a snapshot of it is the same
//! metadata, and it does not contradict itself.

use jangbu_core::ids::Offset;
use jangbu_core::metadata::snapshot;
use jangbu_core::time::Timestamp;

use super::{Violation, violated};
use crate::fuzz::replication::quorum::empty_image;
use crate::fuzz::replication::world::World;

/// At the end of an episode.
pub fn metadata(world: &World) -> Result<(), Violation> {
    let image = world.controller.image();
    image.check_all();
    match world.controller.replayed() {
        Ok(replayed) if replayed == *image => {}
        Ok(_) => return violated("W21", "the records of the metadata add up to another image".to_owned()),
        Err(error) => return violated("W21", format!("a record of the metadata cannot be applied: {error}")),
    }
    let bytes = snapshot::encode(image, Timestamp(0));
    let id = snapshot::SnapshotId { end: Offset(image.offset.0 + 1), epoch: image.epoch };
    match snapshot::decode(bytes, id, empty_image()) {
        Ok(read) if read == *image => Ok(()),
        Ok(_) => violated("W21", "a snapshot of the metadata holds another image".to_owned()),
        Err(error) => violated("W21", format!("a snapshot of the metadata cannot be read: {error}")),
    }
}
