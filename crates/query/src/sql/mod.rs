//! SQL for other engines.

use crate::engine::Engine;
use crate::error::QueryError;
use crate::request::Request;

impl Engine {
    /// One statement for another engine.
    ///
    /// # Errors
    /// Until the compiler is there, always.
    pub fn to_sql(&self, request: &Request, dialect: &str) -> Result<String, QueryError> {
        Err(QueryError::Unsupported {
            kpi: request.kpis.join(", "),
            reason: format!("no SQL for {dialect} yet"),
            hint: "ask without --sql".to_owned(),
        })
    }
}
