//! The lines of a file that arrives in chunks.

use crate::import_csv::limits::MAX_ROW_UTF16_UNITS;

/// No row is longer: a UTF-16 unit is at most three bytes of UTF-8, and one byte is for a carriage return.
const MAX_ROW_BYTES: usize = 3 * MAX_ROW_UTF16_UNITS + 1;

/// No line of JSON about one person is longer. A pool has at most 50 custom attributes (DG:quotas) beside some twenty standard ones, a value
/// has at most 2,048 characters, and JSON writes a character in six bytes at most: that is less than half of this. The rest is for names,
/// and for the groups: at most 100 with 128 characters each (DG:quotas).
const MAX_JSON_LINE_BYTES: usize = 2 * 1024 * 1024;

/// Splits chunks of bytes into lines, wherever the chunks end.
///
/// Give each chunk to [`feed`](Self::feed) and call [`next_line`](Self::next_line) until it returns `None`. After the last
/// chunk, call [`end`](Self::end) and take the remaining lines. Holds at most one chunk and one line. By default the lines are rows of an
/// import file.
pub struct Lines {
    /// A longer line cannot be read.
    max_bytes: usize,
    buffer: Vec<u8>,
    /// Where the next line begins in the buffer.
    start: usize,
    /// The buffer has no line end between `start` and here.
    searched: usize,
    /// The number of the last line that was returned.
    number: u64,
    /// The current line is too long, and its beginning was dropped from the buffer.
    is_too_long: bool,
    /// There was a carriage return in what was dropped.
    has_carriage_return: bool,
    is_ended: bool,
}

/// A line without its line end, which may be LF or CRLF: both were seen to be imported.
pub struct Line<'a> {
    /// The line's number in the file; the header is line 1. Cognito's import log counts users, so its number is one less.
    pub number: u64,
    /// The line's text.
    pub text: Result<&'a str, LineFault>,
}

/// Why a line cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// The line is longer than any row, or any line of JSON about one person, can be.
    #[error("the line is longer than the {MAX_ROW_UTF16_UNITS} characters of a row")]
    TooLong,
    /// The line is not UTF-8.
    #[error("the line is not UTF-8")]
    NotUtf8,
    /// The first line has a carriage return before its end: no header has one, so the whole file ends its lines that way.
    #[error("the lines end with carriage returns: save the file with line feeds")]
    CarriageReturns,
}

impl Default for Lines {
    fn default() -> Self {
        Self::of_at_most(MAX_ROW_BYTES)
    }
}

impl Lines {
    /// The lines of a file of JSON, each about one person.
    pub fn of_json() -> Self {
        Self::of_at_most(MAX_JSON_LINE_BYTES)
    }

