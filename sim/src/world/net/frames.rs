//! Which Kafka messages pass over a connection, so that a fault can hold up one kind of them.
//!
//! The world reads along and changes nothing. Of a request it needs the first 12 bytes (length, key, version,
//! correlation id), of a response the first 8; whatever else flows is skipped by its length.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::direction::Data;
use crate::world::control::NodeId;

/// Which messages a fault holds up, and for how long. What follows them on their connection waits with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who sends them.
    pub from: NodeId,
    /// Who should get them.
    pub to: NodeId,
    /// The key of the request, or of the request that a response answers.
    pub api_key: i16,
    /// Whether the responses are held up instead of the requests.
    pub responses: bool,
    /// For how long, in nanoseconds from their sending.
    pub delay_ns: u64,
}

/// A message that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) api_key: i16,
    pub(super) response: bool,
}

/// Requests that wait for their responses; more are not remembered, which costs a hold its effect and no more.
const ASKED_MAX: usize = 1024;

/// Reads along on a connection whose end 0 asks and whose end 1 answers.
#[derive(Debug, Default)]
pub(super) struct Frames {
    directions: [Frame; 2],
    asked: VecDeque<(i32, i16)>,
}

#[derive(Debug, Default)]
struct Frame {
    head: Vec<u8>,
    /// Bytes of the frame behind its head that have not passed.
    body_left: usize,
    /// This is not Kafka's protocol.
    lost: bool,
}

const HEAD_LEN: [usize; 2] = [12, 8];

impl Frames {
    /// Notes what `side` sends; returns the messages whose heads are complete with it.
    pub(super) fn pass(&mut self, side: usize, data: &Data) -> Option<Message> {
        let bytes: &[u8] = match data {
            Data::Bytes(bytes) => bytes,
            Data::File { len, .. } => {
                let frame = &mut self.directions[side];
                frame.lost |= frame.body_left < *len;
                frame.body_left = frame.body_left.saturating_sub(*len);
                return None;
            }
        };
        let mut rest = bytes;
        let mut last = None;
        while !rest.is_empty() && !self.directions[side].lost {
            let frame = &mut self.directions[side];
            if frame.body_left > 0 {
                let skipped = frame.body_left.min(rest.len());
                frame.body_left -= skipped;
                rest = &rest[skipped..];
                continue;
            }
            let missing = HEAD_LEN[side] - frame.head.len();
            let (head, behind) = rest.split_at(missing.min(rest.len()));
            frame.head.extend_from_slice(head);
            rest = behind;
            if frame.head.len() == HEAD_LEN[side] {
                last = self.begin(side).or(last);
            }
        }
        last
    }

    /// The head of a frame is complete.
    fn begin(&mut self, side: usize) -> Option<Message> {
        let frame = &mut self.directions[side];
        let number = |at: usize| i32::from_be_bytes(std::array::from_fn(|index| frame.head[at + index]));
        let body = usize::try_from(number(0)).ok().and_then(|len| (len + 4).checked_sub(HEAD_LEN[side]));
        let (first, correlation_id) = (number(4), number(HEAD_LEN[side] - 4));
        frame.head.clear();
        let Some(body) = body else {
            frame.lost = true;
            return None;
        };
        frame.body_left = body;
        if side == 0 {
            let api_key = (first >> 16) as i16;
            if self.asked.len() < ASKED_MAX {
                self.asked.push_back((correlation_id, api_key));
            }
            return Some(Message { api_key, response: false });
        }
        // Requests without a response (acks=0) are passed over.
        let at = self.asked.iter().position(|(asked, _)| *asked == correlation_id)?;
        let (_, api_key) = self.asked.drain(..=at).next_back()?;
        Some(Message { api_key, response: true })
    }
}

impl Hold {
    pub(super) fn holds(&self, from: NodeId, to: NodeId, message: Message) -> bool {
        (self.from, self.to) == (from, to)
            && (self.api_key, self.responses) == (message.api_key, message.response)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn request(api_key: i16, correlation_id: i32, body: usize) -> Vec<u8> {
        let mut bytes = (8 + body as i32).to_be_bytes().to_vec();
        bytes.extend(api_key.to_be_bytes());
        bytes.extend(9i16.to_be_bytes());
        bytes.extend(correlation_id.to_be_bytes());
        bytes.extend(vec![0xff; body]);
        bytes
    }

    fn response(correlation_id: i32, body: usize) -> Vec<u8> {
        let mut bytes = (4 + body as i32).to_be_bytes().to_vec();
        bytes.extend(correlation_id.to_be_bytes());
        bytes.extend(vec![0xff; body]);
        bytes
    }

    fn messages(frames: &mut Frames, side: usize, bytes: &[u8], chunk_len: usize) -> Vec<(i16, bool)> {
        let chunks = bytes.chunks(chunk_len).map(|chunk| Data::Bytes(Bytes::copy_from_slice(chunk)));
        chunks
            .filter_map(|data| frames.pass(side, &data))
            .map(|message| (message.api_key, message.response))
            .collect()
    }

    #[test]
    fn messages_are_recognised_however_the_bytes_are_cut() {
        let requests = [request(0, 1, 30), request(3, 2, 0), request(1, 3, 5)].concat();
        let responses = [response(1, 7), response(3, 0)].concat();
        for chunk_len in 1..8 {
            let mut frames = Frames::default();
            assert_eq!(messages(&mut frames, 0, &requests, chunk_len), [(0, false), (3, false), (1, false)]);
            assert_eq!(messages(&mut frames, 1, &responses, chunk_len), [(0, true), (1, true)]);
        }
    }

    #[test]
    fn other_protocols_are_left_alone() {
        let mut frames = Frames::default();
        assert_eq!(messages(&mut frames, 0, &[0xff; 100], 9), []);
        assert_eq!(messages(&mut frames, 0, &[0; 100], 9), []);
    }
}
