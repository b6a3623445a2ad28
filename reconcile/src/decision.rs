//! Decides what is written to the attributes of a pair: one person's users in both pools, as they are at present.
//!
//! Whoever has not used the secondary pool is made equal to the primary pool. Whoever has used it is merged attribute by attribute, with
//! the attributes of their journal record as the common base: what has changed in the primary pool alone travels, everything else is
//! reported and left.

use std::collections::BTreeMap;

use replication::pool_rules::ADDRESSES;
use shared::person::Attributes;

use crate::comparison::Comparison;

/// Why an attribute differs and is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// It has changed in the secondary pool alone.
    ChangedInSecondary,
    /// It has changed in both pools.
    ChangedInBoth,
    /// The secondary pool accepts it only when a user is created.
    Immutable,
    /// The address is not verified in the primary pool.
    Unverified,
    /// The secondary pool has refused this value.
    Refused,
}

impl Finding {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChangedInSecondary => "changed-in-secondary",
            Self::ChangedInBoth => "changed-in-both",
            Self::Immutable => "immutable",
            Self::Unverified => "unverified-in-primary",
            Self::Refused => "refused",
        }
    }
}

/// What is done with the attributes of a pair.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AttributeChanges {
    /// Addresses to be written, each verified.
    pub addresses: BTreeMap<&'static str, String>,
    /// Addresses whose flag is to be set to false, so that the old mailbox opens nothing.
    pub unverify: Vec<&'static str>,
    /// Other attributes to be written.
    pub write: Attributes,
    /// Attributes to be deleted, because the primary pool no longer has them.
    pub delete: Vec<String>,
    /// What is reported, by reason.
    pub reported: BTreeMap<Finding, Vec<String>>,
}

impl AttributeChanges {
    /// Whether an address changes.
    pub fn change_an_address(&self) -> bool {
        !self.names_of_addresses().is_empty()
    }

    /// Leaves the addresses as they are.
    pub fn without_addresses(mut self) -> Self {
        self.addresses.clear();
        self.unverify.clear();
        self.delete
            .retain(|name| !ADDRESSES.contains(&name.as_str()));
        self
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
            && self.unverify.is_empty()
            && self.write.is_empty()
            && self.delete.is_empty()
    }

    /// The names of the addresses that change.
    pub fn names_of_addresses(&self) -> Vec<String> {
        let mut names = self.names();
        names.retain(|name| ADDRESSES.contains(&name.as_str()));
        names
    }

    /// The names of the attributes that are written or deleted.
    pub fn names(&self) -> Vec<String> {
        let addresses = self.addresses.keys().chain(&self.unverify);
        let addresses = addresses.map(|name| (*name).to_owned());
        let written = self.write.iter().map(|(name, _)| name.to_owned());
        let mut names: Vec<_> = addresses
            .chain(written)
            .chain(self.delete.clone())
            .collect();
        names.sort_unstable();
        names
    }
}

/// Decides about the attributes of a pair. `base` holds the attributes of the journal record of somebody who has used the secondary
/// pool. `is_refused` tells whether the secondary pool has refused a value before; the empty one stands for a deletion.
pub fn decide(
    comparison: &Comparison,
    primary: &Attributes,
    secondary: &Attributes,
    base: Option<&Attributes>,
    is_refused: impl Fn(&str, &str) -> bool,
) -> AttributeChanges {
    let mut changes = AttributeChanges::default();
    for name in comparison.attributes() {
        let wanted = comparison.value(primary, name);
        let present = comparison.value(secondary, name);
        if wanted == present {
            continue;
        }
        let finding = match base.map(|base| comparison.value(base, name)) {
            // It has changed in the primary pool alone.
            Some(base) if base == present => None,
            Some(base) if base == wanted => Some(Finding::ChangedInSecondary),
            Some(_) => Some(Finding::ChangedInBoth),
            None => None,
        };
        let value = primary.get(name).unwrap_or_default();
        // An address that is not verified any more is never written, and the old one must open nothing, whatever was refused before.
        let is_refused = (wanted.is_some() || value.is_empty()) && is_refused(name, value);
        let finding = match finding {
            None if comparison.is_immutable(name) => Some(Finding::Immutable),
            None if is_refused => Some(Finding::Refused),
            finding => finding,
        };
        match finding {
            Some(finding) => changes.report(finding, name),
            None => changes.write(name, primary, wanted.is_some()),
        }
    }
    changes
}

impl AttributeChanges {
    fn report(&mut self, finding: Finding, name: &str) {
        let names = self.reported.entry(finding).or_default();
        names.push(name.to_owned());
    }