    fn of_at_most(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            number: 0,
            is_too_long: false,
            has_carriage_return: false,
            is_ended: false,
        }
    }

    /// Adds the next bytes of the file.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// Marks the end of the file: the bytes that remain are the last line.
    pub fn end(&mut self) {
        self.is_ended = true;
    }

    /// Returns the next complete line, or `None` until more bytes are fed.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        let found = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        let (end, next) = match found {
            Some(at) => (self.searched + at, self.searched + at + 1),
            None if self.is_ended && (self.start < self.buffer.len() || self.is_too_long) => {
                (self.buffer.len(), self.buffer.len())
            }
            None => {
                if self.buffer.len() - self.start > self.max_bytes {
                    self.is_too_long = true;
                    // The last byte may be the beginning of a CRLF: it stays.
                    let dropped = &self.buffer[self.start..self.buffer.len() - 1];
                    self.has_carriage_return |= dropped.contains(&b'\r');
                    self.start = self.buffer.len() - 1;
                }
                self.searched = self.buffer.len();
                return None;
            }
        };
        let bytes = &self.buffer[self.start..end];
        let length = bytes.len();
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let was_too_long = std::mem::take(&mut self.is_too_long);
        let had_carriage_return = std::mem::take(&mut self.has_carriage_return);
        self.start = next;
        self.searched = next;
        self.number += 1;
        let text = if self.number == 1 && (had_carriage_return || bytes.contains(&b'\r')) {
            Err(LineFault::CarriageReturns)
        } else if was_too_long || length > self.max_bytes {
            Err(LineFault::TooLong)
        } else {
            std::str::from_utf8(bytes).map_err(|_| LineFault::NotUtf8)
        };
        Some(Line {
            number: self.number,
            text,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines of a text that is fed in chunks which end at these positions.
    fn lines(bytes: &[u8], ends: &[usize]) -> Vec<(u64, Result<String, LineFault>)> {
        let mut ends: Vec<_> = ends.iter().map(|end| end % (bytes.len() + 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let mut start = 0;
        for (left, end) in (0..ends.len()).rev().zip(&ends) {
            lines.feed(&bytes[start..*end]);
            start = *end;
            if left == 0 {
                lines.end();
            }
            while let Some(line) = lines.next_line() {
                found.push((line.number, line.text.map(str::to_owned)));
            }
        }
        found
    }

    #[test]
    fn lines_end_with_lf_or_crlf_and_the_last_one_with_the_file() {
        let text = |bytes: &[u8]| -> Vec<_> {
            let lines = lines(bytes, &[]);
            lines
                .into_iter()
                .map(|(number, text)| (number, text.unwrap()))
                .collect()
        };

        let three = [(1, "a".into()), (2, "".into()), (3, "b".into())];
        assert_eq!(text(b"a\r\n\nb"), three);
        assert_eq!(text(b"a\n\r\nb\n"), three);
        assert_eq!(text(b""), []);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_one_line() {
        let long = [
            b"a\n",
            vec![b'x'; MAX_ROW_BYTES + 1].as_slice(),
            b"\nb\n\xff\nc",
        ]
        .concat();

        let found = lines(&long, &[]);

        let texts: Vec<_> = found.into_iter().map(|(_, text)| text).collect();
        let good = |text: &str| Ok(text.to_owned());
        let expected = [
            good("a"),
            Err(LineFault::TooLong),
            good("b"),
            Err(LineFault::NotUtf8),
            good("c"),
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_line_of_json_may_be_longer_than_a_row() {
        let long = vec![b'x'; MAX_ROW_BYTES + 1];
        let read = |mut lines: Lines| {
            lines.feed(&long);
            lines.end();
            lines.next_line().unwrap().text.map(str::len)
        };

        assert_eq!(read(Lines::default()), Err(LineFault::TooLong));
        assert_eq!(read(Lines::of_json()), Ok(long.len()));
    }

    #[test]
    fn a_file_whose_lines_end_with_carriage_returns_is_told_from_a_long_line() {
        let short = lines(b"a,b\rc,d\re,f\r", &[]);
        let long = lines(
            &b"a,b\r".repeat(MAX_ROW_BYTES),
            &[MAX_ROW_BYTES + 9, 3 * MAX_ROW_BYTES],
        );

        for found in [short, long] {
            assert_eq!(found, [(1, Err(LineFault::CarriageReturns))]);
        }
        let later = lines(b"a,b\nc\rd,e", &[]);
        assert_eq!(later[1], (2, Ok("c\rd,e".to_owned())));
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_a_line() {
        let mut lines = Lines::default();

        for _ in 0..1000 {
            lines.feed(&[b'x'; 1000]);
            assert!(lines.next_line().is_none());
        }

        assert!(lines.buffer.capacity() < 3 * MAX_ROW_BYTES);
        lines.end();
        assert_eq!(lines.next_line().unwrap().text, Err(LineFault::TooLong));
        assert!(lines.next_line().is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn chunks_never_change_the_lines(
            parts in prop::collection::vec(prop_oneof![
                8 => "[a-cあ\r\n]{0,9}".prop_map(String::into_bytes),
                1 => prop::collection::vec(any::<u8>(), 0..9),
                1 => (MAX_ROW_BYTES - 3..MAX_ROW_BYTES + 3).prop_map(|length| vec![b'x'; length]),
            ], 0..9),
            ends in prop::collection::vec(any::<usize>(), 0..9),
        ) {
            let bytes = parts.concat();

            prop_assert_eq!(lines(&bytes, &ends), lines(&bytes, &[]));
        }
    }
}
