//! The requests of one connection that were taken and are not yet answered, in their order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use super::memory::Charge;
use super::response::Outgoing;

/// Requests that may be in the line, from the oldest that waits onwards.
const PLACES_MAX: usize = 64;
/// Bytes of finished responses that may wait before nothing more is handled.
const UNSENT_MAX: usize = 1 << 20;
/// Bytes of finished responses that are worth a write of their own.
const WRITE_MAX: usize = 64 << 10;

/// A response that is not there yet.
pub type Pending<F> = Pin<Box<dyn Future<Output = Outgoing<F>> + Send>>;

pub(super) struct Line<F> {
    /// Finished responses at the front, as they will be sent.
    ready: Outgoing<F>,
    ready_charges: Vec<Charge>,
    places: VecDeque<(Answer<F>, Charge)>,
    /// Bytes of finished responses in `places`.
    unsent: usize,
}

enum Answer<F> {
    Waiting(Pending<F>),
    Done(Outgoing<F>),
}

impl<F> Default for Line<F> {
    fn default() -> Self {
        Self { ready: Outgoing::default(), ready_charges: Vec::new(), places: VecDeque::new(), unsent: 0 }
    }
}

impl<F> Line<F> {
    /// Whether another request may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.places.len() < PLACES_MAX && self.unsent + self.ready.inline_len() < UNSENT_MAX
    }

    /// Whether what is ready should be sent before another request is taken.
    pub(super) fn wants_to_send(&self) -> bool {
        self.ready.inline_len() >= WRITE_MAX || self.ready.slices_len() > 0
    }

    /// Whether a request waits for something other than the network.
    pub(super) fn is_waiting(&self) -> bool {
        !self.places.is_empty()
    }

    /// Where the next response is encoded: directly behind what is ready, when nobody waits before it.
    pub(super) fn next_response(&mut self) -> Outgoing<F> {
        if self.places.is_empty() { std::mem::take(&mut self.ready) } else { Outgoing::default() }
    }

    /// Takes back what [`Line::next_response`] gave, with the response behind it (or nothing, for acks=0).
    pub(super) fn done(&mut self, outgoing: Outgoing<F>, charge: Charge) {
        if self.places.is_empty() {
            self.ready = outgoing;
            self.keep(charge);
        } else if !outgoing.is_empty() {
            self.unsent += outgoing.inline_len();
            self.places.push_back((Answer::Done(outgoing), charge));
        }
    }

    /// As [`Line::done`], for a response that will come later.
    pub(super) fn waits(&mut self, outgoing: Outgoing<F>, pending: Pending<F>, charge: Charge) {
        if self.places.is_empty() {
            self.ready = outgoing;
        }
        self.places.push_back((Answer::Waiting(pending), charge));
    }

    /// What can be sent; [`Line::sent`] must follow.
    pub(super) fn ready(&mut self) -> &mut Outgoing<F> {
        &mut self.ready
    }

    /// Gives back the memory of the requests whose responses were sent.
    pub(super) fn sent(&mut self) {
        self.ready_charges.clear();
    }

    /// Moves every finished response that no unfinished one stands before; waits until there is one.
    /// Cancellation loses nothing.
    pub(super) async fn advance(&mut self) {
        poll_fn(|context| {
            let mut moved = false;
            while let Some((answer, _)) = self.places.front_mut() {
                let mut outgoing = match answer {
                    Answer::Done(outgoing) => {
                        self.unsent -= outgoing.inline_len();
                        std::mem::take(outgoing)
                    }
                    Answer::Waiting(pending) => match pending.as_mut().poll(context) {
                        Poll::Ready(outgoing) => outgoing,
                        Poll::Pending => break,
                    },
                };
                self.ready.append(&mut outgoing);
                if let Some((_, charge)) = self.places.pop_front() {
                    self.keep(charge);
                }
                moved = true;
            }
            if moved { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn keep(&mut self, charge: Charge) {
        if charge.is_some() {
            self.ready_charges.push(charge);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use tokio::sync::oneshot;

    use super::*;

    type Sender = oneshot::Sender<&'static str>;

    fn text(text: &str) -> Outgoing<()> {
        let mut outgoing = Outgoing::default();
        outgoing.inline().extend_from_slice(text.as_bytes());
        outgoing
    }

    fn done(line: &mut Line<()>, answer: &str) {
        let mut outgoing = line.next_response();
        outgoing.inline().extend_from_slice(answer.as_bytes());
        line.done(outgoing, Charge::default());
    }

    fn waits(line: &mut Line<()>) -> Sender {
        let (sender, receiver) = oneshot::channel();
        let outgoing = line.next_response();
        let pending = Box::pin(async move { text(receiver.await.expect("the test answers")) });
        line.waits(outgoing, pending, Charge::default());
        sender
    }

    /// What can be sent now.
    fn ready(line: &mut Line<()>) -> String {
        let _ = pin!(line.advance()).poll(&mut Context::from_waker(Waker::noop()));
        let ready = std::mem::take(line.ready()).inline().split();
        String::from_utf8(ready.to_vec()).expect("text")
    }

    #[test]
    fn answers_leave_in_the_order_of_requests_whatever_is_ready_first() {
        let mut line = Line::default();
        done(&mut line, "a");
        let b = waits(&mut line);
        done(&mut line, "c");
        let d = waits(&mut line);
        done(&mut line, "e");
        assert_eq!(ready(&mut line), "a");
        d.send("d").expect("it waits");
        assert_eq!(ready(&mut line), "");
        b.send("b").expect("it waits");
        assert_eq!(ready(&mut line), "bcde");
        assert!(!line.is_waiting());
        done(&mut line, "f");
        assert_eq!(ready(&mut line), "f");
    }

    /// acks=0 has no answer, and takes no place behind one that waits.
    #[test]
    fn a_request_without_an_answer_leaves_no_trace() {
        let mut line = Line::default();
        done(&mut line, "");
        assert!(line.ready().is_empty());
        let a = waits(&mut line);
        done(&mut line, "");
        done(&mut line, "b");
        a.send("a").expect("it waits");
        assert_eq!(ready(&mut line), "ab");
    }

    /// Limit: `PLACES_MAX` requests behind one that waits.
    #[test]
    fn the_line_behind_a_request_that_waits_is_bounded() {
        let mut line = Line::default();
        let _first = waits(&mut line);
        for _ in 1..PLACES_MAX {
            assert!(line.has_room());
            done(&mut line, "x");
        }
        assert!(!line.has_room());
    }

    /// Limit: `UNSENT_MAX` bytes.
    #[test]
    fn the_bytes_behind_a_request_that_waits_are_bounded() {
        let mut line = Line::default();
        let first = waits(&mut line);
        done(&mut line, &"x".repeat(UNSENT_MAX));
        assert!(!line.has_room());
        first.send("").expect("it waits");
        assert_eq!(ready(&mut line).len(), UNSENT_MAX);
        assert!(line.has_room());
    }
}
