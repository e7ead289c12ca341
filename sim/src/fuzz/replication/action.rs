//! The steps of a schedule. Each says all that is to be known, so that a schedule with some of its steps taken out is
//! still one; a step that makes no sense where it stands does nothing.

use super::message::{Kind, Node};

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // brokers are numbered from 1
pub enum Action {
    /// The nth message of a kind on a way is delivered.
    Deliver { from: Node, to: Node, kind: Kind, nth: u8 },
    /// It is lost with its connection, and whoever waits for its answer learns that at once.
    Drop { from: Node, to: Node, kind: Kind, nth: u8 },
    /// Time passes.
    Tick { ms: u32 },
    /// A broker does what is due.
    Timers { broker: u8 },
    /// A broker begins the rounds of its fetchers that may begin.
    Fetch { broker: u8 },
    /// A follower fetches, and what it asks and is answered passes everything else on its way.
    Exchange { broker: u8 },
    /// A client sends a batch, and what it sent passes everything else on its way.
    Write { client: u8, via: u8 },
    /// A broker publishes this many more states of the metadata, but looks at the last of them alone.
    Metadata { broker: u8, states: u8 },
    /// What a broker has is on its disk now, and its checkpoint.
    Flush { broker: u8 },
    /// A client sends a batch to the leader that a broker knows.
    Produce { client: u8, via: u8, fails: bool },
    /// A client gives up its connection and sends again what was not answered.
    Retry { client: u8, via: u8 },
    /// A consumer reads from a broker.
    Consume { broker: u8, from: u8 },
    /// A process dies; all but this many of its last batches that are not on the disk survive.
    Crash { broker: u8, lost: u8 },
    /// A broker that is down loses its disk.
    LoseDirectory { broker: u8 },
    /// A broker that is down starts.
    Restart { broker: u8 },
    /// A broker stands still.
    Pause { broker: u8 },
    /// And goes on.
    Resume { broker: u8 },
    /// A broker begins a controlled shutdown.
    Drain { broker: u8 },
    /// The controller looks for sessions that are over.
    Sessions,
    /// The preferred leader is elected, or, beyond the budget, whoever lives.
    Elect { unclean: bool },
    /// Another min.insync.replicas, but never fewer than the budget reckons with.
    MinInsync { value: u8 },
    /// An AlterPartition reaches a deposed controller whose state is so many changes old.
    Zombie { broker: u8, back: u8 },
    /// The partition moves to the brokers of this bit set; none gives a reassignment up.
    Reassign { brokers: u8 },
    /// An operator has this broker lead: it is the first of the replicas from now on, and is elected if it is in sync.
    Prefer { broker: u8 },
    /// The leader removes this many committed batches from the start of its log.
    Retain { broker: u8, count: u8 },
}

/// How many sorts of actions there are, for weights.
pub const SORTS: usize = 25;
