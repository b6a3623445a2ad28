//! Finds sign-in names that two rows share, across all files. Needs 16 bytes for each name, whatever its length.

use sha2::{Digest, Sha256};

use super::rules::SignInName;

/// Low bits of an entry that say where the name is: the number of the row, then [`COLUMN_BITS`] for the column.
const PLACE_BITS: u32 = 40;

/// Low bits of an entry that say in which of [`SignInName::ALL`] the name is.
const COLUMN_BITS: u32 = 2;

/// Collects the sign-in names of rows and finds those that occur twice.
///
/// A name is represented by 88 bits of its SHA-256. Among ten million names, the probability that two different ones are
/// taken for the same is below 10^-12. A collision made on purpose would only cause a row to be reported.
#[derive(Default)]
pub struct Duplicates(Vec<u128>);

/// A row with a name that an earlier row has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duplicate {
    /// The row's number, as it was given to [`Duplicates::add`].
    pub row: u64,
    /// The column of the name.
    pub column: SignInName,
    /// The number of the first row with the name.
    pub first: u64,
}

impl Duplicates {
    /// Adds a name of a row, in lower case unless the pool distinguishes case. Rows are numbered across all files.
    pub fn add(&mut self, row: u64, column: SignInName, name: &str) {
        let digest = Sha256::digest(name.as_bytes());
        let hash = digest[..16]
            .iter()
            .fold(0, |hash, byte| hash << 8 | u128::from(*byte));
        let place = u128::from(row) << COLUMN_BITS | column as u128;
        let place_mask = (1 << PLACE_BITS) - 1;
        self.0.push(hash & !place_mask | place & place_mask);
    }

    /// The rows that have the name of an earlier row, in ascending order.
    pub fn find(mut self) -> Vec<Duplicate> {
        self.0.sort_unstable();
        let same_name = |a: &u128, b: &u128| a >> PLACE_BITS == b >> PLACE_BITS;
        let mut found = Vec::new();
        for group in self.0.chunk_by(same_name) {
            let (first, _) = place(group[0]);
            let mut last = first;
            for entry in &group[1..] {
                let (row, column) = place(*entry);
                // One person may have the same name in two columns of one row.
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

/// The row and the column of an entry.
fn place(entry: u128) -> (u64, SignInName) {
    let place = entry & ((1 << PLACE_BITS) - 1);
    let column = SignInName::ALL[(place & ((1 << COLUMN_BITS) - 1)) as usize];
    ((place >> COLUMN_BITS) as u64, column)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn found(names: &[(u64, SignInName, &str)]) -> Vec<Duplicate> {
        let mut duplicates = Duplicates::default();
        for (row, column, name) in names {
            duplicates.add(*row, *column, name);
        }
        duplicates.find()
    }

    #[test]
    fn each_later_row_is_found_together_with_the_first() {
        let names = [
            (7, SignInName::Username, "jiro"),
            (1, SignInName::Username, "taro"),
            (9_000_000_000, SignInName::PreferredUsername, "taro"),
            (5, SignInName::Email, "taro"),
        ];

        let duplicate = |row, column| Duplicate {
            row,
            column,
            first: 1,
        };
        let expected = [
            duplicate(5, SignInName::Email),
            duplicate(9_000_000_000, SignInName::PreferredUsername),
        ];
        assert_eq!(found(&names), expected);
    }

    #[test]
    fn a_person_may_have_a_name_twice() {
        let names = [
            (1, SignInName::Username, "taro"),
            (1, SignInName::PreferredUsername, "taro"),
        ];

        assert_eq!(found(&names), []);
    }

    proptest! {
        #[test]
        fn a_row_is_found_exactly_if_an_earlier_row_has_its_name(names in prop::collection::vec("[ab]{0,3}", 0..40)) {
            let mut seen: HashMap<&str, u64> = HashMap::new();
            let mut expected = Vec::new();
            let mut duplicates = Duplicates::default();
            for (row, name) in (0..).zip(&names) {
                duplicates.add(row, SignInName::Username, name);
                match seen.get(name.as_str()) {
                    Some(first) => expected.push(Duplicate { row, column: SignInName::Username, first: *first }),
                    None => drop(seen.insert(name, row)),
                }
            }

            prop_assert_eq!(duplicates.find(), expected);
        }
    }
}
