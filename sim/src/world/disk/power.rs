use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// What a loss of power leaves of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerLoss {
    /// Which changes survive, drawn for each file apart.
    pub keep: Keep,
    /// What sectors hold that were allotted but not written.
    pub lost: Lost,
}

/// Which unsynced changes of a file survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// None, and none of the directories' changes either.
    Nothing,
    /// The first few, in the order of the calls; the write behind them is torn.
    Prefix,
    /// Any sectors, in any order.
    Sectors,
    /// The length alone: the file has grown, with zeros.
    Length,
    /// One of these, drawn for each file.
    Any,
}

impl Keep {
    pub(super) fn settle(self, rng: &mut Rng) -> Keep {
        match self {
            Keep::Any => *rng
                .pick(&[Keep::Nothing, Keep::Prefix, Keep::Sectors, Keep::Length])
                .unwrap_or(&Keep::Nothing),
            settled => settled,
        }
    }
}

/// What a lost sector behind the durable end of a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// Zeros.
    Zeros,
    /// Whatever was there.
    Garbage,
}

impl PowerLoss {
    /// Everything that was not synced is gone.
    pub const EVERYTHING: Self = Self { keep: Keep::Nothing, lost: Lost::Zeros };
    /// Anything may have survived, and lost sectors hold anything.
    pub const ANYTHING: Self = Self { keep: Keep::Any, lost: Lost::Garbage };
}
