//! Names that two rows have, across all files: 16 bytes a name, whatever its length.

use sha2::{Digest, Sha256};

use super::rules::Name;

/// How many low bits of an entry say where the name is: the row, and in two bits the column.
const PLACE_BITS: u32 = 40;
const COLUMN_BITS: u32 = 2;

/// Collects the names of rows and finds those that are there twice.
///
/// A name is known by 88 bits of its SHA-256: among ten million names the chance that two different ones are taken for the
/// same is below 10^-12, and who brought that about on purpose would get a row reported, no more.
#[derive(Default)]
pub struct Duplicates(Vec<u128>);

/// A name that a row before has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duplicate {
    /// The row, as it was counted when it was added.
    pub row: u64,
    /// The column of the name.
    pub column: Name,
    /// The first row with the name.
    pub first: u64,
}

impl Duplicates {
    /// Adds the name of a row, folded if the pool does not tell cases apart. Rows are counted over all files.
    pub fn add(&mut self, row: u64, column: Name, name: &str) {
        let digest = Sha256::digest(name.as_bytes());
        let hash = digest[..16]
            .iter()
            .fold(0, |hash, byte| hash << 8 | u128::from(*byte));
        let place = u128::from(row) << COLUMN_BITS | column as u128;
        let place_mask = (1 << PLACE_BITS) - 1;
        self.0.push(hash & !place_mask | place & place_mask);
    }

    /// The rows that have a name of an earlier one, in their order.
    pub fn find(mut self) -> Vec<Duplicate> {
        self.0.sort_unstable();
        let same_name = |a: &u128, b: &u128| a >> PLACE_BITS == b >> PLACE_BITS;
        let mut found = Vec::new();
        for group in self.0.chunk_by(same_name) {
            let (first, _) = place(group[0]);
            let mut last = first;
            for entry in &group[1..] {
                let (row, column) = place(*entry);
                // One person may have the same name in two columns.
                if row != last {
                    found.push(Duplicate { row, column, first });
                }
                last = row;
            }
        }
        found.sort_unstable();
        found
    }
}

fn place(entry: u128) -> (u64, Name) {
    let place = entry & ((1 << PLACE_BITS) - 1);
    let column = Name::ALL[(place & ((1 << COLUMN_BITS) - 1)) as usize];
    ((place >> COLUMN_BITS) as u64, column)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn found(names: &[(u64, Name, &str)]) -> Vec<Duplicate> {
        let mut duplicates = Duplicates::default();
        for (row, column, name) in names {
            duplicates.add(*row, *column, name);
        }
        duplicates.find()
    }

    #[test]
    fn each_later_row_is_found_with_the_first() {
        let names = [
            (7, Name::Username, "jiro"),
            (1, Name::Username, "taro"),
            (9_000_000_000, Name::PreferredUsername, "taro"),
            (5, Name::Email, "taro"),
        ];

        let duplicate = |row, column| Duplicate {
            row,
            column,
            first: 1,
        };
        let expected = [
            duplicate(5, Name::Email),
            duplicate(9_000_000_000, Name::PreferredUsername),
        ];
        assert_eq!(found(&names), expected);
    }

    #[test]
    fn a_person_may_have_a_name_twice() {
        let names = [
            (1, Name::Username, "taro"),
            (1, Name::PreferredUsername, "taro"),
        ];

        assert_eq!(found(&names), []);
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_was_there_before(names in prop::collection::vec("[ab]{0,3}", 0..40)) {
            let mut seen: HashMap<&str, u64> = HashMap::new();
            let mut expected = Vec::new();
            let mut duplicates = Duplicates::default();
            for (row, name) in (0..).zip(&names) {
                duplicates.add(row, Name::Username, name);
                match seen.get(name.as_str()) {
                    Some(first) => expected.push(Duplicate { row, column: Name::Username, first: *first }),
                    None => drop(seen.insert(name, row)),
                }
            }

            prop_assert_eq!(duplicates.find(), expected);
        }
    }
}
