//! The lake: Delta tables on the local disk that change together or not at all.
//!
//! This crate stores canonical rows and gives them back: upsert by key, one atomic batch over
//! several tables, recovery after a crash, time travel and clean-up. It refuses to guess: rows
//! without a key, a second writer and exports that lost rows are errors, never repairs.
//!
//! What the tables and columns are is the business of `dealframe-model`; where rows come from
//! is `dealframe-ingest`; who reads the Parquet files is `dealframe-query`.

mod changes;
mod chunk;
mod durable;
mod encode;
mod error;
mod gather;
mod lake;
mod merge;
mod parquet_file;
mod record;
mod recover;
pub mod schema;
mod stage;
mod superseded;
mod table;
mod upsert;
mod vacuum;
mod writer;

#[cfg(test)]
mod tests;

pub use changes::WAS_LIVE;
pub use error::LakeError;
pub use lake::{At, DataFile, Lake};
pub use record::BatchRecord;
pub use superseded::{Superseded, SupersededRecord};
pub use upsert::{UpsertCounts, UpsertOptions};
pub use vacuum::Vacuumed;
pub use writer::{Batch, Writer};
