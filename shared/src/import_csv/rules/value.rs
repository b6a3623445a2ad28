//! What Cognito requires of a value, whichever pool it is for.

use super::problem::Reason;
use crate::import_csv::limits::MAX_PHONE_NUMBER_DIGITS;
use crate::import_csv::syntax::{breaks_a_line, is_digits};

/// What is wrong with how a cell is written, whichever column it is in. DG:import-tool documents `\,` and the trimming of
/// white space, and nothing for the other characters.
pub(super) fn syntax_problem(cell: &str) -> Option<Reason> {
    let mut characters = cell.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.next_if_eq(&',').is_none() => return Some(Reason::Backslash),
            '"' => return Some(Reason::Quote),
            other if breaks_a_line(other) => return Some(Reason::ControlCharacter),
            _ => {}
        }
    }
    (cell.trim() != cell).then_some(Reason::OuterSpace)
}

/// Whether a username must not have this character. DG:import-tool: it "cannot contain spaces or tabs"; and botocore
/// UsernameType is `[\p{L}\p{M}\p{S}\p{N}\p{P}]+`, which excludes format characters and private-use characters.
pub(super) fn is_invisible(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
            | '\u{f0000}'..='\u{10ffff}')
}

/// Whether a text is one email address: something, one `@`, and a domain of several labels, without a character that
/// separates addresses.
pub(super) fn is_email(text: &str) -> bool {
    let is_separator = |c: char| c.is_whitespace() || c.is_control() || c == ',';
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.contains('@')
            && domain.contains('.')
            && domain.split('.').all(|label| !label.is_empty())
            && !text.contains(is_separator)
    })
}

/// Whether a text is a phone number. DG:import-tool: `+` and digits only; E.164 allows at most 15 of them.
pub(super) fn is_phone_number(text: &str) -> bool {
    text.strip_prefix('+')
        .is_some_and(|digits| digits.len() <= MAX_PHONE_NUMBER_DIGITS && is_digits(digits))
}

/// Reads digits with an optional minus sign before and an optional fraction after them. No other form of a number is
/// documented.
pub(super) fn parse_decimal(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_decimal = is_digits(whole.strip_prefix('-').unwrap_or(whole)) && is_digits(fraction);
    text.parse().ok().filter(|_| is_decimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_address_is_complete_and_alone() {
        for email in ["taro+tag@example.co.jp", "user8@例え7.jp"] {
            assert!(is_email(email), "{email}");
        }
        for other in [
            "taro",
            "taro@",
            "@e.jp",
            "taro@example",
            "a b@e.jp",
            "a@b@c.jp",
            "a@b..jp",
            "a,b@c.jp",
        ] {
            assert!(!is_email(other), "{other}");
        }
    }
}
