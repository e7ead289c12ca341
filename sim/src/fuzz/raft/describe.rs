//! What a machine wants done, in the words of a transcript.

use jangbu_core::raft::messages::{Fetched, Request, Response};
use jangbu_core::raft::{Output, Voters};

use super::node::directory_number;

/// A set of voters: `0@1 1@2`, each with the number of its directory.
pub fn voters(voters: &Voters) -> String {
    let text = |voter: &jangbu_core::raft::Voter| {
        format!("{}@{}", voter.key.id, directory_number(voter.key.directory))
    };
    voters.iter().map(text).collect::<Vec<_>>().join(" ")
}

/// One line, or nothing for what is not worth one.
pub fn output(output: &Output) -> Option<String> {
    Some(match output {
        Output::SaveElection(state) => {
            let leader = state.leader.map_or("nobody".to_owned(), |leader| leader.to_string());
            let voted = state.voted.map_or("nobody".to_owned(), |voted| voted.id.to_string());
            format!("saves epoch {}, leader {leader}, voted for {voted}", state.epoch)
        }
        Output::Send { to, request } => format!("sends {to} {}", self::request(request)),
        Output::Reply { to, response } => format!("answers {} {}", to.0 & 0xff, self::response(response)),
        Output::Read { to, from, up_to, high_watermark, .. } => {
            format!("answers {} fetch: records {from}..{up_to}, high watermark {high_watermark}", to.0 & 0xff)
        }
        Output::Park { to, .. } => format!("parks the fetch of {}", to.0 & 0xff),
        Output::Unpark => return None,
        Output::ReadSnapshot { to, chunk, .. } => format!(
            "answers {} snapshot {}-{}: bytes {}..{} of {}",
            to.0 & 0xff,
            chunk.snapshot.end,
            chunk.snapshot.epoch,
            chunk.position,
            chunk.position + chunk.length,
            chunk.size
        ),
        Output::AppendLeaderChange(epoch) => format!("appends the leader change of epoch {epoch}"),
        Output::AppendVoters(set) => format!("appends voters {}", voters(set)),
        Output::AppendFetched(_) => "appends what it fetched".to_owned(),
        Output::Truncate(to) => format!("cuts its log at {to}"),
        Output::WriteSnapshot { chunk, .. } => {
            format!("keeps bytes {}..{} of the snapshot", chunk.position, chunk.position + chunk.length)
        }
        Output::InstallSnapshot(id) => format!("installs snapshot {}-{}", id.end, id.epoch),
        Output::HighWatermark(to) => format!("commits up to {to}"),
        Output::BecameLeader(epoch) => format!("LEADS epoch {epoch}"),
        Output::LostLeadership(epoch) => format!("leads epoch {epoch} no more"),
        Output::Fatal(fatal) => format!("STOPS: {fatal}"),
    })
}

fn request(request: &Request) -> String {
    match request {
        Request::Vote(vote) => format!(
            "{} epoch {}, log {}@{}",
            if vote.pre_vote { "pre-vote" } else { "vote" },
            vote.epoch,
            vote.log_end.offset,
            vote.log_end.epoch
        ),
        Request::BeginQuorumEpoch(begin) => format!("begin epoch {}", begin.epoch),
        Request::EndQuorumEpoch(end) => {
            let ids: Vec<String> = end.successors.iter().map(|key| key.id.to_string()).collect();
            format!("end epoch {}, successors {}", end.epoch, ids.join(" "))
        }
        Request::Fetch(fetch) => {
            format!("fetch epoch {}, log {}@{}", fetch.epoch, fetch.log_end.offset, fetch.log_end.epoch)
        }
        Request::FetchSnapshot(fetch) => format!(
            "snapshot epoch {}, {}-{} from byte {}",
            fetch.epoch, fetch.snapshot.end, fetch.snapshot.epoch, fetch.position
        ),
    }
}

fn response(response: &Response) -> String {
    match response {
        Response::Vote(vote) => {
            let kind = if vote.pre_vote { "pre-vote" } else { "vote" };
            match vote.granted {
                Ok(true) => format!("{kind}: yes, epoch {}", vote.standing.epoch),
                Ok(false) => format!("{kind}: no, epoch {}", vote.standing.epoch),
                Err(refusal) => format!("{kind}: {refusal:?}, epoch {}", vote.standing.epoch),
            }
        }
        Response::Epoch(answer) => match answer.refusal {
            None => format!("epoch {}", answer.standing.epoch),
            Some(refusal) => format!("{refusal:?}, epoch {}", answer.standing.epoch),
        },
        Response::Fetch(fetch) => match fetch.fetched {
            Fetched::Records(end) => {
                format!("fetch: records up to {}, high watermark {}", end.offset, fetch.high_watermark)
            }
            Fetched::Diverging(at) => format!("fetch: epoch {} ends at {}", at.epoch, at.end),
            Fetched::Snapshot(id) => format!("fetch: needs snapshot {}-{}", id.end, id.epoch),
            Fetched::Refused(refusal) => format!("fetch: {refusal:?}, epoch {}", fetch.standing.epoch),
        },
        Response::FetchSnapshot(fetch) => match &fetch.chunk {
            Ok(chunk) => format!("snapshot: {} bytes", chunk.length),
            Err(refusal) => format!("snapshot: {refusal:?}"),
        },
    }
}
