//! From asks to shared nodes.
//!
//! An ask is one sum or count that some KPI needs, at some unit of time and by some segments.
//! The planner puts asks on the same table, date, filter and range together: equal measures are
//! computed once, and segment sets share one pass as long as their combinations stay few in
//! proportion to the rows. Everything an ask wants is then rolled up from its node's cube.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use dealframe_lake::Lake;
use dealframe_model::calendar::{Calendar, Grain, TimeUnit};
use dealframe_model::expression::Expression;
use dealframe_model::table;
use hashbrown::HashMap;
use rayon::prelude::*;

use crate::aggregates::{self, Kept};
use crate::cube::{Cube, Rolled, Ways};
use crate::error::QueryError;
use crate::facts::derived;
use crate::facts::{Fact, build};
use crate::node::{Apart, MeasureSpec, NodeReport, NodeSpec};
use crate::pass;

/// One sum, count, distinct count or distribution that somebody needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ask {
    pub table: String,
    pub date: Option<String>,
    pub unit: TimeUnit,
    pub by: Vec<String>,
    pub apart: Apart,
    pub apart_expression: Option<Expression>,
    pub filter: Option<Expression>,
    pub filter_text: String,
    pub from: Option<i32>,
    pub to: Option<i32>,
    pub measure: MeasureSpec,
}

/// What asks must share to be answered by one pass.
type Group = (String, Option<String>, Apart, Option<Expression>, Option<i32>, Option<i32>);

/// A fact table, once it was asked for.
type Slot = Arc<Mutex<Option<Arc<Fact>>>>;

/// The fact tables of one state of the lake, made when they are first needed.
pub(crate) struct Facts {
    pub lake: Lake,
    pub anchor: Option<i32>,
    /// Rows from which on what was summed up from a table is kept.
    pub keeps_from: u64,
    open: Mutex<BTreeMap<String, Slot>>,
}

impl Facts {
    pub(crate) fn new(lake: Lake, anchor: Option<i32>, keeps_from: u64) -> Self {
        Self { lake, anchor, keeps_from, open: Mutex::default() }
    }

    /// The fact table of a canonical or derived table. Whoever asks while it is being made waits.
    pub(crate) fn table(&self, name: &str) -> Result<Arc<Fact>, QueryError> {
        let slot = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(open.entry(name.to_owned()).or_default())
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fact) = &*slot {
            return Ok(Arc::clone(fact));
        }
        let fact = Arc::new(apart(|| match table::table(name) {
            Some(table) => build::canonical(&self.lake, table),
            None => derived::table(&self.lake, name, self.anchor),
        })??);
        *slot = Some(Arc::clone(&fact));
        Ok(fact)
    }
}

/// Does parallel work on threads of its own while this one waits.
///
/// On shared threads, one that waits for its part of the work takes up other work meanwhile; if that
/// asks for the same fact table, it waits for what it holds itself.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, QueryError> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(rayon::current_num_threads())
        .build()
        .map_err(|error| QueryError::engine("threads", error))?;
    let done = std::thread::scope(|scope| scope.spawn(|| pool.install(work)).join());
    Ok(done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// Groups that a cube may have for every row of its table: beyond that, sharing a pass costs more than it saves.
const GROUPS_PER_ROW: f64 = 0.02;
/// Cubes up to this size are always worth sharing.
const SMALL_CUBE: f64 = 262_144.0;

/// A node with the asks it answers.
#[derive(Debug)]
pub(crate) struct PlannedNode {
    pub spec: NodeSpec,
    /// Segment sets of the asks, as they were asked for.
    pub wanted: Vec<Vec<String>>,
}

/// Nodes for a set of asks.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub nodes: Vec<PlannedNode>,
    /// Node and measure of every ask.
    pub places: HashMap<Ask, (usize, usize)>,
}

/// Node and kept dimensions.
type RollUpKey = (usize, Vec<String>);

/// A cube by some of its dimensions, with the ways from there to every grain that was asked for.
struct RollUp {
    cube: Arc<Cube>,
    ways: Mutex<HashMap<Grain, Arc<Ways>>>,
}

/// The cubes of a plan.
pub(crate) struct Cubes {
    pub cubes: Vec<Arc<Cube>>,
    pub reports: Vec<NodeReport>,
    places: HashMap<Ask, (usize, usize)>,
    /// What was rolled up before; a result by fewer dimensions is small, and all grains start from it.
    roll_ups: Mutex<HashMap<RollUpKey, Arc<OnceLock<RollUp>>>>,
}

