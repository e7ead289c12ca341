//! What must hold. Each check costs what changed: a prefix is compared by one hash.

mod acknowledgements;
mod candidates;
mod clients;
mod controller_state;
mod epoch_cache;
mod failures;
mod high_watermark;
mod leaders;
mod log_start;
mod metadata;
mod offsets;
mod producers;
mod progress;
mod reads;
mod recovery;
mod truth;

pub use acknowledgements::acknowledged;
pub use candidates::{candidates, committed_stays};
pub use clients::{finally, told};
pub use controller_state::{controller_state, quorum_superset};
pub use epoch_cache::epoch_cache;
pub use failures::failed;
pub use high_watermark::{high_watermark, replicated};
pub use leaders::{deposed, epochs_rise, new_leader};
pub use log_start::log_start;
pub use metadata::metadata;
pub use offsets::{Book, appended};
pub use producers::is_folded;
pub use progress::{converged, stuck};
pub use reads::consumed;
pub use recovery::recovered;
pub use truth::Truth;

/// What was found to be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The check, by its id in the catalogue.
    pub check: &'static str,
    /// What it saw.
    pub message: String,
}

/// A violation.
pub(super) fn violated<T>(check: &'static str, message: String) -> Result<T, Violation> {
    Err(Violation { check, message })
}
