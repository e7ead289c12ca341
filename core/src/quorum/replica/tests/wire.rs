//! What two replicas say to each other, as Kafka's bytes.

use bytes::{Bytes, BytesMut};

use super::super::{Question, Reply};
use crate::ids::BrokerId;
use crate::quorum::rpc::fetch::Wait;
use crate::quorum::rpc::{begin_quorum_epoch, end_quorum_epoch, fetch, fetch_snapshot, vote};
use crate::raft::messages::{Request, Response};
use crate::wire::codec::{ApiVersion, Encoder, KafkaDecode, KafkaEncode};
use crate::wire::{messages, response};

const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";
const WAIT: Wait = Wait { max_wait_ms: 500, max_bytes: 4096 };
/// Less than a snapshot of the tests, so that it comes in pieces.
const PIECE_BYTES: i32 = 1 << 20;

const VOTE: i16 = 2;
const BEGIN: i16 = 1;
const END: i16 = 1;
const FETCH: i16 = 18;
const SNAPSHOT: i16 = 1;

fn bytes_of<M: KafkaEncode>(message: &M, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    message.encode(&mut Encoder::new(&mut bytes), ApiVersion::new(version)).expect("it can be said");
    bytes.freeze()
}

fn sent<M: KafkaEncode + KafkaDecode>(message: &M, version: i16) -> M {
    response::decode(&bytes_of(message, version), version).expect("what was encoded is read")
}

/// A request as it arrives, with the most bytes to be answered.
pub(super) fn ask(request: &Request, to: usize) -> (Request, u32) {
    let me = BrokerId(to as i32);
    let arrived = match request {
        Request::Vote(request) => {
            let wire: messages::VoteRequest = sent(&vote::request(request, CLUSTER), VOTE);
            Request::Vote(vote::parse_request(&wire, CLUSTER, me).expect("it is for this log"))
        }
        Request::BeginQuorumEpoch(request) => {
            let wire = sent(&begin_quorum_epoch::request(request, CLUSTER, &[]), BEGIN);
            let parsed = begin_quorum_epoch::parse_request(&wire, CLUSTER, me);
            Request::BeginQuorumEpoch(parsed.expect("it is for this log").0)
        }
        Request::EndQuorumEpoch(request) => {
            let wire = sent(&end_quorum_epoch::request(request, CLUSTER, &[], END), END);
            let parsed = end_quorum_epoch::parse_request(&wire, CLUSTER);
            Request::EndQuorumEpoch(parsed.expect("it is for this log"))
        }
        Request::Fetch(request) => {
            let wire = sent(&fetch::request(request, CLUSTER, WAIT), FETCH);
            let (request, wait) = fetch::parse_request(&wire, CLUSTER).expect("it is for this log");
            return (Request::Fetch(request), wait.max_bytes as u32);
        }
        Request::FetchSnapshot(request) => {
            let wire = sent(&fetch_snapshot::request(request, CLUSTER, PIECE_BYTES), SNAPSHOT);
            let (request, max_bytes) =
                fetch_snapshot::parse_request(&wire, CLUSTER).expect("it is for this log");
            return (Request::FetchSnapshot(request), max_bytes);
        }
    };
    (arrived, 0)
}

/// The answer to `request` as it arrives, with the bytes that belong to it.
pub(super) fn answer(request: &Request, Reply { response, bytes, log_start }: Reply) -> (Response, Bytes) {
    match (request, response) {
        (Request::Vote(request), Response::Vote(response)) => {
            let wire = sent(&vote::response(&response, None, VOTE), VOTE);
            let parsed = vote::parse_response(&wire, request.pre_vote).expect("it answers");
            (Response::Vote(parsed.0), Bytes::new())
        }
        (Request::BeginQuorumEpoch(_), Response::Epoch(response)) => {
            let wire = sent(&begin_quorum_epoch::response(&response, None, BEGIN), BEGIN);
            let parsed = begin_quorum_epoch::parse_response(&wire).expect("it answers");
            (Response::Epoch(parsed.0), Bytes::new())
        }
        (Request::EndQuorumEpoch(_), Response::Epoch(response)) => {
            let wire = sent(&end_quorum_epoch::response(&response, None, END), END);
            let parsed = end_quorum_epoch::parse_response(&wire).expect("it answers");
            (Response::Epoch(parsed.0), Bytes::new())
        }
        (Request::Fetch(request), Response::Fetch(response)) => {
            let wire = sent(&fetch::response(&response, (log_start, bytes), None, FETCH), FETCH);
            let fetch::Answer { response, records, .. } =
                fetch::parse_response(&wire, request).expect("the records continue the log");
            (Response::Fetch(response), records)
        }
        (Request::FetchSnapshot(request), Response::FetchSnapshot(response)) => {
            let wire = fetch_snapshot::response(&response, (request.snapshot, bytes), None, SNAPSHOT);
            let answer = fetch_snapshot::parse_response(&sent(&wire, SNAPSHOT), request.request_id);
            let fetch_snapshot::Answer { response, bytes, .. } = answer.expect("a piece");
            (Response::FetchSnapshot(response), bytes)
        }
        (request, response) => panic!("{response:?} answers {request:?}"),
    }
}

/// A question of another node.
pub(super) fn question(
    request: Request,
    max_bytes: u32,
    reply: tokio::sync::oneshot::Sender<Reply>,
) -> Question {
    let max_wait = std::time::Duration::from_millis(WAIT.max_wait_ms as u64);
    Question { request, max_wait, max_bytes, reply }
}
