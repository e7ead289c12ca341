//! `quorum-state`: what a replica of the metadata log must not forget of elections, in Kafka's own file.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::env::Disk;
use crate::ids::{BrokerId, LeaderEpoch, Uuid};
use crate::log::{DiskError, checkpoint};
use crate::museum::Switches;
use crate::raft::{ElectionState, ReplicaKey};

/// The file's name, in the directory of the metadata log.
pub const NAME: &str = "quorum-state";

/// The version with the voter's directory (KIP-853), which is written.
const VERSION: i64 = 1;

/// Why the file cannot be read. Without it nobody knows for whom this replica voted: it must not vote again under the
/// same directory id.
#[derive(Debug, thiserror::Error)]
pub enum ElectionFileError {
    /// A disk call failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The file says nothing, or something that cannot be.
    #[error(
        "{}: {cause}; a voter that has forgotten its vote may elect two leaders, and a copy of the file has forgotten it \
         too: remove this voter from the quorum and let it join with a new directory",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: Damage,
    },
}

/// What is wrong with the text of a `quorum-state` file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It is not JSON.
    #[error("not JSON: {0}")]
    Json(String),
    /// It was written by a later version.
    #[error("data_version {0} is not known here")]
    Version(i64),
    /// A field is missing, or has a value that cannot be.
    #[error("the field {0} is missing or wrong")]
    Field(&'static str),
}

/// Reads the file in `dir`; `None` when there is none, as before the first election.
///
/// # Errors
/// See [`ElectionFileError`].
pub fn read<D: Disk>(disk: &D, dir: &Path) -> Result<Option<ElectionState>, ElectionFileError> {
    let path = dir.join(NAME);
    let Some(bytes) = checkpoint::read(disk, &path)? else { return Ok(None) };
    decode(&bytes).map(Some).map_err(|cause| ElectionFileError::Damaged { path, cause })
}

/// Makes the state durable: after a crash either the old one is there or this one.
///
/// # Errors
/// When a disk call fails.
pub async fn write<D: Disk>(disk: &D, dir: &Path, state: &ElectionState) -> Result<(), DiskError> {
    checkpoint::replace(disk, &dir.join(NAME), encode(state).as_bytes(), Switches::default()).await
}

fn encode(state: &ElectionState) -> String {
    let leader = state.leader.unwrap_or(BrokerId::NONE);
    let voted = state.voted.unwrap_or(ReplicaKey { id: BrokerId::NONE, directory: Uuid::ZERO });
    format!(
        r#"{{"leaderId":{leader},"leaderEpoch":{},"votedId":{},"votedDirectoryId":"{}","data_version":{VERSION}}}"#,
        state.epoch, voted.id, voted.directory
    )
}

fn decode(bytes: &[u8]) -> Result<ElectionState, Damage> {
    let json: Value = serde_json::from_slice(bytes).map_err(|error| Damage::Json(error.to_string()))?;
    let number = |name: &'static str| json.get(name).and_then(Value::as_i64).ok_or(Damage::Field(name));
    let version = number("data_version")?;
    if !(0..=VERSION).contains(&version) {
        return Err(Damage::Version(version));
    }
    let id = |name: &'static str| {
        let id = i32::try_from(number(name)?).map_err(|_| Damage::Field(name))?;
        if id < BrokerId::NONE.0 { Err(Damage::Field(name)) } else { Ok((id >= 0).then_some(BrokerId(id))) }
    };
    let epoch = i32::try_from(number("leaderEpoch")?).ok().filter(|epoch| *epoch >= 0);
    let directory = match json.get("votedDirectoryId") {
        None if version == 0 => Uuid::ZERO,
        None => return Err(Damage::Field("votedDirectoryId")),
        Some(text) => {
            text.as_str().and_then(|text| text.parse().ok()).ok_or(Damage::Field("votedDirectoryId"))?
        }
    };
    Ok(ElectionState {
        epoch: LeaderEpoch(epoch.ok_or(Damage::Field("leaderEpoch"))?),
        leader: id("leaderId")?,
        voted: id("votedId")?.map(|id| ReplicaKey { id, directory }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states() -> Vec<ElectionState> {
        let voted = ReplicaKey { id: BrokerId(2), directory: Uuid([7; 16]) };
        let epoch = LeaderEpoch(5);
        vec![
            ElectionState::default(),
            ElectionState { epoch, leader: Some(BrokerId(1)), voted: None },
            ElectionState { epoch, leader: None, voted: Some(voted) },
            ElectionState { epoch: LeaderEpoch(i32::MAX), leader: Some(BrokerId(2)), voted: Some(voted) },
        ]
    }

    #[test]
    fn a_state_is_read_back() {
        for state in states() {
            assert_eq!(decode(encode(&state).as_bytes()), Ok(state));
        }
    }

    #[test]
    fn the_text_is_kafkas() {
        let voted =
            ReplicaKey { id: BrokerId(1), directory: "J8aAPcfLQt2bqs1JT_rMgQ".parse().expect("an id") };
        let state = ElectionState { epoch: LeaderEpoch(2), leader: None, voted: Some(voted) };
        let text = r#"{"leaderId":-1,"leaderEpoch":2,"votedId":1,"votedDirectoryId":"J8aAPcfLQt2bqs1JT_rMgQ","data_version":1}"#;
        assert_eq!(encode(&state), text);
        let older = r#"{"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}"#;
        let state = ElectionState { epoch: LeaderEpoch(2), leader: Some(BrokerId(1)), voted: None };
        assert_eq!(decode(older.as_bytes()), Ok(state));
    }

    /// Any of them could be a vote that was given: none may pass for "never voted".
    #[test]
    fn what_is_damaged_is_refused_and_not_taken_for_nothing() {
        let whole = encode(&states()[3]);
        for end in 0..whole.len() {
            assert!(matches!(decode(&whole.as_bytes()[..end]), Err(Damage::Json(_))), "cut at {end}");
        }
        let with = |from: &str, to: &str| decode(whole.replace(from, to).as_bytes());
        assert_eq!(with("leaderEpoch", "epoch"), Err(Damage::Field("leaderEpoch")));
        assert_eq!(with("2147483647", "2147483648"), Err(Damage::Field("leaderEpoch")));
        assert_eq!(with("2147483647", "-1"), Err(Damage::Field("leaderEpoch")));
        assert_eq!(with(r#""leaderId":2"#, r#""leaderId":-2"#), Err(Damage::Field("leaderId")));
        assert_eq!(with(r#""votedId":2"#, r#""votedId":"2""#), Err(Damage::Field("votedId")));
        assert_eq!(with("BwcHBwcHBwcHBwcHBwcHBw", "?"), Err(Damage::Field("votedDirectoryId")));
        assert_eq!(
            with("votedDirectoryId", "voted"),
            Err(Damage::Field("votedDirectoryId")),
            "it would fit any"
        );
        assert_eq!(with(r#""data_version":1"#, r#""data_version":2"#), Err(Damage::Version(2)));
        assert_eq!(decode(b"[]"), Err(Damage::Field("data_version")));
        assert!(decode(&[0xff; 64]).is_err() && decode(&[0; 64]).is_err());
    }
}
