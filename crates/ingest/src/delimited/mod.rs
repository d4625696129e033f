//! Delimited text: dialect, records, and record-aligned chunks of a large file.
//!
//! `dialect` looks at the head of a file and names its delimiter, quote and line end; from
//! then on `record` reads strictly with exactly that dialect. `chunk` cuts a file into pieces
//! that begin and end at records, so that several threads can read one file. `trailer` finds
//! the footers of reports. What a cell means is decided in `coerce`, not here.

pub mod chunk;
pub mod dialect;
pub mod record;
pub mod trailer;