    fn write(&mut self, name: &str, primary: &Attributes, is_wanted: bool) {
        let address = ADDRESSES.into_iter().find(|address| *address == name);
        match (address, primary.get(name)) {
            (Some(address), Some(value)) if is_wanted => {
                self.addresses.insert(address, value.to_owned());
            }
            (Some(address), Some(_)) => {
                self.unverify.push(address);
                self.report(Finding::Unverified, name);
            }
            (None, Some(value)) => self.write.insert(name, value),
            (_, None) => self.delete.push(name.to_owned()),
        }
    }
}

/// The attributes of a journal record after the pair has been merged: the common value of every attribute in which the users agree now.
/// None when they are as they were.
pub fn new_base(
    comparison: &Comparison,
    primary: &Attributes,
    secondary: &Attributes,
    base: &Attributes,
) -> Option<Attributes> {
    let mut updated = base.clone();
    for name in comparison.attributes() {
        let common = comparison.value(secondary, name);
        if comparison.value(primary, name) != common || comparison.value(base, name) == common {
            continue;
        }
        let flag = format!("{name}_verified");
        let is_address = ADDRESSES.contains(&name);
        match secondary.get(name) {
            Some(value) => {
                updated.insert(name, value);
                if is_address {
                    updated.insert(
                        flag,
                        secondary.is_true(&format!("{name}_verified")).to_string(),
                    );
                }
            }
            None => {
                updated.remove(name);
                updated.remove(&flag);
            }
        }
    }
    (updated != *base).then_some(updated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::tests::comparison;

    fn attributes(of: &[(&str, &str)]) -> Attributes {
        of.iter().copied().collect()
    }

    fn email(address: &str, verified: &str) -> Attributes {
        attributes(&[("email", address), ("email_verified", verified)])
    }

    fn decided(
        primary: &Attributes,
        secondary: &Attributes,
        base: Option<&Attributes>,
    ) -> AttributeChanges {
        decide(&comparison(), primary, secondary, base, |_, _| false)
    }

    #[test]
    fn somebody_who_has_not_used_the_secondary_pool_is_made_equal() {
        let primary = attributes(&[
            ("name", "Taro"),
            ("email", "new@example.jp"),
            ("email_verified", "true"),
        ]);
        let secondary = attributes(&[
            ("name", "Jiro"),
            ("updated_at", "1"),
            ("email", "old@example.jp"),
            ("email_verified", "true"),
        ]);

        let changes = decided(&primary, &secondary, None);

        assert_eq!(changes.names(), ["email", "name", "updated_at"]);
        assert_eq!(changes.delete, ["updated_at"]);
        assert_eq!(changes.addresses["email"], "new@example.jp");
        assert!(changes.reported.is_empty());
    }

    #[test]
    fn an_unverified_address_is_never_written_and_the_old_one_opens_nothing_any_more() {
        let changes = decided(
            &email("new@example.jp", "false"),
            &email("old@example.jp", "true"),
            None,
        );

        assert!(changes.addresses.is_empty() && changes.delete.is_empty());
        assert_eq!(changes.unverify, ["email"]);
        assert_eq!(changes.reported[&Finding::Unverified], ["email"]);
    }

    #[test]
    fn of_somebody_who_has_used_it_only_what_changed_in_the_primary_pool_alone_is_written() {
        let name = |name| attributes(&[("name", name)]);
        let base = name("base");
        for (primary, secondary, written, finding) in [
            ("p", "base", true, None),
            ("base", "s", false, Some(Finding::ChangedInSecondary)),
            ("p", "s", false, Some(Finding::ChangedInBoth)),
            ("same", "same", false, None),
        ] {
            let changes = decided(&name(primary), &name(secondary), Some(&base));

            assert_eq!(!changes.is_empty(), written, "{primary} {secondary}");
            assert_eq!(changes.reported.keys().next().copied(), finding);
        }
    }

    #[test]
    fn what_was_refused_or_can_never_be_written_is_reported() {
        let primary = attributes(&[("name", "Taro"), ("custom:fixed", "1")]);

        let changes = decide(
            &comparison(),
            &primary,
            &Attributes::default(),
            None,
            |name, _| name == "name",
        );

        assert!(changes.is_empty());
        assert_eq!(changes.reported[&Finding::Refused], ["name"]);
        assert_eq!(changes.reported[&Finding::Immutable], ["custom:fixed"]);
    }

    #[test]
    fn the_base_follows_where_both_pools_agree_and_nowhere_else() {
        let agreed = attributes(&[("name", "new"), ("updated_at", "1")]);
        let differing = attributes(&[("name", "new"), ("updated_at", "2")]);
        let base = attributes(&[("name", "old"), ("updated_at", "0"), ("sub", "s-2")]);

        let updated = new_base(&comparison(), &agreed, &differing, &base).unwrap();

        assert_eq!(updated.get("name"), Some("new"));
        assert_eq!(updated.get("updated_at"), Some("0"));
        assert_eq!(updated.get("sub"), Some("s-2"));
        assert!(new_base(&comparison(), &agreed, &differing, &updated).is_none());
    }
}
