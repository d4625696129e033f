//! From a specification to a document: resolves ranges, asks the engine once, and where that
//! fails asks section by section, to find the guilty and keep the rest.

use dealframe_model::date;
use dealframe_model::frame::Frame;
use dealframe_model::kpi::Base;
use dealframe_query::request::Request;
use dealframe_query::{Engine, Place, period};

use super::{Failed, Job};
use crate::document::{Answer, Definition, Document, Section, tiles};
use crate::slug::unique;
use crate::spec::At;
use crate::{ReportError, slug, spec};

/// A question, or why it could not even be asked.
type Asked = Result<Request, ReportError>;

/// A report, and for people what failed in it and where.
pub(super) struct Answered {
    pub document: Document,
    /// By section: the place of the section or of what failed in it, and the error if there is one.
    pub sections: Vec<(Place, Option<Failed>)>,
    /// Where and why there are no tiles, though there should be some.
    pub headline: Option<(Place, Failed)>,
}

fn failed(error: &ReportError) -> Failed {
    (chain(error), error.hint(), error.is_user_fault())
}

pub(super) fn document(job: &Job, engine: &Engine) -> Result<Answered, ReportError> {
    let asked: Vec<Asked> = (0..job.spec.sections.len()).map(|index| request(job, index, engine)).collect();
    let headline = headline(job, engine);
    let ranges: Vec<String> = (asked.iter())
        .map(|asked| asked.as_ref().map(|asked| range_text(&(asked.from, asked.to), engine)).unwrap_or_default())
        .collect();
    let (headline_frames, answers) = ask(engine, headline.as_deref().unwrap_or_default(), asked);
    let source = &job.spec.source;
    let (headline, headline_frames, without_headline) = match (headline, headline_frames) {
        (Ok(headline), Ok(frames)) => (headline, frames, None),
        (Err(error), _) | (_, Err(error)) => {
            (Vec::new(), Vec::new(), Some((source.place_of_failure("headline", &error), failed(&error))))
        }
    };

    let mut sections: Vec<Section> = Vec::new();
    let mut failures = Vec::new();
    let mut slugs: Vec<String> = vec!["report".to_owned()];
    let report_range = range_text(&range(job, None, engine).unwrap_or_default(), engine);
    for (index, ((spec, own), answer)) in job.spec.sections.iter().zip(ranges).zip(answers).enumerate() {
        let name = unique(slug(&spec.title), &slugs);
        slugs.push(name.clone());
        let part = format!("sections.{index}");
        let answer = match answer {
            Ok(frame) => {
                failures.push((source.place(&part), None));
                Answer::Frame(frame)
            }
            Err(error) => {
                failures.push((source.place_of_failure(&part, &error), Some(failed(&error))));
                Answer::Failed { error: chain(&error), hint: error.hint() }
            }
        };
        sections.push(Section {
            title: spec.title.clone(),
            slug: name,
            text: spec.text.clone(),
            period: if own == report_range { String::new() } else { own },
            filters: spec.filters.clone(),
            chart: spec.chart,
            columns: spec.columns,
            answer,
        });
    }
    let document = Document {
        title: job.spec.title.clone(),
        description: job.spec.description.clone(),
        as_of: engine.as_of(),
        lake_sequence: engine.lake_sequence(),
        period: report_range,
        tiles: headline_tiles(&headline, &headline_frames),
        definitions: definitions(engine, &headline, &sections),
        sections,
    };
    Ok(Answered { document, sections: failures, headline: without_headline })
}

