//! `--variants`: a request with the other readings of its KPIs beside each.
//!
//! Readings of one idea share a `concept` in their definitions. A reading that this question
//! cannot be put to (its table has no such segment or column, or there is no target for it) is
//! left out and named with the reason; the KPIs that were asked for by name are never left out,
//! they are refused as without `--variants`. Nothing is computed here.

use dealframe_model::calendar::Grain;

use crate::compile::Scope;
use crate::engine::Engine;
use crate::error::QueryError;
use crate::evaluate::Source;
use crate::evaluate::money::Rates;
use crate::evaluate::space::Space;
use crate::request::Request;

/// A request widened by variants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variants {
    pub request: Request,
    /// Readings that the question cannot be put to, each with the reason.
    pub left_out: Vec<(String, String)>,
}

impl Engine {
    /// Puts the other readings of every KPI of a request after it, each KPI once.
    ///
    /// # Errors
    /// When a KPI of the request is unknown.
    pub fn with_variants(&self, request: &Request) -> Result<Variants, QueryError> {
        let mut variants = Variants { request: Request { kpis: Vec::new(), ..request.clone() }, left_out: Vec::new() };
        let is_new = |variants: &Variants, id: &str| {
            !variants.request.kpis.iter().any(|known| known == id)
                && !variants.left_out.iter().any(|(known, _)| known == id)
        };
        for id in &request.kpis {
            self.catalogue().get(id)?;
            if is_new(&variants, id) {
                variants.request.kpis.push(id.clone());
            }
            for sibling in self.catalogue().siblings(id) {
                let is_asked = request.kpis.contains(&sibling.id);
                if is_asked || !is_new(&variants, &sibling.id) {
                    continue;
                }
                match self.can_ask(&Request { kpis: vec![sibling.id.clone()], ..request.clone() }) {
                    Ok(()) => variants.request.kpis.push(sibling.id.clone()),
                    Err(error) => variants.left_out.push((sibling.id.clone(), error.to_string())),
                }
            }
        }
        Ok(variants)
    }

    /// Whether segments, columns and targets of a request exist for its KPIs.
    fn can_ask(&self, request: &Request) -> Result<(), QueryError> {
        let prepared = self.prepare(request)?;
        let (mut space, mut rates, mut notes, mut asks) = (Space::default(), Rates::default(), Vec::new(), Vec::new());
        for id in &request.kpis {
            let (_, asked) = self.question(&prepared, id, Grain::All)?;
            self.walk(Source::Collect(&mut asks), &mut space, &mut rates, &mut notes).kpi(id, &asked)?;
        }
        for ask in &asks {
            let fact = self.facts.table(&ask.table)?;
            if let Some(filter) = &ask.filter {
                let scope = Scope { fact: &fact, rewind_to: self.rewind_to, text: ask.filter_text.clone() };
                let _ = scope.is_true(filter)?;
            }
        }
        Ok(())
    }
}