impl Cubes {
    /// The measure of an ask, rolled up to a grain, and the scale of what tells its cells apart.
    pub(crate) fn roll_up(&self, ask: &Ask, grain: Grain, calendar: &Calendar) -> Result<(Rolled, u32), QueryError> {
        let (cube, node, measure) = self
            .places
            .get(ask)
            .and_then(|(node, measure)| self.cubes.get(*node).map(|cube| (cube, *node, *measure)))
            .ok_or_else(|| QueryError::engine("plan", format!("`{}` was not planned", ask.measure.text)))?;
        let slot = {
            let mut known = self.roll_ups.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry((node, ask.by.clone())).or_default())
        };
        let roll_up = match slot.get() {
            Some(roll_up) => roll_up,
            None => {
                let by_less = if cube.dimensions == ask.by { Arc::clone(cube) } else { Arc::new(cube.by(&ask.by)?) };
                slot.get_or_init(|| RollUp { cube: by_less, ways: Mutex::default() })
            }
        };
        let ways = {
            let mut known = roll_up.ways.lock().unwrap_or_else(PoisonError::into_inner);
            let ways = known.entry(grain).or_insert_with(|| Arc::new(roll_up.cube.ways(grain, calendar)));
            Arc::clone(ways)
        };
        Ok((roll_up.cube.roll_up(measure, ways), cube.apart_scale))
    }
}

fn estimate(fact: &Fact, date: Option<&str>, unit: TimeUnit, dimensions: &[String]) -> f64 {
    let days = date
        .and_then(|date| fact.column(date)?.bounds)
        .map_or(1.0, |(low, high)| f64::from(u32::try_from(high - low + 1).unwrap_or(u32::MAX)));
    let units = match unit {
        TimeUnit::None => 1.0,
        TimeUnit::Month => (days / 30.0).ceil(),
        TimeUnit::Week => (days / 7.0).ceil(),
        TimeUnit::Day => days,
    };
    let rows = f64::from(u32::try_from(fact.rows).unwrap_or(u32::MAX));
    dimensions
        .iter()
        .map(|name| fact.column(name).map_or(1.0, |column| f64::from(column.distinct) + 1.0))
        .fold(units, |groups, distinct| (groups * distinct).min(rows * 4.0))
}

impl Plan {
    /// Groups asks into nodes.
    pub(crate) fn new(asks: &[Ask], facts: &Facts) -> Result<Self, QueryError> {
        let mut groups: Vec<(Group, Vec<&Ask>)> = Vec::new();
        let mut index: HashMap<Group, usize> = HashMap::new();
        for ask in asks {
            let group = (ask.table.clone(), ask.date.clone(), ask.apart.clone(), ask.filter.clone(), ask.from, ask.to);
            let position = *index.entry(group.clone()).or_insert_with(|| {
                groups.push((group, Vec::new()));
                groups.len() - 1
            });
            groups[position].1.push(ask);
        }
        let mut plan = Self::default();
        for (_, asks) in groups {
            plan.add_group(&asks, facts)?;
        }
        Ok(plan)
    }

