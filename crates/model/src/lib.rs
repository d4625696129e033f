//! The vocabulary of dealframe: canonical tables and columns, segments, money, calendars,
//! KPI definitions and the tidy result frame.
//!
//! This crate describes, it does not act: no file is opened here, no engine is called and
//! no clock is read. `dealframe-ingest` writes rows in these tables, `dealframe-lake` stores
//! them, `dealframe-query` answers from them and `dealframe-report` prints the answers.

pub mod calendar;
pub mod date;
pub mod decimal;
pub mod expression;
pub mod frame;
pub mod kpi;
pub mod segment;
pub mod spelling;
pub mod table;
pub mod vocabulary;
pub mod yaml;
