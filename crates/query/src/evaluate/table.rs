//! Series to frame: which periods and combinations appear, in which order, with which units.
//!
//! Every period of the range appears for every combination that has any value in it, so that
//! silence is shown as 0 or null and not as a missing line; `--sparse` leaves such lines out.
//! The running period is marked. Rows are ordered by KPI, grain, period and labels, null last.

use std::sync::Arc;

use dealframe_model::calendar::{Calendar, Grain};
use dealframe_model::frame::{Frame, FrameKpi, Period, Row};
use dealframe_model::kpi::{Base, Definition, Unit};
use hashbrown::HashMap;

use super::interval;
use super::kinds::carried_get;
use super::money::Currency;
use super::space::Space;
use super::{Point, Question, Series};
use crate::cube::MAX_SEGMENTS;
use crate::error::QueryError;

/// Lines that a dense result may have; more is a mistake more often than a wish.
const MOST_ROWS: u64 = 20_000_000;

/// The value of a segment by which a KPI is not broken down, beside one that is.
pub(crate) const ALL: &str = "(all)";

/// A KPI at one grain, ready to be laid out.
pub(crate) struct Column<'a> {
    pub definition: &'a Definition,
    pub question: &'a Question,
    pub series: Series,
    /// Under `--compare`, what to compare with: the same series shifted, or another one.
    pub base: Option<Comparison>,
    /// Under `--interval`, what its intervals are computed from.
    pub interval: Option<interval::Basis>,
}

/// Where the base of a comparison comes from.
pub(crate) enum Comparison {
    /// Periods before: of the series that is shown, or of another one whose periods are whole.
    Shifted(Base, Option<Box<Series>>),
    Series(Box<Series>),
}

/// What the layout needs beside the series.
pub(crate) struct Layout<'a> {
    pub calendar: Calendar,
    pub as_of: Option<i32>,
    pub space: &'a Space,
    pub segments: &'a [String],
    pub sparse: bool,
    pub intervals: bool,
}

/// What all rows of a combination have in common.
struct Line {
    combination: u32,
    segments: Arc<[Option<u32>]>,
    unit: u32,
}

/// Numbers texts as they come.
#[derive(Default)]
struct Names {
    list: Vec<String>,
    index: HashMap<String, u32>,
}

impl Names {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.index.get(text) {
            return *number;
        }
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(text.to_owned());
        self.index.insert(text.to_owned(), number);
        number
    }
}

