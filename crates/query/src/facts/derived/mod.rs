//! Tables that no export contains, made from several canonical ones.
//!
//! `deal_history`: the stays of deals in open states and in stages. `pipeline`: what enters and
//! leaves the open states. `funnel`: the stages that deals reached or passed over. `windows`: the times in
//! which an account was active, by purchase or by contract. `recurring`: the movements of
//! recurring revenue. Each is a fact table like any other and is aggregated by the same code.

pub(crate) mod deal_history;
pub(crate) mod funnel;
pub(crate) mod pipeline;
pub(crate) mod recurring;
pub(crate) mod windows;

use dealframe_lake::Lake;

use super::Fact;
use crate::error::QueryError;

/// Names of the derived tables. Those of deals carry the segments of the deal, the others those of the account.
pub(crate) const DERIVED: [&str; 7] = [
    "deal_states",
    "pipeline_changes",
    "stage_entries",
    "stages_reached",
    "purchase_windows",
    "contract_windows",
    "mrr_changes",
];

/// Makes a derived table, or finds it. `anchor` is the newest business date of the lake.
pub(crate) fn table(lake: &Lake, name: &str, anchor: Option<i32>) -> Result<Fact, QueryError> {
    match name {
        "deal_states" => deal_history::deal_states(lake, anchor),
        "pipeline_changes" => pipeline::pipeline_changes(lake, anchor),
        "stage_entries" => deal_history::stage_entries(lake),
        "stages_reached" => funnel::stages_reached(lake),
        "purchase_windows" => windows::purchase_windows(lake),
        "contract_windows" => windows::contract_windows(lake),
        "mrr_changes" => recurring::mrr_changes(lake),
        _ => Err(QueryError::engine("facts", format!("there is no table `{name}`"))),
    }
}
