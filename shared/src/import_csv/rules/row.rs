//! The rules for the rows of a file.

use std::borrow::Cow;

use super::pool::Rules;
use super::problem::{Problem, Reason};
use super::schema::AttributeRules;
use super::sign_in::SignInName;
use super::value::{is_email, is_invisible, is_phone_number, syntax_problem};
use crate::import_csv::column::{ADDRESSES_AND_FLAGS, ColumnKind};
use crate::import_csv::limits::{MAX_ROW_UTF16_UNITS, MAX_USERNAME_CHARACTERS};
use crate::import_csv::reader::{Cells, Header, LineFault};
use crate::import_csv::syntax::{is_digits, parse_boolean, parse_import_date, utf16_length};

/// A pool's rules for the rows of a file with one header.
#[derive(Clone, Debug)]
pub struct RowRules<'a> {
    rules: &'a Rules,
    header: &'a Header,
    columns: Vec<(&'a str, ColumnKind, AttributeRules)>,
    /// The position of each of [`SignInName::ALL`].
    name_positions: [Option<usize>; 4],
    /// The position of each flag of [`ADDRESSES_AND_FLAGS`].
    flag_positions: [Option<usize>; 2],
}

impl Rules {
    /// The rules for the rows of a file with this header.
    pub fn under<'a>(&'a self, header: &'a Header) -> RowRules<'a> {
        let columns = header.columns_with_kinds();
        let columns = columns.map(|column| {
            let name = column.name.as_str();
            (name, column.kind, self.attribute(name))
        });
        RowRules {
            rules: self,
            header,
            columns: columns.collect(),
            name_positions: SignInName::ALL.map(|name| header.position(name.column())),
            flag_positions: ADDRESSES_AND_FLAGS.map(|(_, flag)| header.position(flag)),
        }
    }
}

impl<'a> RowRules<'a> {
    /// Splits a line into its cells.
    ///
    /// # Errors
    ///
    /// The line is too long, is not UTF-8, is blank, or has more or fewer cells than the header has columns.
    pub fn cells(&self, text: Result<&'a str, LineFault>) -> Result<Cells<'a>, Problem> {
        let line = text.map_err(|fault| Problem::without_column(fault.into()))?;
        // A text has at most as many UTF-16 units as bytes, so most lines need not be counted.
        if line.len() > MAX_ROW_UTF16_UNITS && utf16_length(line) > MAX_ROW_UTF16_UNITS {
            return Err(Problem::without_column(Reason::RowTooLong));
        }
        // Only a file of one column could mean something by it.
        if line.trim().is_empty() && self.columns.len() > 1 {
            return Err(Problem::without_column(Reason::BlankLine));
        }
        self.header
            .cells(line)
            .map_err(|count| Problem::without_column(Reason::CellCount(count)))
    }

    /// Every reason for which Cognito would refuse the row or change a value of it.
    pub fn check(&self, cells: &Cells<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (position, (column, kind, attribute)) in self.columns.iter().enumerate() {
            if let Some(reason) = syntax_problem(cells.raw(position)) {
                problems.push(Problem::in_column(column, reason));
                if reason != Reason::OuterSpace {
                    // It is unknown which value Cognito would read.
                    continue;
                }
            }
            let problem = match cells.value(position) {
                Some(value) => self.value_problem(*kind, column, *attribute, &value, cells),
                None if *kind == ColumnKind::Username => Some(Reason::MissingUsername),
                None => attribute.is_required.then_some(Reason::MissingRequired),
            };
            problems.extend(problem.map(|reason| Problem::in_column(column, reason)));
        }
        if !self.has_verified_attribute(cells) {
            problems.push(Problem::without_column(Reason::NoVerifiedAttribute));
        }
        problems
    }

    /// Everything that the person of a row can sign in with, in lower case unless the pool distinguishes case. No two
    /// people can have the same name, whichever columns it is in. DG:user-pool-settings-attributes: an alias counts when
    /// it is verified, a username attribute always.
    pub fn names<'b>(&self, cells: &Cells<'b>) -> impl Iterator<Item = (SignInName, Cow<'b, str>)> {
        let username = self.name(SignInName::Username, cells);
        let others = self.rules.username_attributes.iter().copied().chain(
            self.rules
                .aliases
                .iter()
                .copied()
                .filter(|alias| self.is_alias_in_use(*alias, cells)),
        );
        let others: Vec<_> = others
            .filter_map(|name| Some((name, self.name(name, cells)?)))
            .filter(|(_, other)| Some(other) != username.as_ref())
            .collect();
        let username = username.map(|username| (SignInName::Username, username));
        username.into_iter().chain(others)
    }

