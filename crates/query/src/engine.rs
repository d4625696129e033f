//! The engine: one lake, one state of it, and every question about it.
//!
//! A run takes all its requests together: it walks their definitions once to collect asks, has
//! the planner share passes among them, and walks them again to read the cubes. Nothing here
//! reads a clock or depends on the number of threads.

use std::fmt::Write as _;
use std::path::Path;

use dealframe_lake::{At, Lake};
use dealframe_model::calendar::{Calendar, Grain};
use dealframe_model::date;
use dealframe_model::expression::Expression;
use dealframe_model::frame::Frame;
use dealframe_model::kpi::{Base, Compute, Derived, Operation};
use hashbrown::HashSet;
use rayon::prelude::*;

use crate::absent;
use crate::aggregates;
use crate::catalogue::Catalogue;
use crate::cube::MAX_SEGMENTS;
use crate::error::QueryError;
use crate::evaluate::leaf::{cut_period, unit_of};
use crate::evaluate::money::{Rates, common};
use crate::evaluate::space::Space;
use crate::evaluate::table::{Column, Comparison, Layout};
use crate::evaluate::{Question, Series, Source, Walk, interval, kinds, past, year};
use crate::facts::anchor;
use crate::parse;
use crate::plan::{Ask, Cubes, Facts, Plan};
use crate::request::{Request, Settings};

/// Answers questions about one state of one lake.
pub struct Engine {
    pub(crate) facts: Facts,
    catalogue: Catalogue,
    settings: Settings,
    as_of: Option<i32>,
    /// Set when the as-of day lies before the newest business date.
    pub(crate) rewind_to: Option<i32>,
}

/// A request with its names resolved.
pub(crate) struct Prepared<'a> {
    request: &'a Request,
    pub(crate) by: Vec<String>,
    pub(crate) grains: Vec<Grain>,
    filter: Option<Expression>,
    filter_text: String,
}

