//! Long loops take turns with everything else on their thread.

use std::future::poll_fn;
use std::task::Poll;

/// Work between two offers of the thread, in items of about a microsecond.
const ITEMS_PER_TURN: usize = 256;

/// Counts the work of one loop. A request may name a hundred thousand things; between two handfuls of them, other
/// connections, timers and flushers get the thread.
#[derive(Debug, Default)]
pub(super) struct Turns(usize);

impl Turns {
    /// To be called before each piece of work, which weighs as many items.
    pub(super) async fn next(&mut self, items: usize) {
        self.0 = self.0.saturating_add(items);
        if self.0 >= ITEMS_PER_TURN {
            self.0 = 0;
            give_way().await;
        }
    }
}

/// Lets every other task that can run do so once.
async fn give_way() {
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
