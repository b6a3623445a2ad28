//! Sets of names, such as attributes or authentication flows, and how they are shown.

use std::collections::BTreeSet;

/// The names of some values, sorted.
pub fn names_of<T>(values: &[T], name: impl Fn(&T) -> &str) -> BTreeSet<String> {
    values.iter().map(|value| name(value).to_owned()).collect()
}

/// Names joined by commas; `if_empty` when there are none.
pub fn join_names(names: &BTreeSet<String>, if_empty: &str) -> String {
    if names.is_empty() {
        return if_empty.to_owned();
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.join(", ")
}
