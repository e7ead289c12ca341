//! What clients hear who want a group or a transaction, which this version does not have.
//!
//! COORDINATOR_NOT_AVAILABLE would be tried again for ever, without a word to the user. UNSUPPORTED_VERSION is what Kafka
//! answers where a broker does not offer a feature that a client relies on, and clients take it for final. Only
//! librdkafka's transactions try again whatever the code is, unless it speaks of permissions, which would be a lie; they
//! run into their own timeout.
//!
//! Any consumer of librdkafka's has a group and asks for its coordinator, also one that assigns its partitions itself
//! and could read: an error would reach it in the place of records. So a group is sent to this broker. ApiVersions
//! offers none of the requests that follow, and who needs one of them, to join or to commit, hears from his own client
//! that the broker does not support it. The log names every such client.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::ErrorCode;
use crate::sync::Mutex;
use crate::time::Instant;

/// The code.
pub(super) const NOT_SUPPORTED: ErrorCode = ErrorCode::UnsupportedVersion;
/// The words, where the protocol has room for some.
pub(super) const WORDS: &str = "this version of Jangbu supports neither consumer groups nor transactions";

/// How long a client's name is not said again.
const SILENCE: Duration = Duration::from_secs(600);
/// Names remembered. More are not said at all until older ones may be forgotten.
const NAMES_MAX: usize = 100;

/// The clients that asked, and when the log last said so.
#[derive(Debug, Default)]
pub(super) struct Askers(Mutex<BTreeMap<String, Instant>>);

impl Askers {
    /// Warns of a client that asks for something, such as "a consumer group", unless that was said a while ago.
    pub(super) fn warn(&self, now: Instant, client_id: &str, what: &str) {
        if self.admit(now, client_id) {
            tracing::warn!(client_id, "a client asks for {what}: {WORDS}");
        }
    }

    fn admit(&self, now: Instant, client_id: &str) -> bool {
        let mut said = self.0.lock().expect("no panic under this lock");
        said.retain(|_, when| now.saturating_since(*when) < SILENCE);
        if said.len() >= NAMES_MAX || said.contains_key(client_id) {
            return false;
        }
        said.insert(client_id.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_keeps_asking_for_its_group_is_named_once_in_ten_minutes() {
        let askers = Askers::default();
        let now = Instant(5_000_000_000);
        assert!(askers.admit(now, "a"));
        assert!(!askers.admit(now + Duration::from_secs(599), "a"));
        assert!(askers.admit(now + Duration::from_secs(599), "b"));
        assert!(askers.admit(now + SILENCE, "a"));
        assert!(!askers.admit(now + SILENCE, "b"));
    }

    /// Limit: `NAMES_MAX`.
    #[test]
    fn a_flood_of_client_names_writes_a_bounded_number_of_lines() {
        let askers = Askers::default();
        let now = Instant(5_000_000_000);
        let said = |now| (0..1000).filter(|number| askers.admit(now, &number.to_string())).count();
        assert_eq!((said(now), said(now), said(now + SILENCE)), (100, 0, 100));
    }
}