/// An error with its causes, as one line.
fn chain(error: &ReportError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

type Bounds = (Option<i32>, Option<i32>);

/// The range of a section, or of the report where `section` is `None`.
fn range(job: &Job, section: Option<usize>, engine: &Engine) -> Result<Bounds, ReportError> {
    let source = &job.spec.source;
    let section = section.map(|index| (index, &job.spec.sections[index]));
    let own = section.filter(|(_, section)| section.period.is_some() || section.from.is_some() || section.to.is_some());
    let (period, from, to) = match own {
        Some((_, section)) => (&section.period, &section.from, &section.to),
        None => (&job.spec.period, &job.spec.from, &job.spec.to),
    };
    let at = |key: &str| own.map_or_else(|| At::key(key), |(index, section)| section.at(index, key));
    let mut bounds = (None, None);
    if let Some(text) = period {
        let range = period::parse(text, engine.as_of(), engine.calendar())?;
        bounds = (range.from, range.to);
    }
    if let Some(from) = from {
        bounds.0 = Some(spec::day(from, source, &at("from"))?);
    }
    // Written inclusively, as people do.
    if let Some(to) = to {
        bounds.1 = Some(spec::day(to, source, &at("to"))? + 1);
    }
    Ok(bounds)
}

fn request(job: &Job, section: usize, engine: &Engine) -> Asked {
    let request = job.spec.sections[section].request(&job.spec.source, section)?;
    let (from, to) = range(job, Some(section), engine)?;
    Ok(Request { from, to, ..request })
}

fn range_text((from, to): &Bounds, engine: &Engine) -> String {
    match (from, to) {
        (None, None) => "all data".to_owned(),
        _ => {
            let end = to.map(|day| day - 1).or_else(|| engine.as_of());
            format!(
                "{} .. {}",
                from.map_or("start".to_owned(), date::format),
                end.map_or("end".to_owned(), date::format)
            )
        }
    }
}

/// The headline question twice: against the previous period, and against the year before.
fn headline(job: &Job, engine: &Engine) -> Result<Vec<Request>, ReportError> {
    let Some(headline) = &job.spec.headline else { return Ok(Vec::new()) };
    let grain = spec::grain(&headline.grain, &job.spec.source, &At::key("headline.grain"))?;
    let (from, to) = range(job, None, engine)?;
    let questions = [Base::Previous, Base::YearAgo].into_iter().map(|base| Request {
        kpis: headline.kpis.clone(),
        grains: vec![grain],
        from,
        to,
        compare: Some(base),
        ..Request::default()
    });
    Ok(questions.collect())
}

fn headline_tiles(headline: &[Request], frames: &[Frame]) -> Vec<tiles::Tile> {
    match (headline.first().and_then(|request| request.grains.first()), frames) {
        (Some(grain), [previous, rest @ ..]) => tiles::tiles(previous, rest.first(), *grain),
        _ => Vec::new(),
    }
}

/// What the headline came to, and every section.
type Answers = (Result<Vec<Frame>, ReportError>, Vec<Result<Frame, ReportError>>);

/// Everything in one call, so that the plan is shared; after a failure one by one.
fn ask(engine: &Engine, headline: &[Request], asked: Vec<Asked>) -> Answers {
    let good = headline.iter().chain(asked.iter().filter_map(|asked| asked.as_ref().ok()));
    let good: Vec<Request> = good.cloned().collect();
    if let Ok(mut frames) = engine.run(&good)
        && frames.len() == good.len()
    {
        let mut sections = frames.split_off(headline.len()).into_iter();
        let answers = asked.into_iter().map(|asked| asked.map(|_| sections.next().unwrap_or_default())).collect();
        return (Ok(frames), answers);
    }
    let one = |request: &Request| -> Result<Frame, ReportError> {
        Ok(engine.run(std::slice::from_ref(request))?.pop().unwrap_or_default())
    };
    let headline = match headline {
        [] => Ok(Vec::new()),
        // Tiles can do without the year before, but not without the period before.
        [previous, rest @ ..] => one(previous).map(|frame| {
            let year_ago = rest.iter().filter_map(|request| one(request).ok());
            [frame].into_iter().chain(year_ago).collect()
        }),
    };
    (headline, asked.into_iter().map(|asked| asked.and_then(|request| one(&request))).collect())
}

fn definitions(engine: &Engine, headline: &[Request], sections: &[Section]) -> Vec<Definition> {
    let mut ids: Vec<&str> =
        headline.first().map(|request| request.kpis.iter().map(String::as_str).collect()).unwrap_or_default();
    for section in sections {
        if let Answer::Frame(frame) = &section.answer {
            ids.extend(frame.kpis.iter().map(|kpi| kpi.id.as_str()));
        }
    }
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(*id));
    ids.iter()
        .filter_map(|id| engine.catalogue().get(id).ok())
        .map(|definition| Definition {
            id: definition.id.clone(),
            name: definition.name.clone(),
            what: definition.what.clone(),
            formula: definition.formula.clone(),
            caveats: definition.caveats.clone(),
        })
        .collect()
}
