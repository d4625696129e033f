//! Runs report specifications: many in parallel, one shared plan per report, files that appear whole.
//!
//! Every specification is read before anything is computed. A section that fails is shown in
//! its report and counted, the others are kept. Durations go to `run_results.json` and nowhere
//! else, so that two runs over the same lake write the same reports byte for byte.

mod answer;
mod results;
mod write;

use std::path::{Path, PathBuf};
use std::time::Instant;

use dealframe_query::request::Settings;
use dealframe_query::{Engine, Place};
use rayon::prelude::*;

use crate::spec::{self, Spec};
use crate::{ReportError, slug};

/// How to run.
pub struct RunOptions<'a> {
    /// Reports at a time; 0 takes one per processor.
    pub jobs: usize,
    /// What the command line says; it outranks the files.
    pub settings: Settings,
    /// Progress for people.
    pub talk: &'a (dyn Fn(&str) + Sync),
}

/// What a run has done.
#[derive(Debug, Clone)]
pub struct RunOutcome {
    pub reports: Vec<ReportResult>,
    /// Sections and headlines that failed.
    pub failed: usize,
    /// Whether every failure is the user's to settle.
    pub user_fault: bool,
}

/// What became of one report.
#[derive(Debug, Clone)]
pub struct ReportResult {
    pub spec: PathBuf,
    pub name: String,
    pub folder: PathBuf,
    pub title: String,
    pub as_of: Option<i32>,
    pub lake_sequence: u64,
    pub seconds: f64,
    pub tiles: Vec<crate::document::tiles::Tile>,
    /// Where and why the headline failed, if it did.
    pub headline: Option<(Place, Failed)>,
    pub sections: Vec<SectionResult>,
}

/// An error, its hint, and whether it is the user's to settle.
pub type Failed = (String, Option<String>, bool);

/// What became of one section.
#[derive(Debug, Clone)]
pub struct SectionResult {
    pub title: String,
    pub slug: String,
    pub rows: usize,
    /// Where in the specification it stands, or what failed in it.
    pub place: Place,
    pub failure: Option<Failed>,
}

impl SectionResult {
    /// `ok`, `empty` or `failed`.
    pub fn status(&self) -> &'static str {
        match (&self.failure, self.rows) {
            (Some(_), _) => "failed",
            (None, 0) => "empty",
            _ => "ok",
        }
    }
}

/// A specification on its way.
struct Job {
    path: PathBuf,
    name: String,
    spec: Spec,
    settings: Settings,
}

/// Answers and writes reports.
///
/// # Errors
/// When a specification cannot be read, the lake cannot be opened or the folder not be written.
/// A section that fails is no error here; see [`RunOutcome::failed`].
pub fn run(specs: &[PathBuf], lake: &Path, out: &Path, options: &RunOptions<'_>) -> Result<RunOutcome, ReportError> {
    let jobs = read_all(specs, &options.settings)?;
    let engines = open_engines(&jobs, lake)?;
    std::fs::create_dir_all(out).map_err(|source| ReportError::Io { path: out.to_owned(), source })?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.jobs)
        .build()
        .map_err(|error| ReportError::build("thread pool", error))?;
    let reports = pool.install(|| {
        jobs.par_iter()
            .map(|job| {
                let engine = engines.iter().find(|(settings, _)| *settings == job.settings);
                let Some((_, engine)) = engine else {
                    return Err(ReportError::build("report", "no engine was opened for its settings"));
                };
                one(job, engine, &out.join(&job.name), options)
            })
            .collect::<Result<Vec<_>, ReportError>>()
    })?;
    let failures = || {
        reports.iter().flat_map(|report| {
            let of_sections = report.sections.iter().filter_map(|section| section.failure.as_ref());
            report.headline.iter().map(|(_, failure)| failure).chain(of_sections)
        })
    };
    let outcome = RunOutcome {
        failed: failures().count(),
        user_fault: failures().all(|(_, _, user)| *user),
        reports: reports.clone(),
    };
    results::write(&outcome, &out.join("run_results.json"))?;
    Ok(outcome)
}

fn read_all(specs: &[PathBuf], command_line: &Settings) -> Result<Vec<Job>, ReportError> {
    let mut jobs: Vec<Job> = Vec::new();
    for path in specs {
        let spec = spec::read(path)?;
        let settings = spec.settings(command_line)?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let name = slug(&stem.replace('_', "-"));
        if let Some(other) = jobs.iter().find(|job| job.name == name) {
            return Err(ReportError::SameName { first: other.path.clone(), second: path.clone(), name });
        }
        jobs.push(Job { path: path.clone(), name, spec, settings });
    }
    Ok(jobs)
}

/// One engine per distinct settings: opening may have to derive facts, which is done once.
fn open_engines(jobs: &[Job], lake: &Path) -> Result<Vec<(Settings, Engine)>, ReportError> {
    let mut engines: Vec<(Settings, Engine)> = Vec::new();
    for job in jobs {
        if !engines.iter().any(|(settings, _)| *settings == job.settings) {
            let engine = Engine::open(lake, job.settings.clone())?;
            engines.push((job.settings.clone(), engine));
        }
    }
    Ok(engines)
}

fn one(job: &Job, engine: &Engine, folder: &Path, options: &RunOptions<'_>) -> Result<ReportResult, ReportError> {
    let started = Instant::now();
    let answer::Answered { document, sections: failures, headline } = answer::document(job, engine)?;
    write::report(&document, folder, &job.spec.formats)?;
    let sections: Vec<SectionResult> = (document.sections.iter().zip(failures))
        .map(|(section, (place, failure))| SectionResult {
            title: section.title.clone(),
            slug: section.slug.clone(),
            rows: match &section.answer {
                crate::document::Answer::Frame(frame) => frame.rows.len(),
                crate::document::Answer::Failed { .. } => 0,
            },
            place,
            failure,
        })
        .collect();
    let failed = sections.iter().filter(|section| section.failure.is_some()).count();
    let written = sections.len() - failed;
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    (options.talk)(&format!("{}: {written} sections written to {}{failed}", job.spec.title, folder.display()));
    Ok(ReportResult {
        spec: job.path.clone(),
        name: job.name.clone(),
        folder: folder.to_owned(),
        title: job.spec.title.clone(),
        as_of: document.as_of,
        lake_sequence: document.lake_sequence,
        seconds: started.elapsed().as_secs_f64(),
        tiles: document.tiles,
        headline,
        sections,
    })
}

#[cfg(test)]
mod tests;