impl Engine {
    /// Opens a lake.
    ///
    /// # Errors
    /// When there is no lake, or the user's definitions are wrong.
    pub fn open(lake: &Path, settings: Settings) -> Result<Self, QueryError> {
        let at = settings.lake_sequence.map_or(At::Latest, At::Sequence);
        let lake = Lake::open_at(lake, at)?;
        let catalogue = Catalogue::load(settings.kpis.as_deref())?;
        let anchor = anchor::cached(&lake)?;
        let as_of = settings.as_of.or(anchor);
        let rewind_to = settings.as_of.filter(|day| anchor.is_some_and(|anchor| *day < anchor));
        let facts = Facts::new(lake, anchor, settings.keeps_from.unwrap_or(aggregates::FROM_ROWS));
        Ok(Self { facts, catalogue, settings, as_of, rewind_to })
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// "Now": the day asked for, else the newest business date in the lake.
    pub fn as_of(&self) -> Option<i32> {
        self.as_of
    }

    pub fn calendar(&self) -> &Calendar {
        &self.settings.calendar
    }

    pub fn lake_sequence(&self) -> u64 {
        self.facts.lake.sequence()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn lake(&self) -> &Lake {
        &self.facts.lake
    }

    /// Answers several requests by one shared plan; frames come in the order of the requests.
    ///
    /// # Errors
    /// When a name is unknown, currencies would be mixed, or the data cannot be read.
    pub fn run(&self, requests: &[Request]) -> Result<Vec<Frame>, QueryError> {
        let prepared = requests.iter().map(|request| self.prepare(request)).collect::<Result<Vec<_>, _>>()?;
        let plan = self.plan(&prepared)?;
        plan.within(self.settings.memory_limit)?;
        let absent = prepared.iter().map(|one| self.absent(one, &plan)).collect::<Result<Vec<_>, _>>()?;
        let cubes = plan.run(&self.facts, self.rewind_to, &self.settings.calendar, false)?;
        let answer = |(prepared, absent)| {
            let mut frame = self.answer(prepared, &cubes)?;
            frame.notes.extend::<Vec<String>>(absent);
            Ok(frame)
        };
        prepared.par_iter().zip(absent).map(answer).collect()
    }

    /// Notes on words of a request's filter that no row of the tables it reads has.
    fn absent(&self, prepared: &Prepared<'_>, plan: &Plan) -> Result<Vec<String>, QueryError> {
        let Some(filter) = &prepared.filter else { return Ok(Vec::new()) };
        let mut names: Vec<&str> = plan.tables_filtered_by(filter).collect();
        names.sort_unstable();
        names.dedup();
        let tables = names.iter().map(|name| self.facts.table(name)).collect::<Result<Vec<_>, _>>()?;
        absent::notes(filter, &tables)
    }

    /// Describes how requests would be answered: nodes, what is rolled up from them, what they read, how long they took.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn explain(&self, requests: &[Request]) -> Result<String, QueryError> {
        let started = std::time::Instant::now();
        let prepared = requests.iter().map(|request| self.prepare(request)).collect::<Result<Vec<_>, _>>()?;
        let plan = self.plan(&prepared)?;
        let planning = started.elapsed();
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} nodes answer {} asks; planned in {:.1} ms",
            plan.nodes.len(),
            plan.places.len(),
            planning.as_secs_f64() * 1e3
        );
        let mut descriptions = Vec::new();
        for node in &plan.nodes {
            descriptions.push(crate::explain::describe(node, &self.facts)?);
        }
        let cubes = plan.run(&self.facts, self.rewind_to, &self.settings.calendar, true)?;
        for (position, (description, (report, cube))) in
            descriptions.iter().zip(cubes.reports.iter().zip(&cubes.cubes)).enumerate()
        {
            let _ = writeln!(text, "\nnode {}: {description}", position + 1);
            let (pass, nodes) = report.pass;
            let _ = writeln!(
                text,
                "  groups: {}   pass {pass}{}: {:.1} ms",
                cube.groups,
                if nodes > 1 { format!(" of {nodes} nodes") } else { String::new() },
                report.seconds * 1e3
            );
            if let Some(kept) = report.kept {
                let _ = writeln!(text, "  read from what an earlier run kept: {kept}");
            }
            if !report.told_apart.is_empty() {
                let _ = writeln!(
                    text,
                    "  told apart by {} as well: {} sums for {} measures",
                    report.told_apart.join(", "),
                    report.sums,
                    cube.measures.len()
                );
            }
            for line in report.plan.lines() {
                let _ = writeln!(text, "    {line}");
            }
        }
        Ok(text)
    }

    pub(crate) fn prepare<'a>(&self, request: &'a Request) -> Result<Prepared<'a>, QueryError> {
        let mut by = request.by.clone();
        // A breakdown brings its segment along, so that `loss_reasons` alone means what it says.
        if by.is_empty() {
            for id in &request.kpis {
                if let Compute::Derived(Derived {
                    operation: Operation::By { segment } | Operation::Share { segment },
                    ..
                }) = &self.catalogue.get(id)?.compute
                    && !by.contains(segment)
                {
                    by.push(segment.clone());
                }
            }
        }
        by.dedup();
        if by.len() > MAX_SEGMENTS - 2 {
            return Err(QueryError::TooManyKeys { segments: by.join(", ") });
        }
        let grains = if request.grains.is_empty() { vec![Grain::All] } else { request.grains.clone() };
        let filter_text = request.filters.join(" and ");
        let filter = request
            .filters
            .iter()
            .map(|text| parse::expression(text))
            .try_fold(None, |all, one| one.map(|one| Expression::and(all, Some(one))))?;
        Ok(Prepared { request, by, grains, filter, filter_text })
    }

    /// The segment that a breakdown brings along, so that `loss_reasons` alone means what it says.
    fn own_segment(&self, id: &str) -> Result<Option<String>, QueryError> {
        Ok(match &self.catalogue.get(id)?.compute {
            Compute::Derived(Derived {
                operation: Operation::By { segment } | Operation::Share { segment }, ..
            }) => Some(segment.clone()),
            _ => None,
        })
    }

    /// The question of a KPI at a grain: the range, cut off at the as-of day, and as far back as the KPI looks.
    pub(crate) fn question(
        &self,
        prepared: &Prepared<'_>,
        id: &str,
        grain: Grain,
    ) -> Result<(Question, Question), QueryError> {
        let request = prepared.request;
        let calendar = &self.settings.calendar;
        year::check(&self.catalogue, id, grain, calendar)?;
        past::check(&self.catalogue, id, self.rewind_to)?;
        let cap = self.as_of.map(|day| day + 1);
        let to = match (request.to, cap) {
            (Some(to), Some(cap)) => Some(to.min(cap)),
            (to, cap) => to.or(cap),
        };
        let by = if request.by.is_empty() { self.own_segment(id)?.into_iter().collect() } else { prepared.by.clone() };
        let shown = Question {
            by,
            grain,
            unit: unit_of(calendar, &prepared.grains),
            from: request.from,
            to,
            to_asked: request.to,
            filter: prepared.filter.clone(),
            filter_text: prepared.filter_text.clone(),
        };
        let back = kinds::lookback(&self.catalogue, id, grain)?;
        let mut asked = shown.clone();
        if let (Some(from), true) = (request.from, back > 0) {
            asked.from = if back >= kinds::ALL_HISTORY {
                None
            } else {
                Some(calendar.start(grain, calendar.index(grain, from).saturating_sub(back)))
            };
        }
        // What a comparison needs comes along, unless that would make whole what the range cuts.
        if request.compare.is_some() && grain != Grain::All && cut_period(calendar, &asked).is_none() {
            asked.from = None;
        }
        Ok((shown, asked))
    }

    /// What a comparison shifts, where it is not what is shown: whole periods, from the first one on.
    fn compared(prepared: &Prepared<'_>, asked: &Question) -> Option<Question> {
        let is_cut = prepared.request.compare.is_some() && asked.grain != Grain::All && asked.from.is_some();
        is_cut.then(|| Question { from: None, ..asked.clone() })
    }

    /// Says where a range that cuts periods makes figures that are no like for like.
    fn cuts(&self, id: &str, prepared: &Prepared<'_>, shown: &Question) -> Result<Vec<String>, QueryError> {
        let calendar = &self.settings.calendar;
        let label = |period| calendar.label(shown.grain, period);
        let is_compared = prepared.request.compare.is_some();
        let looks_back = kinds::lookback(&self.catalogue, id, shown.grain)? > 0;
        let mut cuts = Vec::new();
        if matches!(self.catalogue.get(id)?.compute, Compute::Stock { .. }) {
            // What stands on a day does not depend on where the range begins.
            return Ok(cuts);
        }
        if let Some((from, cut)) = cut_period(calendar, shown) {
            let (cut, from) = (label(cut), date::format(from));
            if looks_back {
                cuts.push(format!("{id} looks back, so that its {cut} is the whole period and not cut at {from}"));
            } else if is_compared {
                cuts.push(format!("{cut} counts from {from} on and is compared with a whole period"));
            }
        }
        if let Some(to) = shown.to_asked.filter(|to| shown.grain != Grain::All && shown.to == Some(*to)) {
            let cut = calendar.index(shown.grain, to - 1);
            if calendar.end(shown.grain, cut) != to && (is_compared || looks_back) {
                cuts.push(format!(
                    "{} counts until {} and is set against whole periods",
                    label(cut),
                    date::format(to - 1)
                ));
            }
        }
        Ok(cuts)
    }

    /// For grain `all`, the range before or a year before, of the same length.
    fn shifted(&self, question: &Question, base: Base) -> Option<Question> {
        let (from, to) = (question.from?, question.to?);
        let (from, to) = match base {
            Base::Previous => (from - (to - from), from),
            Base::YearAgo => (date::add_months(from, -12), date::add_months(to, -12)),
        };
        Some(Question { from: Some(from), to: Some(to), to_asked: Some(to), ..question.clone() })
    }

    fn plan(&self, prepared: &[Prepared<'_>]) -> Result<Plan, QueryError> {
        let collected = prepared.par_iter().map(|one| self.asks(one)).collect::<Result<Vec<_>, _>>()?;
        let mut asks: Vec<Ask> = Vec::new();
        let mut known: HashSet<&Ask> = HashSet::new();
        let mut is_new = Vec::new();
        for found in &collected {
            is_new.push(found.iter().map(|ask| known.insert(ask)).collect::<Vec<bool>>());
        }
        drop(known);
        for (found, is_new) in collected.into_iter().zip(is_new) {
            asks.extend(found.into_iter().zip(is_new).filter(|(_, is_new)| *is_new).map(|(ask, _)| ask));
        }
        Plan::new(&asks, &self.facts)
    }

    /// Everything that one request asks for, in order; the same may come several times.
    fn asks(&self, one: &Prepared<'_>) -> Result<Vec<Ask>, QueryError> {
        let (mut found, mut notes) = (Vec::new(), Vec::new());
        let (mut space, mut rates) = (Space::default(), Rates::default());
        for id in &one.request.kpis {
            for grain in &one.grains {
                let (shown, asked) = self.question(one, id, *grain)?;
                let mut questions = Vec::from_iter(Self::compared(one, &asked));
                questions.push(asked);
                if one.request.top.is_some() {
                    questions.push(Question { grain: Grain::All, ..shown.clone() });
                }
                if let (Some(base), Grain::All) = (one.request.compare, *grain) {
                    questions.extend(self.shifted(&shown, base));
                }
                for question in questions {
                    let source = Source::Collect(&mut found);
                    let mut walk = self.walk(source, &mut space, &mut rates, &mut notes);
                    walk.kpi(id, &question)?;
                    if one.request.interval {
                        walk.interval(id, &question)?;
                    }
                }
            }
        }
        Ok(found)
    }

    pub(crate) fn walk<'w>(
        &'w self,
        source: Source<'w>,
        space: &'w mut Space,
        rates: &'w mut Rates,
        notes: &'w mut Vec<String>,
    ) -> Walk<'w> {
        Walk {
            facts: &self.facts,
            catalogue: &self.catalogue,
            calendar: self.settings.calendar,
            settings: &self.settings,
            as_of: self.as_of,
            source,
            space,
            rates,
            notes,
        }
    }

    fn answer(&self, prepared: &Prepared<'_>, cubes: &Cubes) -> Result<Frame, QueryError> {
        let request = prepared.request;
        let (mut space, mut rates, mut notes) = (Space::default(), Rates::default(), Vec::new());
        if let (Some(top), Some(first)) = (request.top, request.kpis.first()) {
            let (shown, _) = self.question(prepared, first, Grain::All)?;
            let series = {
                let mut walk = self.walk(Source::Answer(cubes), &mut space, &mut rates, &mut notes);
                walk.kpi(first, &shown)?
            };
            let kept = greatest(&series, &space, top);
            space.keep(Some(kept));
        }
        let mut questions = Vec::new();
        let mut found: Vec<Found<'_>> = Vec::new();
        for id in &request.kpis {
            for grain in &prepared.grains {
                let (shown, asked) = self.question(prepared, id, *grain)?;
                let mut walk = self.walk(Source::Answer(cubes), &mut space, &mut rates, &mut notes);
                let series = walk.kpi(id, &asked)?;
                let base = match (request.compare, *grain) {
                    (Some(base), Grain::All) => match self.shifted(&shown, base) {
                        Some(before) => {
                            if let (Some(from), Some(to)) =
                                (before.from, before.to.filter(|_| shown.to != shown.to_asked))
                            {
                                walk.note(format!(
                                    "the range is still running: what there is of it is compared with {} .. {}",
                                    date::format(from),
                                    date::format(to - 1)
                                ));
                            }
                            let base = walk.kpi(id, &before)?;
                            common(id, &[&series.currency, &base.currency])?;
                            Some(Comparison::Series(Box::new(base)))
                        }
                        None => {
                            walk.note("a comparison over all time needs --from and --to, or --period".to_owned());
                            None
                        }
                    },
                    (Some(base), _) => {
                        let whole = Self::compared(prepared, &asked).map(|whole| walk.kpi(id, &whole)).transpose()?;
                        Some(Comparison::Shifted(base, whole.map(Box::new)))
                    }
                    (None, _) => None,
                };
                let interval = if request.interval { walk.interval(id, &asked)? } else { None };
                self.cuts(id, prepared, &shown)?.into_iter().for_each(|cut| walk.note(cut));
                found.push((id, questions.len(), series, base, interval));
                questions.push(shown);
            }
        }
        if questions.iter().any(|question| question.by.is_empty()) {
            space.number([0; MAX_SEGMENTS], 0);
        }
        let columns = found
            .into_iter()
            .map(|(id, question, series, base, interval)| {
                Ok(Column {
                    definition: self.catalogue.get(id)?,
                    question: &questions[question],
                    series,
                    base,
                    interval,
                })
            })
            .collect::<Result<Vec<_>, QueryError>>()?;
        let layout = Layout {
            calendar: self.settings.calendar,
            as_of: self.as_of,
            space: &space,
            segments: &prepared.by,
            sparse: request.sparse,
            intervals: request.interval,
        };
        let mut frame = layout.frame(&columns, notes)?;
        let running: Vec<&str> =
            frame.periods.iter().filter(|period| period.partial).map(|period| period.label.as_str()).collect();
        if let (false, Some(as_of)) = (running.is_empty(), self.as_of) {
            let note = format!("still running on {}: {}", date::format(as_of), running.join(", "));
            frame.notes.push(note);
        }
        Ok(frame)
    }
}

/// A KPI's answer on its way: id, position of its question, values, and what it is compared and its interval computed with.
type Found<'r> = (&'r str, usize, Series, Option<Comparison>, Option<interval::Basis>);

/// The combinations with the greatest values; ties go to the smaller label.
fn greatest(series: &Series, space: &Space, top: u32) -> HashSet<crate::evaluate::space::Combination> {
    let ranks = space.ranks();
    let mut all: Vec<(f64, u32, u32)> = series
        .points
        .iter()
        .map(|((_, combination), point)| {
            // Rates are ranked by their weight: a share of one deal in one is not the top.
            let weight = point.denominator.or(point.value).map_or(f64::MIN, dealframe_model::frame::Number::to_f64);
            (weight, ranks[combination as usize], combination)
        })
        .collect();
    all.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    all.into_iter().take(top as usize).map(|(.., combination)| space.combination(combination)).collect()
}
