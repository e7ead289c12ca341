//! The six ways to name three brokers.

use jangbu_core::ids::BrokerId;

use super::BROKERS;

/// How many there are.
pub const PERMUTATIONS: usize = 6;

/// The new name of each broker.
pub const IMAGES: [[u8; BROKERS]; PERMUTATIONS] =
    [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// New names: broker `index` becomes broker `image(index)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permutation(usize);

impl Permutation {
    /// All, the one that changes nothing first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PERMUTATIONS).map(Self)
    }

    /// Its place among all.
    #[inline]
    pub fn number(self) -> usize {
        self.0
    }

    /// The new name of a broker, both from 0.
    #[inline]
    pub fn image(self, index: usize) -> usize {
        usize::from(IMAGES[self.0][index])
    }

    /// Back.
    pub fn inverse(self) -> Self {
        let is_inverse = |other: &Self| (0..BROKERS).all(|index| other.image(self.image(index)) == index);
        Self::all().find(is_inverse).expect("a group has inverses")
    }

    /// Broker ids from 1; others, such as "none", stay.
    pub fn id(self, id: BrokerId) -> BrokerId {
        match usize::try_from(id.0 - 1) {
            Ok(index) if index < BROKERS => BrokerId(self.image(index) as i32 + 1),
            _ => id,
        }
    }

    /// A set of brokers, one bit each.
    pub fn set(self, set: u8) -> u8 {
        (0..BROKERS).filter(|index| set & 1 << index != 0).map(|index| 1 << self.image(index)).sum()
    }

    /// What belongs to each broker.
    #[inline]
    pub fn array<T: Copy>(self, of: [T; BROKERS]) -> [T; BROKERS] {
        let mut renamed = of;
        for (index, item) in of.into_iter().enumerate() {
            renamed[self.image(index)] = item;
        }
        renamed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permutation_has_an_inverse_and_the_first_changes_nothing() {
        for permutation in Permutation::all() {
            for index in 0..BROKERS {
                assert_eq!(permutation.inverse().image(permutation.image(index)), index);
            }
        }
        let first = Permutation::all().next().expect("there are six");
        assert_eq!(first.array([7, 8, 9]), [7, 8, 9]);
    }
}
