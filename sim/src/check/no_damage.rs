//! J2: a reader is handed whole batches with right checksums, or an error, and never anything else.
//!
//! Only where a bit of the very log was turned over nobody can do better: the broker sends its files as they are.

use super::{Check, slot_text};
use crate::model::{ClientEvent, Ledger, Seen};

pub(super) struct NoDamage;

impl Check for NoDamage {
    fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), String> {
        match seen {
            Seen::Client(ClientEvent::Corrupt { slot, offset, what }) if ledger.rot(*slot).is_none() => {
                Err(format!("{}: a reader at {offset} was handed damaged bytes: {what}", slot_text(*slot)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::testing::{CACHED, FLUSHED, NODE, Scene, partition_of};

    fn corrupt() -> ClientEvent {
        ClientEvent::Corrupt { slot: CACHED, offset: 4, what: "its checksum is wrong".to_owned() }
    }

    fn rot(slot: (usize, i32), name: &str) -> Result<(), String> {
        let mut scene = Scene::new(NoDamage);
        let path = format!("/data/{}/{name}", partition_of(slot));
        scene.see(&Seen::Rotted { node: NODE, path: Path::new(&path), position: 3 }).expect("no violation");
        scene.tell(corrupt())
    }

    #[test]
    fn damaged_bytes_in_the_hands_of_a_reader_are_found() {
        assert!(Scene::new(NoDamage).tell(corrupt()).is_err());
        assert!(rot(CACHED, "00000000000000000000.index").is_err(), "an index excuses nothing");
        assert!(rot(FLUSHED, "00000000000000000000.log").is_err(), "nor does another log");
    }

    #[test]
    fn a_bit_of_the_log_that_was_turned_over_excuses_them() {
        assert_eq!(rot(CACHED, "00000000000000000000.log"), Ok(()));
    }
}
