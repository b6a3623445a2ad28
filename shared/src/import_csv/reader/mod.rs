//! Reading an import file: its lines from chunks of bytes, its header, the cells of a row and the attributes they hold.

mod cells;
mod header;
mod lines;

pub use cells::{Cells, Mapped, UnreadableCell, WrongCellCount};
pub use header::{Header, HeaderError};
pub use lines::{Line, LineFault, Lines};