impl Layout<'_> {
    /// Lays out all columns into one frame.
    pub(crate) fn frame(&self, columns: &[Column<'_>], notes: Vec<String>) -> Result<Frame, QueryError> {
        let mut frame = Frame { segments: self.segments.to_vec(), notes, ..Frame::default() };
        frame.compared = columns.iter().any(|column| column.base.is_some());
        frame.intervals = self.intervals.then(Vec::new);
        let ranks = self.space.ranks();
        let mut by_rank = vec![0_u32; ranks.len()];
        for (combination, rank) in ranks.iter().enumerate() {
            by_rank[*rank as usize] = u32::try_from(combination).unwrap_or(u32::MAX);
        }
        let (mut labels, mut units) = (Names::default(), Names::default());
        let mut periods: HashMap<(Grain, i32), u32> = HashMap::new();
        for column in columns {
            let kpi = match frame.kpis.iter().position(|known| known.id == column.definition.id) {
                Some(position) => position,
                None => {
                    frame.kpis.push(FrameKpi {
                        id: column.definition.id.clone(),
                        name: column.definition.name.clone(),
                        unit: column.definition.unit,
                        better: column.definition.better,
                    });
                    frame.kpis.len() - 1
                }
            };
            let kpi = u32::try_from(kpi).unwrap_or(u32::MAX);
            let Some((first, last)) = self.shown(column) else { continue };
            let mut combinations = if column.series.carried {
                column.series.combinations()
            } else {
                column.series.points.combinations_within(first, last)
            };
            // What fell to nothing is a line of the comparison as well.
            combinations.extend(self.compared(column, first, last));
            let mut combinations: Vec<u32> =
                combinations.into_iter().map(|combination| ranks[combination as usize]).collect();
            let places: Vec<Option<usize>> =
                self.segments.iter().map(|name| column.question.by.iter().position(|own| own == name)).collect();
            if let (true, Some(total)) = (column.question.by.is_empty(), self.space.find([0; MAX_SEGMENTS])) {
                combinations.push(ranks[total as usize]);
            }
            combinations.sort_unstable();
            combinations.dedup();
            let span = u64::try_from(i64::from(last) - i64::from(first) + 1).unwrap_or(0);
            if !self.sparse && span.saturating_mul(combinations.len() as u64) > MOST_ROWS {
                return Err(QueryError::TooManyRows { combinations: combinations.len() as u64, periods: span });
            }
            // What is the same in every period is found once.
            let lines: Vec<Line> = combinations
                .iter()
                .map(|rank| {
                    let combination = by_rank[*rank as usize];
                    let values = self.space.combination(combination);
                    let segments = places
                        .iter()
                        .map(|place| match place {
                            Some(place) => self.space.label(values[*place]).map(|label| labels.number(label)),
                            // Beside a breakdown, a KPI that is not broken down covers all of the segment.
                            None => Some(labels.number(ALL)),
                        })
                        .collect();
                    Line { combination, segments, unit: units.number(&self.unit(column, &values)) }
                })
                .collect();
            if !self.sparse {
                frame.rows.reserve(usize::try_from(span).unwrap_or(0).saturating_mul(lines.len()));
            }
            for period in first..=last {
                let mut number = None;
                for Line { combination, segments, unit } in &lines {
                    let key = (period, *combination);
                    let point = carried_get(&column.series, key);
                    let base = self.base(column, key);
                    let is_silent = point.rows == 0 && !column.series.points.contains_key(&key);
                    if self.sparse && is_silent && base.is_none_or(|base| base.rows == 0) {
                        continue;
                    }
                    let period_number = *number.get_or_insert_with(|| {
                        *periods.entry((column.question.grain, period)).or_insert_with(|| {
                            frame.periods.push(self.period(column.question, period));
                            u32::try_from(frame.periods.len() - 1).unwrap_or(u32::MAX)
                        })
                    });
                    if let Some(intervals) = &mut frame.intervals {
                        intervals.push(interval::interval(column.interval.as_ref(), key, &point));
                    }
                    frame.rows.push(Row {
                        kpi,
                        period: period_number,
                        segments: Arc::clone(segments),
                        value: point.value,
                        unit: *unit,
                        numerator: point.numerator,
                        denominator: point.denominator,
                        rows: point.rows,
                        base: base.and_then(|base| base.value),
                    });
                }
            }
        }
        frame.labels = labels.list;
        frame.units = units.list;
        Ok(frame)
    }

    /// First and last period to show.
    fn shown(&self, column: &Column<'_>) -> Option<(i32, i32)> {
        let question = column.question;
        if question.grain == Grain::All {
            return Some((0, 0));
        }
        let end = match (question.to_asked, self.as_of) {
            // What lies ahead goes as far as was asked, or as far as there is anything.
            (Some(to), _) if column.series.ahead => Some(to),
            (None, Some(as_of)) if column.series.ahead => {
                let furthest = column.series.span.map(|(_, last)| self.calendar.end(question.grain, last));
                Some(furthest.map_or(as_of + 1, |furthest| furthest.max(as_of + 1)))
            }
            (Some(to), Some(as_of)) => Some(to.min(as_of + 1)),
            (to, as_of) => to.or(as_of.map(|day| day + 1)),
        };
        let first = match question.from {
            Some(from) => self.calendar.index(question.grain, from),
            None => column.series.span?.0,
        };
        let last = match end {
            Some(end) => self.calendar.index(question.grain, end - 1),
            None => column.series.span?.1,
        };
        (first <= last).then_some((first, last))
    }

    fn period(&self, question: &Question, index: i32) -> Period {
        let grain = question.grain;
        let label = self.calendar.label(grain, index);
        if grain == Grain::All {
            return Period { grain, start: question.from, label, partial: false };
        }
        let partial = self.as_of.is_some_and(|as_of| self.calendar.end(grain, index) > as_of + 1);
        Period { grain, start: Some(self.calendar.start(grain, index)), label, partial }
    }

    fn unit(&self, column: &Column<'_>, combination: &super::space::Combination) -> String {
        let unit = column.definition.unit;
        if unit != Unit::Money {
            return unit.name().to_owned();
        }
        match &column.series.currency {
            Currency::One(currency) => currency.clone(),
            Currency::Segment(position) => self.space.label(combination[*position]).unwrap_or(unit.name()).to_owned(),
            Currency::None => unit.name().to_owned(),
        }
    }

    /// Combinations that have something in the periods that the shown ones are compared with.
    fn compared(&self, column: &Column<'_>, first: i32, last: i32) -> Vec<u32> {
        match &column.base {
            None => Vec::new(),
            Some(Comparison::Series(series)) => series.combinations(),
            Some(Comparison::Shifted(base, whole)) => {
                let series = whole.as_deref().unwrap_or(&column.series);
                let befores = (first..=last).filter_map(|period| self.before(column, *base, period));
                let (Some(earliest), Some(latest)) = (befores.clone().min(), befores.max()) else { return Vec::new() };
                series.points.combinations_within(earliest, latest)
            }
        }
    }

    /// The period with which one is compared.
    fn before(&self, column: &Column<'_>, base: Base, period: i32) -> Option<i32> {
        match base {
            Base::Previous => Some(period - 1),
            Base::YearAgo => self.calendar.year_ago(column.question.grain, period),
        }
    }

    fn base(&self, column: &Column<'_>, (period, combination): super::Key) -> Option<Point> {
        match column.base.as_ref()? {
            Comparison::Series(series) => Some(carried_get(series, (period, combination))),
            Comparison::Shifted(base, whole) => {
                let series = whole.as_deref().unwrap_or(&column.series);
                let before = self.before(column, *base, period)?;
                // Before the first data there is nothing to compare with.
                let known = series.span.is_some_and(|(first, _)| before >= first);
                known.then(|| carried_get(series, (before, combination)))
            }
        }
    }
}