    fn add_group(&mut self, asks: &[&Ask], facts: &Facts) -> Result<(), QueryError> {
        let Some(first) = asks.first() else { return Ok(()) };
        let fact = facts.table(&first.table)?;
        let unit = asks.iter().map(|ask| ask.unit).max().unwrap_or(TimeUnit::None);
        let mixed =
            asks.iter().any(|ask| ask.unit == TimeUnit::Week) && asks.iter().any(|ask| ask.unit == TimeUnit::Month);
        let unit = if mixed { TimeUnit::Day } else { unit };
        let mut sets: Vec<Vec<String>> = Vec::new();
        for ask in asks {
            let mut set = ask.by.clone();
            set.sort();
            set.dedup();
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
        // The widest set first, so that narrower ones find a place in it.
        sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
        let room = (f64::from(u32::try_from(fact.rows).unwrap_or(u32::MAX)) * GROUPS_PER_ROW).max(SMALL_CUBE);
        let mut shared: Vec<Vec<String>> = Vec::new();
        let mut home: HashMap<Vec<String>, usize> = HashMap::new();
        for set in sets {
            let union_with = |known: &Vec<String>| {
                let mut union = known.clone();
                union.extend(set.iter().filter(|name| !known.contains(name)).cloned());
                union
            };
            let best = shared
                .iter()
                .enumerate()
                .map(|(position, known)| {
                    let union = union_with(known);
                    let cost = estimate(&fact, first.date.as_deref(), unit, &union);
                    (position, union, cost)
                })
                .filter(|(position, union, cost)| union.len() == shared[*position].len() || *cost <= room)
                .filter(|(_, union, _)| union.len() < crate::cube::MAX_SEGMENTS)
                .min_by(|left, right| left.2.total_cmp(&right.2));
            let position = match best {
                Some((position, union, _)) => {
                    shared[position] = union;
                    position
                }
                None => {
                    shared.push(set.clone());
                    shared.len() - 1
                }
            };
            home.insert(set, position);
        }
        let start = self.nodes.len();
        for dimensions in shared {
            self.nodes.push(PlannedNode {
                spec: NodeSpec {
                    table: first.table.clone(),
                    date: first.date.clone(),
                    unit,
                    apart: first.apart.clone(),
                    apart_expression: first.apart_expression.clone(),
                    filter: first.filter.clone(),
                    filter_text: first.filter_text.clone(),
                    from: first.from,
                    to: first.to,
                    measures: Vec::new(),
                    groups: estimate(&fact, first.date.as_deref(), unit, &dimensions),
                    dimensions,
                },
                wanted: Vec::new(),
            });
        }
        for ask in asks {
            let mut set = ask.by.clone();
            set.sort();
            set.dedup();
            let position = start + home.get(&set).copied().unwrap_or(0);
            let node = &mut self.nodes[position];
            if !node.wanted.contains(&ask.by) {
                node.wanted.push(ask.by.clone());
            }
            let same = |known: &MeasureSpec| known.of == ask.measure.of && known.filter == ask.measure.filter;
            let measure = node.spec.measures.iter().position(same).unwrap_or_else(|| {
                node.spec.measures.push(ask.measure.clone());
                node.spec.measures.len() - 1
            });
            self.places.insert((*ask).clone(), (position, measure));
        }
        Ok(())
    }

    /// The tables that are read through a filter, as often as they are.
    pub(crate) fn tables_filtered_by(&self, filter: &Expression) -> impl Iterator<Item = &str> {
        let nodes = self.nodes.iter().filter(move |node| node.spec.filter.as_ref() == Some(filter));
        nodes.map(|node| node.spec.table.as_str())
    }

    /// Refuses a plan one of whose cubes would take more memory than allowed.
    ///
    /// # Errors
    /// When the estimate of a node exceeds `limit` bytes.
    pub(crate) fn within(&self, limit: Option<u64>) -> Result<(), QueryError> {
        let Some(limit) = limit else { return Ok(()) };
        for node in &self.nodes {
            // Per group a key, and per measure a sum of 16 bytes and a count of 8, twice while a result is handed over.
            let bytes = node.spec.groups * (16.0 + 24.0 * node.spec.measures.len() as f64) * 2.0;
            if bytes > limit as f64 {
                return Err(QueryError::Memory {
                    needed: (bytes / 1_048_576.0).ceil() as u64,
                    limit: limit >> 20,
                    place: format!("{} by {}", node.spec.table, node.spec.dimensions.join(", ")),
                });
            }
        }
        Ok(())
    }

    /// Runs every node, those that can together. Polars works on all cores within a pass, so passes run one after the other.
    pub(crate) fn run(
        self,
        facts: &Facts,
        rewind_to: Option<i32>,
        calendar: &Calendar,
        explain: bool,
    ) -> Result<Cubes, QueryError> {
        let specs: Vec<&NodeSpec> = self.nodes.iter().map(|node| &node.spec).collect();
        let tables = specs.iter().map(|spec| facts.table(&spec.table)).collect::<Result<Vec<_>, _>>()?;
        let keeps = |fact: &Fact| rewind_to.is_none() && !fact.parts.is_empty() && fact.rows >= facts.keeps_from;
        let started = std::time::Instant::now();
        let found: Vec<Option<Kept>> = (specs.par_iter().zip(&tables))
            .map(|(spec, fact)| if keeps(fact) { aggregates::find(fact, spec, calendar) } else { None })
            .collect();
        let seconds = started.elapsed().as_secs_f64();
        let mut done: Vec<Option<(Cube, NodeReport)>> = specs.iter().map(|_| None).collect();
        // What is summed up over the parts: whose, and with which sign.
        let mut open: Vec<(usize, NodeSpec, i8)> = Vec::new();
        for (position, found) in found.into_iter().enumerate() {
            let Some(Kept { cube, rest }) = found else {
                open.push((position, specs[position].clone(), 1));
                continue;
            };
            let kept = Some(if rest.is_some() { "its days since summed up" } else { "nothing summed up" });
            done[position] = Some((cube, NodeReport { kept, seconds, ..NodeReport::default() }));
            open.extend(rest.map(|(rest, sign)| (position, rest, sign)));
        }
        let run = Run { facts, rewind_to, calendar };
        let over_parts: Vec<&NodeSpec> = open.iter().map(|(_, spec, _)| spec).collect();
        let mut fresh = vec![false; specs.len()];
        for (number, together) in (1..).zip(run.passes(&over_parts)?) {
            let nodes: Vec<&NodeSpec> = together.iter().map(|member| over_parts[*member]).collect();
            let results = run.pass(&nodes, None, explain)?;
            for (member, (cube, mut report)) in together.iter().zip(results) {
                let (position, _, sign) = open[*member];
                report.pass = (number, together.len());
                fresh[position] = sign > 0;
                match &mut done[position] {
                    Some((known, known_report)) => {
                        known.add(&cube, sign);
                        report.kept = known_report.kept;
                        *known_report = report;
                    }
                    none => *none = Some((cube, report)),
                }
            }
        }
        // Kept before the layers are added: they belong to one state of the lake, the parts to many.
        done.par_iter().enumerate().for_each(|(position, done)| {
            if let (true, Some((cube, _))) = (fresh[position] && keeps(&tables[position]), done) {
                aggregates::keep(&tables[position], specs[position], calendar, cube);
            }
        });
        for together in run.passes(&specs)? {
            let nodes: Vec<&NodeSpec> = together.iter().map(|position| specs[*position]).collect();
            let Some(layers) = together.first().and_then(|position| tables[*position].layers.as_ref()) else {
                continue;
            };
            for (layer, sign) in layers.signed() {
                if layer.parts.is_empty() {
                    continue;
                }
                for (position, (other, other_report)) in together.iter().zip(run.pass(&nodes, Some(layer), false)?) {
                    if let Some((cube, report)) = &mut done[*position] {
                        cube.add(&other, sign);
                        report.seconds += other_report.seconds;
                    }
                }
            }
        }
        let (mut cubes, mut reports) = (Vec::with_capacity(done.len()), Vec::with_capacity(done.len()));
        for (cube, report) in done.into_iter().flatten() {
            cubes.push(Arc::new(cube));
            reports.push(report);
        }
        Ok(Cubes { cubes, reports, places: self.places, roll_ups: Mutex::default() })
    }
}

/// What all passes of a run have in common.
struct Run<'r> {
    facts: &'r Facts,
    rewind_to: Option<i32>,
    calendar: &'r Calendar,
}

impl Run<'_> {
    fn passes(&self, nodes: &[&NodeSpec]) -> Result<Vec<Vec<usize>>, QueryError> {
        pass::passes(nodes, self.calendar, &|table| self.facts.table(table))
    }

    /// The nodes of one pass over the parts of their table, or over a layer of it.
    fn pass(
        &self,
        nodes: &[&NodeSpec],
        layer: Option<&Fact>,
        explain: bool,
    ) -> Result<Vec<(Cube, NodeReport)>, QueryError> {
        let Some(first) = nodes.first() else { return Ok(Vec::new()) };
        let whole = self.facts.table(&first.table)?;
        let fact = layer.unwrap_or(&whole);
        let (rewind_to, calendar) = (self.rewind_to, self.calendar);
        if fact.parts.is_empty() {
            nodes.iter().map(|node| Ok((node.empty(fact, rewind_to)?, NodeReport::default()))).collect()
        } else if pass::is_dense(first, &whole, calendar) {
            pass::run(nodes, fact, rewind_to, calendar, explain)
        } else {
            nodes.iter().map(|node| node.run(fact, rewind_to, calendar, explain)).collect()
        }
    }
}
