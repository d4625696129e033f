//! Questions to a lake: the KPI catalogue, the planner, and the Polars pipelines behind them.
//!
//! [`Engine`] is the way in: it opens one state of a lake and answers [`request::Request`]s with
//! [`dealframe_model::frame::Frame`]s. Definitions live as YAML under `kpis/`; `parse` and
//! `compile` turn their expressions into Polars, `plan` shares passes over the data among all
//! KPIs of a run, `node` and `pass` run them, `cube` rolls results up, `evaluate` makes values of them. `facts` keeps the
//! tables in the shape that this wants, `aggregates` what was summed up from them. Nothing here writes to the lake's own tables, and
//! nothing formats output: that is `dealframe-report`.

pub(crate) mod absent;
pub(crate) mod aggregates;
pub mod catalogue;
pub(crate) mod compile;
pub(crate) mod cube;
pub(crate) mod definition;
pub mod documentation;
pub mod engine;
pub mod error;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod facts;
pub(crate) mod formula;
pub mod listing;
pub(crate) mod masks;
pub(crate) mod node;
pub(crate) mod parse;
pub(crate) mod pass;
pub mod period;
pub(crate) mod plan;
pub(crate) mod preaggregate;
pub mod request;
pub(crate) mod sql;
pub mod variants;

pub use catalogue::Catalogue;
pub use definition::outline::{Place, place_of};
pub use engine::Engine;
pub use error::QueryError;
pub use facts::verify::Verified;