    fn name<'b>(&self, name: SignInName, cells: &Cells<'b>) -> Option<Cow<'b, str>> {
        let value = cells.value(self.name_positions[name as usize]?)?;
        Some(self.rules.fold_case(value))
    }

    fn is_alias_in_use(&self, alias: SignInName, cells: &Cells<'_>) -> bool {
        match alias {
            SignInName::Email => self.is_flag_set(0, cells),
            SignInName::PhoneNumber => self.is_flag_set(1, cells),
            SignInName::Username | SignInName::PreferredUsername => true,
        }
    }

    /// Whether the flag at this index of [`ADDRESSES_AND_FLAGS`] is true.
    fn is_flag_set(&self, index: usize, cells: &Cells<'_>) -> bool {
        let position = self.flag_positions[index];
        position.is_some_and(|position| parse_boolean(cells.raw(position).trim()) == Some(true))
    }

    /// DG:import-tool: "At least one of the auto-verified attributes must be `true` for each user."
    fn has_verified_attribute(&self, cells: &Cells<'_>) -> bool {
        let flags = ADDRESSES_AND_FLAGS.iter().enumerate();
        let mut auto_verified =
            flags.filter(|(_, (_, flag))| self.rules.auto_verified_flags.contains(flag));
        auto_verified.any(|(index, _)| self.is_flag_set(index, cells))
    }

    /// What is wrong with a value that is not blank.
    fn value_problem(
        &self,
        kind: ColumnKind,
        column: &str,
        attribute: AttributeRules,
        value: &str,
        cells: &Cells<'_>,
    ) -> Option<Reason> {
        match kind {
            ColumnKind::Username => self.username_problem(value, cells),
            ColumnKind::MfaEnabled => match (parse_boolean(value), self.rules.mfa_enabled) {
                (None, _) => Some(Reason::BadBoolean),
                (Some(given), Some(of_pool)) if given != of_pool => {
                    Some(Reason::MfaMismatch(of_pool))
                }
                _ => None,
            },
            ColumnKind::VerifiedFlag(address) => match parse_boolean(value) {
                None => Some(Reason::BadBoolean),
                Some(true) if cells.get(address).is_none() => {
                    Some(Reason::FlagWithoutAddress(address))
                }
                Some(_) => None,
            },
            ColumnKind::Birthdate => parse_import_date(value)
                .is_none()
                .then_some(Reason::BadDate),
            ColumnKind::UpdatedAt if !is_digits(value) => Some(Reason::BadDate),
            ColumnKind::Text if column == "email" && !is_email(value) => Some(Reason::BadEmail),
            ColumnKind::Text if column == "phone_number" && !is_phone_number(value) => {
                Some(Reason::BadPhoneNumber)
            }
            ColumnKind::Text | ColumnKind::UpdatedAt => attribute.value_problem(value),
            ColumnKind::Ignored => None,
        }
    }

    fn username_problem(&self, username: &str, cells: &Cells<'_>) -> Option<Reason> {
        if utf16_length(username) > MAX_USERNAME_CHARACTERS || username.chars().any(is_invisible) {
            return Some(Reason::UsernameUnusable);
        }
        let (is_email, is_phone_number) = (is_email(username), is_phone_number(username));
        let address = match self.rules.username_attributes.as_slice() {
            [] => {
                // DG:user-pool-settings-attributes: with email as an alias, Cognito "doesn't accept a username that matches
                // a valid email address format".
                let aliases = &self.rules.aliases;
                return if is_email && aliases.contains(&SignInName::Email) {
                    Some(Reason::UsernameForm("anything but an email address"))
                } else if is_phone_number && aliases.contains(&SignInName::PhoneNumber) {
                    Some(Reason::UsernameForm("anything but a phone number"))
                } else {
                    None
                };
            }
            attributes if is_email && attributes.contains(&SignInName::Email) => SignInName::Email,
            attributes if is_phone_number && attributes.contains(&SignInName::PhoneNumber) => {
                SignInName::PhoneNumber
            }
            [SignInName::Email] => return Some(Reason::UsernameForm("an email address")),
            [SignInName::PhoneNumber] => return Some(Reason::UsernameForm("a phone number")),
            _ => return Some(Reason::UsernameForm("an email address or a phone number")),
        };
        // AWS's own exporter writes the person's address. It is not documented what Cognito does with another one.
        let is_own = self.name(address, cells) == self.name(SignInName::Username, cells);
        (!is_own).then_some(Reason::UsernameDiffers(address.column()))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cognitoidentityprovider::types::builders::UserPoolTypeBuilder;
    use aws_sdk_cognitoidentityprovider::types::{
        AliasAttributeType, UserPoolMfaType, UsernameAttributeType, VerifiedAttributeType,
    };

    use super::*;
    use crate::import_csv::limits::MAX_VALUE_BYTES;
    use crate::import_csv::rules::fixtures::{HEADER, email_pool, pool, rules};

    /// A valid row, with some cells replaced.
    fn row(cells: &[(&str, &str)]) -> String {
        let usual = [
            ("name", "山田\\, 太郎"),
            ("email", "taro@example.jp"),
            ("email_verified", "TRUE"),
            ("cognito:username", "taro@example.jp"),
        ];
        let cell = |column: &&str| {
            let all = cells.iter().chain(&usual);
            let found = all.into_iter().find(|(name, _)| name == column);
            found.map_or("", |(_, cell)| cell)
        };
        HEADER.iter().map(cell).collect::<Vec<_>>().join(",")
    }

    /// The problems of a line as `column reason`.
    fn problems(rules: &Rules, line: &str) -> Vec<String> {
        let header = rules.header();
        let rules = rules.under(header);
        let problems = match rules.cells(Ok(line)) {
            Ok(cells) => rules.check(&cells),
            Err(problem) => vec![problem],
        };
        let text = |problem: Problem| {
            let column = problem.column.unwrap_or_default();
            format!("{column} {}", problem.reason.as_str())
                .trim()
                .to_owned()
        };
        problems.into_iter().map(text).collect()
    }

    fn problems_with(pool: UserPoolTypeBuilder, cells: &[(&str, &str)]) -> Vec<String> {
        problems(&rules(pool), &row(cells))
    }

    #[test]
    fn a_valid_row_has_no_problem() {
        let full = [
            ("phone_number", "+819012345678"),
            ("phone_number_verified", "False"),
            ("birthdate", "02/29/2000"),
            ("updated_at", "1471453471"),
            ("preferred_username", "taro"),
            ("custom:level", "-0.5"),
            ("custom:code", "あい"),
            ("custom:is_member", "true"),
            ("password_hash", "$2b$12$x"),
            ("cognito:mfa_enabled", "true"),
        ];

        assert_eq!(problems_with(email_pool(), &[]), [""; 0]);
        assert_eq!(problems_with(email_pool(), &full), [""; 0]);
    }

    #[test]
    fn a_cell_that_cognito_would_refuse_is_reported_with_the_reason() {
        let long = "x".repeat(MAX_VALUE_BYTES + 1);
        for (column, cell, reason) in [
            ("name", "", "missing-required"),
            ("name", "C:\\taro", "backslash"),
            ("name", "\"taro\"", "quote"),
            ("name", "a\u{85}b", "control-character"),
            ("name", "a\u{2028}b", "control-character"),
            ("name", "\u{2029}a", "control-character"),
            ("name", "taro\u{3000}", "outer-space"),
            ("email_verified", "yes", "bad-boolean"),
            ("phone_number", "090-1234-5678", "bad-phone-number"),
            ("phone_number", "819012345678", "bad-phone-number"),
            ("phone_number", "+1234567890123456", "bad-phone-number"),
            ("phone_number_verified", "true", "flag-without-address"),
            ("birthdate", "2000-02-29", "bad-date"),
            ("birthdate", "02/29/2001", "bad-date"),
            ("updated_at", "1471453471.5", "bad-date"),
            ("custom:level", "-1.5", "out-of-bounds"),
            ("custom:level", "10.1", "out-of-bounds"),
            ("custom:level", "1e1", "bad-number"),
            ("custom:level", "NaN", "bad-number"),
            ("custom:code", "x", "too-short"),
            ("custom:code", "🐈🐈x", "too-long"),
            ("custom:is_member", "1", "bad-boolean"),
            ("preferred_username", &long, "too-many-bytes"),
            ("password_hash", "\"", "quote"),
            ("cognito:mfa_enabled", "on", "bad-boolean"),
            ("cognito:mfa_enabled", "false", "mfa-mismatch"),
            ("cognito:username", "", "missing-username"),
            ("cognito:username", "jiro@example.jp", "username-differs"),
            ("cognito:username", "taro", "username-form"),
            ("cognito:username", "ta ro@example.jp", "username-unusable"),
            (
                "cognito:username",
                "ta\u{200b}ro@example.jp",
                "username-unusable",
            ),
        ] {
            let mut expected = vec![format!("{column} {reason}")];
            if column == "email_verified" {
                expected.push("no-verified-attribute".to_owned());
            }
            assert_eq!(problems_with(email_pool(), &[(column, cell)]), expected);
        }
    }

    #[test]
    fn every_problem_is_reported_and_not_only_the_first() {
        let cells = [
            ("name", ""),
            ("email", " taro"),
            ("birthdate", "1/2/03"),
            ("cognito:username", "a b"),
        ];

        let expected = [
            "name missing-required",
            "email outer-space",
            "email bad-email",
            "birthdate bad-date",
            "cognito:username username-unusable",
        ];
        assert_eq!(problems_with(email_pool(), &cells), expected);
    }

    #[test]
    fn a_line_that_is_not_a_row_has_one_problem() {
        let rules = rules(email_pool());

        assert_eq!(problems(&rules, "taro"), ["cell-count"]);
        assert_eq!(problems(&rules, ""), ["blank-line"]);
        assert_eq!(problems(&rules, " \t"), ["blank-line"]);
        assert_eq!(problems(&rules, &(row(&[]) + ",")), ["cell-count"]);
        assert_eq!(problems(&rules, &row(&[("name", "a,b")])), ["cell-count"]);
        let fixed = row(&[("password_hash", "")]).chars().count();
        let of_length = |length: usize| row(&[("password_hash", &"あ".repeat(length - fixed))]);
        assert_eq!(problems(&rules, &of_length(MAX_ROW_UTF16_UNITS)), [""; 0]);
        assert_eq!(
            problems(&rules, &of_length(MAX_ROW_UTF16_UNITS + 1)),
            ["row-too-long"]
        );
    }

    #[test]
    fn one_auto_verified_attribute_must_be_verified() {
        let cells = [
            ("email_verified", "false"),
            ("phone_number", "+819012345678"),
            ("phone_number_verified", "true"),
        ];
        let both = || email_pool().auto_verified_attributes(VerifiedAttributeType::PhoneNumber);

        assert_eq!(
            problems_with(email_pool(), &cells),
            ["no-verified-attribute"]
        );
        assert_eq!(problems_with(both(), &cells), [""; 0]);
    }

    #[test]
    fn the_mfa_state_is_that_of_the_pool_or_blank() {
        let fits = |mfa, cell| {
            problems_with(
                email_pool().mfa_configuration(mfa),
                &[("cognito:mfa_enabled", cell)],
            )
            .is_empty()
        };

        for (mfa, fitting) in [
            (UserPoolMfaType::On, [true, false, true]),
            (UserPoolMfaType::Off, [false, true, true]),
            (UserPoolMfaType::Optional, [true, true, true]),
        ] {
            assert_eq!(
                ["TRUE", "false", ""].map(|cell| fits(mfa.clone(), cell)),
                fitting
            );
        }
    }

    #[test]
    fn the_username_has_the_form_that_the_pool_requires() {
        use UsernameAttributeType::{Email, PhoneNumber};
        let phone = ("phone_number", "+819012345678");
        let named = |pool, username| {
            let problems = problems_with(pool, &[phone, ("cognito:username", username)]);
            problems.first().cloned()
        };
        let form = || Some("cognito:username username-form".to_owned());
        let alias = |alias| pool().alias_attributes(alias);

        assert_eq!(named(email_pool(), "TARO@example.jp"), None);
        assert_eq!(named(email_pool(), "+819012345678"), form());
        assert_eq!(
            named(pool().username_attributes(PhoneNumber), "+819012345678"),
            None
        );
        assert_eq!(
            named(pool().username_attributes(PhoneNumber), "taro@example.jp"),
            form()
        );
        let both = || {
            pool()
                .username_attributes(Email)
                .username_attributes(PhoneNumber)
        };
        assert_eq!(named(both(), "+819012345678"), None);
        assert_eq!(named(both(), "taro@example.jp"), None);
        assert_eq!(named(both(), "taro"), form());
        assert_eq!(named(pool(), "taro@example.jp"), None);
        assert_eq!(
            named(alias(AliasAttributeType::Email), "taro@example.jp"),
            form()
        );
        assert_eq!(
            named(alias(AliasAttributeType::Email), "+819012345678"),
            None
        );
        assert_eq!(
            named(alias(AliasAttributeType::PhoneNumber), "+819012345678"),
            form()
        );
        assert_eq!(named(alias(AliasAttributeType::PhoneNumber), "taro"), None);
    }

    #[test]
    fn names_are_everything_that_a_person_signs_in_with() {
        let names = |pool, cells: &[(&str, &str)]| {
            let rules = rules(pool);
            let line = row(cells);
            let rows = rules.under(rules.header());
            let cells = rows.cells(Ok(&line)).unwrap();
            let names = rows.names(&cells).map(|(_, name)| name.into_owned());
            names.collect::<Vec<_>>()
        };
        let cells = [
            ("email", "Taro@example.jp"),
            ("phone_number", "+819012345678"),
            ("preferred_username", "Taro"),
            ("cognito:username", "TARO@example.jp"),
        ];
        let aliases = pool()
            .alias_attributes(AliasAttributeType::Email)
            .alias_attributes(AliasAttributeType::PhoneNumber)
            .alias_attributes(AliasAttributeType::PreferredUsername);

        assert_eq!(names(email_pool(), &cells), ["taro@example.jp"]);
        assert_eq!(names(pool(), &cells), ["TARO@example.jp"]);
        assert_eq!(
            names(aliases, &cells),
            ["TARO@example.jp", "Taro@example.jp", "Taro"]
        );
    }
}
