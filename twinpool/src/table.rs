//! A text table whose columns are as wide as their widest cell. A wide character, as in Japanese, takes two places on a terminal.

use std::fmt;

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use crate::terminal::HEAD;

/// A cell of a table, with its colour.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell with a colour.
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        let text = text.into();
        Self { text, style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::new())
    }
}

/// A table with a fixed number of columns.
#[derive(Clone, Debug)]
pub struct Table<const COLUMNS: usize> {
    rows: Vec<[Cell; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with a heading over each column.
    pub fn new(headings: [&str; COLUMNS]) -> Self {
        let headings = headings.map(|heading| Cell::styled(heading, HEAD));
        Self {
            rows: vec![headings],
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [Cell; COLUMNS]) {
        self.rows.push(cells);
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths = [0; COLUMNS];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        for row in &self.rows {
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                let Cell { text, style } = cell;
                let last = column + 1 == COLUMNS;
                let gap = if last { 0 } else { width + 2 - text.width() };
                write!(f, "{style}{text}{style:#}{:gap$}", "")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_whatever_its_colour() {
        let mut table = Table::new(["pool", "fence"]);
        table.row([Cell::styled("東京", HEAD), "none".into()]);
        table.row(["secondary".into(), "".into()]);

        let text = anstream::adapter::strip_str(&table.to_string()).to_string();

        assert_eq!(text, "pool       fence\n東京       none\nsecondary  \n");
    }
}
