//! Parts of states, each kept once and named by a number, so that a state is a handful of numbers (the collapse of
//! SPIN), and the number of the same part under other names of the brokers.

use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;

use super::fingerprint::FixedState;
use super::permutation::{PERMUTATIONS, Permutation};

/// All parts of one kind.
#[derive(Debug)]
pub struct Interned<T> {
    items: Vec<T>,
    table: HashTable<u32>,
    hasher: FixedState,
    /// Of each part its numbers under other names.
    renamed: Vec<[u32; PERMUTATIONS]>,
}

const UNKNOWN: u32 = u32::MAX;

impl<T: Hash + Eq> Interned<T> {
    /// None yet.
    pub fn new() -> Self {
        let hasher = FixedState::default();
        Self { items: Vec::new(), table: HashTable::new(), hasher, renamed: Vec::new() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.items.len()
    }

    /// The part of a number.
    #[inline]
    pub fn get(&self, id: u32) -> &T {
        &self.items[id as usize]
    }

    /// The number of a part.
    pub fn id(&mut self, item: T) -> u32 {
        let hash = self.hasher.hash_one(&item);
        let items = &self.items;
        if let Some(id) = self.table.find(hash, |id| items[*id as usize] == item) {
            return *id;
        }
        let id = u32::try_from(self.items.len()).expect("memory ends before numbers do");
        self.items.push(item);
        let (items, hasher) = (&self.items, &self.hasher);
        self.table.insert_unique(hash, id, |id| hasher.hash_one(&items[*id as usize]));
        let mut renamed = [UNKNOWN; PERMUTATIONS];
        renamed[0] = id;
        self.renamed.push(renamed);
        id
    }

    /// The number of a part under other names, if it was asked before.
    #[inline]
    pub fn renamed(&self, id: u32, permutation: Permutation) -> Option<u32> {
        Some(self.renamed[id as usize][permutation.number()]).filter(|renamed| *renamed != UNKNOWN)
    }

    /// Remembers it.
    pub fn set_renamed(&mut self, id: u32, permutation: Permutation, renamed: u32) {
        self.renamed[id as usize][permutation.number()] = renamed;
        self.renamed[renamed as usize][permutation.inverse().number()] = id;
    }
}
