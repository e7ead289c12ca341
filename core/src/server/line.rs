//! The requests of one connection that were taken and are not yet answered, in their order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use super::memory::{Budget, Charge};
use super::response::Outgoing;

/// Requests that may be in the line, from the oldest that waits onwards.
const PLACES_MAX: usize = 64;
/// Bytes of finished responses that may wait before nothing more is handled.
const UNSENT_MAX: usize = 1 << 20;
/// Bytes of finished responses that are worth a write of their own.
const WRITE_MAX: usize = 64 << 10;

/// Bytes of finished responses that a connection may hold without a charge: no more than its buffer keeps ready.
const UNCHARGED_MAX: usize = 128 << 10;

/// A response that is not there yet.
pub type Pending<F> = Pin<Box<dyn Future<Output = Outgoing<F>> + Send>>;

pub(super) struct Line<F> {
    /// Finished responses at the front, as they will be sent.
    ready: Outgoing<F>,
    places: VecDeque<Answer<F>>,
    /// Bytes of finished responses in `places`.
    unsent: usize,
    budget: Budget,
    /// Of finished responses, once they are many bytes.
    charges: Vec<Charge>,
    charged: usize,
}

enum Answer<F> {
    Waiting(Pending<F>),
    Done(Outgoing<F>),
}

impl<F> Line<F> {
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            ready: Outgoing::default(),
            places: VecDeque::new(),
            unsent: 0,
            budget,
            charges: Vec::new(),
            charged: 0,
        }
    }

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
    pub(super) fn done(&mut self, outgoing: Outgoing<F>) {
        if self.places.is_empty() {
            self.ready = outgoing;
        } else if !outgoing.is_empty() {
            self.unsent += outgoing.inline_len();
            self.places.push_back(Answer::Done(outgoing));
        }
        self.charge();
    }

    /// As [`Line::done`], for a response that will come later.
    pub(super) fn waits(&mut self, outgoing: Outgoing<F>, pending: Pending<F>) {
        if self.places.is_empty() {
            self.ready = outgoing;
        }
        self.places.push_back(Answer::Waiting(pending));
    }

    /// Whether responses hold memory of the budget.
    pub(super) fn holds_charge(&self) -> bool {
        self.charges.iter().any(Charge::is_some)
    }

    /// Charges what finished responses hold beyond what they may hold for nothing. They are there already, so that
    /// this cannot wait; whoever comes next does.
    fn charge(&mut self) {
        let held = self.unsent + self.ready.inline_len();
        if held > UNCHARGED_MAX && held > self.charged {
            self.charges.push(self.budget.overdraw(held - self.charged));
            self.charged = held;
        }
    }

    /// What can be sent; [`Line::sent`] must follow.
    pub(super) fn ready(&mut self) -> &mut Outgoing<F> {
        &mut self.ready
    }

    /// Gives back the memory of the responses that were sent.
    pub(super) fn sent(&mut self) {
        if self.charged > 0 {
            self.charges.clear();
            self.charged = 0;
            self.charge();
        }
    }

    /// Moves every finished response that no unfinished one stands before; waits until there is one.
    /// Cancellation loses nothing.
    pub(super) async fn advance(&mut self) {
        poll_fn(|context| {
            let mut moved = false;
            while let Some(answer) = self.places.front_mut() {
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
                self.places.pop_front();
                moved = true;
            }
            self.charge();
            if moved { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use tokio::sync::oneshot;

    use super::*;

    type Sender = oneshot::Sender<&'static str>;

    fn unlimited() -> Line<()> {
        Line::new(Budget::new(None))
    }

    fn text(text: &str) -> Outgoing<()> {
        let mut outgoing = Outgoing::default();
        outgoing.inline().extend_from_slice(text.as_bytes());
        outgoing
    }

    fn done(line: &mut Line<()>, answer: &str) {
        let mut outgoing = line.next_response();
        outgoing.inline().extend_from_slice(answer.as_bytes());
        line.done(outgoing);
    }

    fn waits(line: &mut Line<()>) -> Sender {
        let (sender, receiver) = oneshot::channel();
        let outgoing = line.next_response();
        let pending = Box::pin(async move { text(receiver.await.expect("the test answers")) });
        line.waits(outgoing, pending);
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
        let mut line = unlimited();
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
        let mut line = unlimited();
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
        let mut line = unlimited();
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
        let mut line = unlimited();
        let first = waits(&mut line);
        done(&mut line, &"x".repeat(UNSENT_MAX));
        assert!(!line.has_room());
        first.send("").expect("it waits");
        assert_eq!(ready(&mut line).len(), UNSENT_MAX);
        assert!(line.has_room());
    }

    /// Limit: `UNCHARGED_MAX` bytes.
    #[test]
    fn large_responses_are_charged_until_they_are_sent() {
        let budget = Budget::new(Some(1));
        let mut line = Line::new(budget.clone());
        done(&mut line, &"x".repeat(UNCHARGED_MAX));
        assert_eq!(budget.charged(), 0);
        done(&mut line, "yz");
        assert_eq!(budget.charged(), UNCHARGED_MAX as i64 + 2);
        let first = waits(&mut line);
        done(&mut line, &"x".repeat(UNCHARGED_MAX + 1));
        assert_eq!(budget.charged(), 2 * UNCHARGED_MAX as i64 + 3);
        assert_eq!(ready(&mut line).len(), UNCHARGED_MAX + 2);
        line.sent();
        assert_eq!(budget.charged(), UNCHARGED_MAX as i64 + 1, "what waits its turn stays charged");
        first.send("").expect("it waits");
        assert_eq!(ready(&mut line).len(), UNCHARGED_MAX + 1);
        line.sent();
        assert_eq!(budget.charged(), 0);
        assert!(!line.holds_charge());
    }
}
