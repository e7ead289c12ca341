//! Requests of several items, each judged by itself: some are refused here, the rest by the controller or not at all.

use super::error_map;
use crate::controller::Rejection;
use crate::error::ErrorCode;

/// The longest text beside an error code. Such texts quote clients, and what is too long for its length prefix would
/// cost the answer to everything else in the request.
const MESSAGE_BYTES_MAX: usize = 1024;

/// The text, cut where it is too long for an answer.
pub(super) fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        message.push_str("...");
    }
    message
}

/// Why one item is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: cut(message.into()) }
    }
}

impl From<Rejection> for Fault {
    fn from(rejection: Rejection) -> Self {
        Self::new(error_map::rejection(&rejection), rejection.to_string())
    }
}

/// Parts the items into what is worth asking the controller for, and the faults of the others at their places.
pub(super) fn part<T>(items: Vec<Result<T, Fault>>) -> (Vec<T>, Vec<Option<Fault>>) {
    let mut valid = Vec::new();
    let mut faults = Vec::with_capacity(items.len());
    for item in items {
        faults.push(match item {
            Ok(item) => {
                valid.push(item);
                None
            }
            Err(fault) => Some(fault),
        });
    }
    (valid, faults)
}

/// Puts the controller's outcomes, one for each item that had no fault, back between the faults.
pub(super) fn join<O>(
    faults: Vec<Option<Fault>>,
    outcomes: Result<Vec<Result<O, Rejection>>, Rejection>,
) -> Vec<Result<O, Fault>> {
    let (mut outcomes, refused) = match outcomes {
        Ok(outcomes) => (outcomes.into_iter(), None),
        Err(rejection) => (Vec::new().into_iter(), Some(Fault::from(rejection))),
    };
    let unanswered = || Fault::new(ErrorCode::UnknownServerError, "the controller left this item out");
    let mut outcome = || match &refused {
        Some(fault) => Err(fault.clone()),
        None => outcomes.next().map_or_else(|| Err(unanswered()), |outcome| outcome.map_err(Fault::from)),
    };
    faults.into_iter().map(|fault| fault.map_or_else(&mut outcome, Err)).collect()
}
