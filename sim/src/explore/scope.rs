//! How large the world is that is explored whole.

use jangbu_core::museum::Switches;

/// What may go wrong, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults(pub u8);

impl Faults {
    /// A process dies and loses a tail of what it had not flushed: any tail, for under P0 nothing need be flushed.
    pub const LOSSY: Self = Self(1);
    /// A process dies; its page cache lives.
    pub const KILL: Self = Self(2);
    /// A broker stops as asked.
    pub const STOP: Self = Self(4);
    /// The session of a broker ends though it lives.
    pub const FENCE: Self = Self(8);
    /// Another member of the ISR is made leader.
    pub const ELECT: Self = Self(16);
    /// The connection to the controller breaks while a proposal or its answer is on it.
    pub const BREAK: Self = Self(32);
    /// All.
    pub const ALL: Self = Self(63);

    /// Whether one of them may happen.
    pub fn include(self, fault: Self) -> bool {
        self.0 & fault.0 != 0
    }

    /// Both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = [
            (Self::LOSSY, "lossy crash"),
            (Self::KILL, "kill"),
            (Self::STOP, "clean stop"),
            (Self::FENCE, "fence"),
            (Self::ELECT, "election"),
            (Self::BREAK, "broken connection to the controller"),
        ];
        let names = names.iter().filter(|(fault, _)| self.include(*fault)).map(|(_, name)| *name);
        f.write_str(&names.collect::<Vec<_>>().join(", "))
    }
}

/// A scope.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Its name on the command line.
    pub name: &'static str,
    /// How many records are written, each with a value of its own.
    pub records: u8,
    /// Whether a record may be written with acks=1.
    pub has_acks_leader: bool,
    /// min.insync.replicas.
    pub min_insync_replicas: usize,
    /// How many leader epochs there are.
    pub leader_epochs: u8,
    /// How often the partition's registration changes, elections and changes of the ISR together.
    pub registrations: u8,
    /// How many faults there are.
    pub faults: u8,
    /// Of which kinds.
    pub kinds: Faults,
    /// How many messages are under way between a follower and a leader, and between a broker and the controller.
    pub messages: u8,
    /// Which guards are off.
    pub switches: Switches,
    /// Whether only what clients lose counts: an acknowledged record that the present leader lacks.
    pub only_loss: bool,
}
