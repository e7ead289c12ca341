use std::sync::atomic::Ordering;

use super::{Hold, LinkSettings, lock};
use crate::trace::Kind;
use crate::world::World;
use crate::world::control::NodeId;

/// Faults of the network.
impl World {
    /// Stalls everything from one node to another; the other way is not touched.
    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.set_cut(from, to, true);
    }

    /// Lets everything from one node to another through again; what was stalled is sent again.
    pub fn heal(&self, from: NodeId, to: NodeId) {
        self.set_cut(from, to, false);
    }

    /// Heals every cut.
    pub fn heal_all(&self) {
        let cuts: Vec<_> = {
            let state = lock(&self.network.state);
            state.links.iter().filter(|(_, link)| link.cut).map(|(pair, _)| *pair).collect()
        };
        for (from, to) in cuts {
            self.heal(from, to);
        }
    }

    /// Whether the way from one node to another is cut.
    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.network.link(from, to).1
    }

    fn set_cut(&self, from: NodeId, to: NodeId, cut: bool) {
        {
            let mut state = lock(&self.network.state);
            let link = state.links.entry((from, to)).or_default();
            if link.cut == cut {
                return;
            }
            link.cut = cut;
        }
        let words = u64::from(from.0) << 32 | u64::from(to.0);
        self.note(Kind::Fault, words, u64::from(cut), || {
            format!(
                "{} {} to {}",
                if cut { "cut from" } else { "healed from" },
                self.name(from),
                self.name(to)
            )
        });
        for (connection, side) in self.network.connections_of(from) {
            if connection.nodes[1 - side] == to {
                connection.set_cut(self, side, cut);
            }
        }
    }

    /// Gives one direction between two nodes other delays and bandwidth; `None` takes that back. What is under way is not touched.
    pub fn set_link(&self, from: NodeId, to: NodeId, settings: Option<LinkSettings>) {
        lock(&self.network.state).links.entry((from, to)).or_default().settings = settings;
        let effective = self.network.link(from, to).0;
        for (connection, side) in self.network.connections_of(from) {
            if connection.nodes[1 - side] == to {
                connection.set_link(side, effective);
            }
        }
        self.note_text(Kind::Fault, format!("link {} to {}: {settings:?}", self.name(from), self.name(to)));
    }

    /// What every link is that was not set apart.
    pub fn default_link(&self) -> LinkSettings {
        self.network.settings.link
    }

    /// Resets every connection between two nodes, whichever of them made it. Returns how many.
    pub fn reset_connections(&self, one: NodeId, other: NodeId) -> usize {
        let mut count = 0;
        for connection in self.network.connections() {
            if connection.nodes == [one, other] || connection.nodes == [other, one] {
                connection.reset(self);
                count += 1;
            }
        }
        self.note(Kind::Fault, u64::from(one.0) << 32 | u64::from(other.0), count as u64, || {
            format!("{count} connections between {} and {} are reset", self.name(one), self.name(other))
        });
        count
    }

    /// Holds up one kind of message until the returned number is given to [`World::release_messages`].
    pub fn hold_messages(&self, hold: Hold) -> u64 {
        let number = {
            let mut state = lock(&self.network.state);
            state.holds_made += 1;
            let number = state.holds_made;
            state.holds.insert(number, hold);
            number
        };
        self.network.holding.store(true, Ordering::Relaxed);
        self.note_text(Kind::Fault, format!("{hold:?}"));
        number
    }

    /// Holds up no more messages. Those that were go on waiting for their time.
    pub fn release_messages(&self, number: u64) {
        let mut state = lock(&self.network.state);
        state.holds.remove(&number);
        self.network.holding.store(!state.holds.is_empty(), Ordering::Relaxed);
        drop(state);
        self.note(Kind::Fault, number, 3, || format!("hold {number} is released"));
    }

    /// How many connections exist that at least one side still has.
    pub fn connections_open(&self) -> usize {
        lock(&self.network.state).connections.len()
    }
}
