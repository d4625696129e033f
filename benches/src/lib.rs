//! What the benches measure on: lakes of any size, made on the spot, and the definitions of the catalogue by kind.
//!
//! A lake comes from `dealframe-synth` and `dealframe-ingest`, so that a bench needs nothing but this repository. The
//! benches themselves are in `kinds.rs`; other engines are compared with, as whole processes, by `peers/run.py`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dealframe_ingest::{IngestError, IngestOptions, ingest};
use dealframe_model::calendar::Grain;
use dealframe_query::request::{Request, Settings};
use dealframe_query::{Catalogue, Engine, QueryError};
use dealframe_synth::{SynthError, SynthOptions, Vendor, synthesise};

/// The kinds of definitions, as [`dealframe_model::kpi::Compute::kind`] names them.
pub const KINDS: [&str; 10] =
    ["flow", "ratio", "total", "stock", "derived", "formula", "retention", "survival", "recurring", "attainment"];

/// Why a bench cannot run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error("cannot make the exports: {0}")]
    Synth(#[from] SynthError),
    #[error("cannot load the exports: {0}")]
    Ingest(#[from] IngestError),
    #[error("cannot ask the lake: {0}")]
    Query(#[from] QueryError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the catalogue has no definition of kind `{kind}`")]
    NoDefinition { kind: String },
    #[error("planning was to stop before reading, and did not")]
    NotStopped,
}

/// A lake with this number of deals in `folder`, with history, in dollars; the same number gives the same lake.
///
/// # Errors
/// When the disk is full or the like.
pub fn make_lake(folder: &Path, deals: u64) -> Result<PathBuf, BenchError> {
    let exports = folder.join(format!("exports-{deals}"));
    let lake = folder.join(format!("lake-{deals}"));
    fs::create_dir_all(&exports).map_err(|source| BenchError::Io { path: exports.clone(), source })?;
    synthesise(&SynthOptions::new(deals, 1, Vendor::Salesforce, &exports), &mut |_| ())?;
    ingest(std::slice::from_ref(&exports), &lake, &IngestOptions::default(), &mut |_| ())?;
    fs::remove_dir_all(&exports).map_err(|source| BenchError::Io { path: exports, source })?;
    Ok(lake)
}

/// Deletes the results that an earlier question left for the next one, so that every question is a first one.
///
/// # Errors
/// When they cannot be deleted.
pub fn forget_aggregates(lake: &Path) -> Result<(), BenchError> {
    let folder = lake.join("_facts");
    let failed = |source| BenchError::Io { path: folder.clone(), source };
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let kept = entry.map_err(failed)?.path().join("aggregates");
        if kept.is_dir() {
            fs::remove_dir_all(kept).map_err(failed)?;
        }
    }
    Ok(())
}

/// One request by month for each definition of a kind, in the order of the catalogue.
///
/// # Errors
/// When there is none.
pub fn requests_of_kind(catalogue: &Catalogue, kind: &str) -> Result<Vec<Request>, BenchError> {
    let found: Vec<Request> = catalogue
        .all()
        .filter(|definition| definition.compute.kind() == kind)
        .map(|definition| request(&definition.id, &[], &[Grain::Month]))
        .collect();
    if found.is_empty() { Err(BenchError::NoDefinition { kind: kind.to_owned() }) } else { Ok(found) }
}

/// Segments with few values, which most KPIs know.
const PLANNED_SEGMENTS: [&str; 6] = ["region", "country", "industry", "account_type", "team", "manager"];
const PLANNED_SETS: usize = 20;
const PLANNED_KPIS: usize = 80;

/// A large report to plan: 80 KPIs × 4 grains × 20 segment sets of one or two segments.
pub struct Planning {
    engine: Engine,
    requests: Vec<Request>,
}

impl Planning {
    /// Takes the first KPIs of the catalogue that know every segment.
    ///
    /// # Errors
    /// When the lake cannot be opened.
    pub fn new(lake: &Path) -> Result<Self, BenchError> {
        // No group fits into this memory: the engine plans, and then refuses to read.
        let engine = Engine::open(lake, Settings { memory_limit: Some(0), ..Settings::default() })?;
        let knows = |id: &str, segment: &&str| {
            let asked = request(id, &[*segment], &[Grain::Month]);
            matches!(engine.run(&[asked]), Err(QueryError::Memory { .. }))
        };
        let kpis: Vec<String> = engine
            .catalogue()
            .ids()
            .filter(|id| PLANNED_SEGMENTS.iter().all(|segment| knows(id, segment)))
            .take(PLANNED_KPIS)
            .map(str::to_owned)
            .collect();
        let requests = segment_sets()
            .into_iter()
            .map(|by| Request {
                kpis: kpis.clone(),
                by,
                grains: vec![Grain::Month, Grain::Quarter, Grain::Year, Grain::All],
                ..Request::default()
            })
            .collect();
        Ok(Self { engine, requests })
    }

    /// Plans all requests together, as a report does, and reads nothing.
    ///
    /// # Errors
    /// When planning failed, or did more than planning.
    pub fn plan(&self) -> Result<(), BenchError> {
        match self.engine.run(&self.requests) {
            Err(QueryError::Memory { .. }) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Err(BenchError::NotStopped),
        }
    }
}

/// Every segment, then every pair, up to the number asked for.
fn segment_sets() -> Vec<Vec<String>> {
    let pairs = PLANNED_SEGMENTS
        .iter()
        .enumerate()
        .flat_map(|(at, first)| PLANNED_SEGMENTS[at + 1..].iter().map(move |second| vec![*first, *second]));
    let sets = PLANNED_SEGMENTS.iter().map(|segment| vec![*segment]).chain(pairs);
    sets.take(PLANNED_SETS).map(|set| set.into_iter().map(str::to_owned).collect()).collect()
}

fn request(id: &str, by: &[&str], grains: &[Grain]) -> Request {
    Request {
        kpis: vec![id.to_owned()],
        by: by.iter().map(|segment| (*segment).to_owned()).collect(),
        grains: grains.to_vec(),
        ..Request::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_kind_of_the_catalogue_is_measured() {
        let catalogue = Catalogue::load(None).unwrap();
        for definition in catalogue.all() {
            assert!(
                KINDS.contains(&definition.compute.kind()),
                "{} is of a kind that no bench measures",
                definition.id
            );
        }
        for kind in KINDS {
            assert!(!requests_of_kind(&catalogue, kind).unwrap().is_empty());
        }
        assert!(requests_of_kind(&catalogue, "guess").is_err());
    }

    #[test]
    fn segment_sets_differ() {
        let mut sets = segment_sets();
        assert_eq!(sets.len(), PLANNED_SETS);
        sets.sort();
        sets.dedup();
        assert_eq!(sets.len(), PLANNED_SETS);
    }

    #[test]
    fn planning_reads_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let lake = make_lake(folder.path(), 300).unwrap();
        let planning = Planning::new(&lake).unwrap();
        assert_eq!(planning.requests.len(), PLANNED_SETS);
        assert_eq!(planning.requests[0].kpis.len(), PLANNED_KPIS);
        planning.plan().unwrap();
        forget_aggregates(&lake).unwrap();
    }
}
