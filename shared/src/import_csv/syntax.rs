//! The syntax of an import file: how values become the cells of a line, and how cells become values again.

use std::borrow::Cow;

use jiff::civil::Date;

use super::rejection::Unwritable;

/// The mark that Cognito does not accept at the beginning of a file (DG:import-tool: "without byte order mark").
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// Whether a cell must not hold this character: a control character other than a tab, or a line or paragraph separator. Programs
/// that follow Unicode end a line at U+2028 and U+2029, as at the control characters CR, LF and U+0085 (Unicode Standard, 5.8), and
/// it is not documented what Cognito does.
pub(super) fn breaks_a_line(character: char) -> bool {
    (character.is_control() && character != '\t') || matches!(character, '\u{2028}' | '\u{2029}')
}

/// Returns the value if a cell can hold it unchanged.
///
/// # Errors
///
/// Cognito would change the value, or its reading of the value is not documented.
pub(super) fn check_writable(value: &str) -> Result<&str, Unwritable> {
    if value.chars().any(breaks_a_line) {
        Err(Unwritable::ControlCharacter)
    } else if value.contains('\\') {
        Err(Unwritable::Backslash)
    } else if value.contains('"') {
        Err(Unwritable::Quote)
    } else if value.trim() != value {
        Err(Unwritable::OuterSpace)
    } else {
        Ok(value)
    }
}

/// Appends a cell and the comma after it.
pub(super) fn push_cell(line: &mut String, value: &str) {
    let mut parts = value.split(',');
    line.push_str(parts.next().unwrap_or_default());
    for part in parts {
        line.push_str("\\,");
        line.push_str(part);
    }
    line.push(',');
}

/// Replaces the comma after the last cell by the end of the line.
pub(super) fn end_line(line: &mut String) {
    line.pop();
    line.push('\n');
}

/// Splits a line into its cells, at each comma that has no backslash before it.
pub(super) fn split_cells(line: &str) -> impl Iterator<Item = &str> {
    let mut is_escaped = false;
    line.split(move |character: char| {
        let ends = character == ',' && !is_escaped;
        is_escaped = character == '\\';
        ends
    })
}

/// The value of a cell as Cognito reads it. DG:import-tool: "you must put a backslash (\) before the comma", "Any leading
/// or trailing white space in an attribute value will be trimmed".
pub(super) fn cell_value(cell: &str) -> Cow<'_, str> {
    let cell = cell.trim();
    if cell.contains("\\,") {
        Cow::Owned(cell.replace("\\,", ","))
    } else {
        Cow::Borrowed(cell)
    }
}

/// Converts an attribute's `YYYY-MM-DD` to the `mm/dd/yyyy` of an import file. Year 0000, which means "no year" in OpenID
/// Connect, is not documented as accepted by an import.
pub(super) fn import_date(attribute: &str) -> Option<String> {
    let has_form = attribute.len() == 10
        && attribute.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let date: Date = attribute.parse().ok().filter(|_| has_form)?;
    (date.year() > 0).then(|| format!("{:02}/{:02}/{:04}", date.month(), date.day(), date.year()))
}

/// Reads the `mm/dd/yyyy` of an import file. No other form is documented.
pub(super) fn parse_import_date(cell: &str) -> Option<Date> {
    let bytes = cell.as_bytes();
    let has_form = bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            2 | 5 => *byte == b'/',
            _ => byte.is_ascii_digit(),
        });
    if !has_form {
        return None;
    }
    let year = cell[6..].parse().ok().filter(|year| *year > 0)?;
    Date::new(year, cell[..2].parse().ok()?, cell[3..5].parse().ok()?).ok()
}

/// The whole seconds of a number of seconds since 1970: a fraction is cut off.
pub(super) fn whole_seconds(attribute: &str) -> Option<&str> {
    let (seconds, fraction) = attribute.split_once('.').unwrap_or((attribute, "0"));
    (is_digits(seconds) && is_digits(fraction)).then_some(seconds)
}

/// Whether a text has at least one character and only ASCII digits.
pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads `true` or `false`, whatever the case: AWS's samples have both upper and lower case, and both were seen to be
/// imported.
pub(super) fn parse_boolean(cell: &str) -> Option<bool> {
    if cell.eq_ignore_ascii_case("true") {
        Some(true)
    } else if cell.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// The length of a text in UTF-16 units, which is how Java counts characters.
pub(super) fn utf16_length(text: &str) -> usize {
    text.encode_utf16().count()
}
