//! The answer: the session's choice of partitions, framed around ranges of files.

use super::{Fetching, Read};
use crate::api::leader_hint::LeaderHints;
use crate::env::{Clock, Env, FileSlice};
use crate::error::ErrorCode;
use crate::fetch_session::{
    Answer, Completed, Context, FetchPartition, FetchTopic, NO_SESSION, SessionError,
};
use crate::ids::TopicId;
use crate::partition::Isolation;
use crate::server::dispatch::{File, Request};
use crate::server::response::Outgoing;
use crate::wire::api::fetch::{FetchHead, FetchResponseWriter, FetchedPartition, Segment};

/// Answers a request whose session is not what the client takes it for: no partitions, and the error on top.
pub(super) fn refuse<F>(request: &Request, error: SessionError, outgoing: &mut Outgoing<F>) {
    refuse_with(request, error.code(), outgoing);
}

fn refuse_with<F>(request: &Request, error: ErrorCode, outgoing: &mut Outgoing<F>) {
    let head = FetchHead { error_code: error.code(), ..FetchHead::default() };
    let writer =
        FetchResponseWriter::<FileSlice<F>>::new(request.version(), request.header.correlation_id, head, 0);
    append(writer.finish(&[]).expect("an answer without topics is small"), outgoing);
}

impl<E: Env> Fetching<E> {
    /// Appends the answer.
    pub(super) fn answer(&self, mut reads: Vec<Read<File<E>>>, outgoing: &mut Outgoing<File<E>>) {
        let completed = match self.complete(&reads) {
            Ok(completed) => completed,
            Err(error) => return refuse(&self.request, error, outgoing),
        };
        let is_included = |index: usize| completed.include.as_ref().is_none_or(|include| include[index]);
        let included: Vec<usize> = (0..reads.len()).filter(|index| is_included(*index)).collect();
        let runs = || included.chunk_by(|a, b| self.partitions[*a].topic == self.partitions[*b].topic);
        let head = FetchHead { session_id: completed.session_id, ..FetchHead::default() };
        let version = self.request.version();
        let correlation_id = self.request.header.correlation_id;
        let mut writer = FetchResponseWriter::new(version, correlation_id, head, runs().count());
        let mut hints = LeaderHints::default();
        for run in runs() {
            let (name, topic_id) = match &self.partitions[run[0]].topic {
                FetchTopic::Name(name) => (&**name, TopicId::ZERO),
                FetchTopic::Id(topic_id) => ("", *topic_id),
            };
            writer.topic(name, topic_id, run.len());
            for &index in run {
                let read = &mut reads[index];
                let slice = read.slice.take();
                writer.partition(&self.frame(&self.partitions[index], read, &mut hints), slice);
            }
        }
        match writer.finish(&hints.endpoints()) {
            Ok(segments) => append(segments, outgoing),
            // Only with batches larger than any that was taken here.
            Err(_) => refuse_with(&self.request, ErrorCode::UnknownServerError, outgoing),
        }
    }

    fn complete(&self, reads: &[Read<File<E>>]) -> Result<Completed, SessionError> {
        if self.context == Context::Sessionless {
            return Ok(Completed { session_id: NO_SESSION, include: None });
        }
        let answers: Vec<Answer> = reads.iter().map(Read::answer).collect();
        let env = &self.services.env;
        let (now, random) = (env.clock().now(), env.random_u64());
        let mut sessions = match &self.context {
            Context::Incremental { session_id, .. } => self.services.fetch_sessions_of(*session_id),
            Context::Full { .. } | Context::Sessionless => self.services.fetch_sessions_for_new(random),
        };
        sessions.complete(&self.context, (&self.partitions, &answers), now, random)
    }

    fn frame(
        &self,
        asked: &FetchPartition,
        read: &Read<File<E>>,
        hints: &mut LeaderHints,
    ) -> FetchedPartition {
        FetchedPartition {
            index: asked.partition,
            error_code: read.error.code(),
            high_watermark: read.high_watermark,
            last_stable_offset: read.last_stable,
            log_start_offset: read.log_start,
            // A list, even an empty one, would make read_uncommitted consumers filter (KAFKA-5490).
            aborted_transactions: (self.isolation == Isolation::ReadCommitted).then(Vec::new),
            current_leader: read.id.and_then(|id| hints.leader_of(&self.services, id, read.error)),
            ..FetchedPartition::default()
        }
    }
}

impl<F> Read<F> {
    fn answer(&self) -> Answer {
        Answer {
            high_watermark: self.high_watermark,
            log_start: self.log_start,
            has_records: self.slice.is_some(),
            is_exceptional: self.error != ErrorCode::None,
        }
    }
}

fn append<F>(segments: Vec<Segment<FileSlice<F>>>, outgoing: &mut Outgoing<F>) {
    for segment in segments {
        match segment {
            Segment::Inline(bytes) => outgoing.inline().extend_from_slice(&bytes),
            Segment::Slice(slice) => outgoing.push_slice(slice),
        }
    }
}
