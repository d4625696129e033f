//! The naive evaluator: any definition, for one period and one combination of segments.
//!
//! For every leaf it loops over all rows of a table and keeps those that lie in the period, pass
//! the filters and have the wanted segment values. Nothing is shared, rolled up or reused
//! between periods. What the kinds mean is taken from the words of `dealframe_model::kpi`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use dealframe_model::calendar::{Calendar, Grain};
use dealframe_model::kpi::{
    Aggregate, At, AttainmentShow, Base, Compute, Definition, Derived, Empty, Measure, Movement, Operation, Pacing,
    Part, Reset, Retention, RetentionShow, Stock, Survival, SurvivalShow, Term, Unit,
};

use super::derived::Facts;
use super::expression::{self, Expression};
use super::segments;
use super::value::{Fraction, Value};
use super::world::{Row, cell};

/// The scope of targets for the whole company.
const COMPANY: &str = "company";

/// Segment values, in the order of the question's segments.
pub type Combination = Vec<Option<String>>;

/// A span of days as part of a calendar: first and last day, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    pub grain: Grain,
    pub index: i32,
    pub first: i32,
    pub last: i32,
}

/// What a KPI is for one window and combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answer {
    pub value: Option<Fraction>,
    pub numerator: Option<Fraction>,
    pub denominator: Option<Fraction>,
    pub rows: i64,
}

/// One question to one company.
pub struct Question<'a> {
    pub facts: &'a Facts,
    pub definitions: &'a BTreeMap<String, Definition>,
    pub calendar: Calendar,
    pub by: Vec<String>,
    pub filters: Vec<Expression>,
    prepared: RefCell<HashMap<Leaf, Rc<Vec<Candidate>>>>,
}

/// What a leaf needs of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Leaf {
    table: String,
    from: String,
    until: Option<String>,
    of: Option<String>,
    filter: Option<String>,
    /// Rows dated after the as-of day count as well.
    ahead: bool,
}

/// A row that passes the filters of a leaf.
struct Candidate {
    from: i32,
    until: Option<i32>,
    of: Value,
    combination: Combination,
}

/// The sum of several leaves.
#[derive(Debug, Clone, Copy)]
struct Total {
    value: Option<Fraction>,
    rows: i64,
}

impl<'a> Question<'a> {
    pub fn new(
        facts: &'a Facts,
        definitions: &'a BTreeMap<String, Definition>,
        calendar: Calendar,
        by: &[&str],
        filters: &[&str],
    ) -> Self {
        Self {
            facts,
            definitions,
            calendar,
            by: by.iter().map(|name| (*name).to_owned()).collect(),
            filters: filters.iter().map(|text| expression::parse(text)).collect(),
            prepared: RefCell::default(),
        }
    }

    pub fn window(&self, grain: Grain, index: i32) -> Window {
        if grain == Grain::All {
            return Window { grain, index: 0, first: i32::MIN, last: i32::MAX };
        }
        Window { grain, index, first: self.calendar.start(grain, index), last: self.calendar.end(grain, index) - 1 }
    }

    /// The answer for one combination, or over all of them.
    pub fn answer(&self, kpi: &str, window: Window, combination: Option<&Combination>) -> Answer {
        let definition = &self.definitions[kpi];
        match &definition.compute {
            Compute::Flow { measure } => plain(self.flow(measure, window, combination)),
            Compute::Stock { stock } => plain(self.stock(stock, At::End, window, combination)),
            Compute::Total { part } => plain(self.part(part, window, combination)),
            Compute::Ratio { numerator, denominator, factor, denominator_is_mean, within } => {
                let (mut window, mut numerator) = (window, numerator.clone());
                if let Some(within) = within {
                    // Who came later has not had the days yet; who was later than that is none above.
                    window.last = window.last.min(self.facts.as_of - within.days as i32);
                    for term in terms_of(&mut numerator) {
                        let measure = term.measure.as_mut().unwrap();
                        let known = measure.filter.as_deref().unwrap_or("true");
                        let in_time = format!("days_between({}, {}) <= {}", measure.date, within.until, within.days);
                        measure.filter = Some(format!("({known}) and {in_time}"));
                    }
                }
                let above = self.part(&numerator, window, combination);
                let mut below = self.part(denominator, window, combination);
                if *denominator_is_mean {
                    let terms = Fraction::whole(denominator.terms().len() as i128);
                    below.value = below.value.and_then(|sum| sum.over(terms));
                }
                let factor = Fraction::whole(i128::from(*factor));
                quotient(above.value, below.value, factor, below.rows)
            }
            Compute::Survival { survival } => plain(self.survival(survival, definition.unit, window, combination)),
            Compute::Recurring { movement } => plain(self.flow(&movement_measure(*movement), window, combination)),
            Compute::Retention { retention } => self.retention(retention, window, combination),
            Compute::Attainment { metric, actual, show, pacing } => {
                self.attainment(metric, actual, (*show, *pacing), window, combination)
            }
            Compute::Derived(derived) => self.derived(derived, window, combination),
            Compute::Formula { formula } => self.formula(formula, window, combination),
        }
    }

    /// The level of the plan whose targets are meant.
    fn scope(&self) -> &str {
        self.by.first().map_or(COMPANY, String::as_str)
    }

    /// Every combination that a row of the KPI's tables has, whatever its date.
    pub fn combinations(&self, kpi: &str) -> BTreeSet<Combination> {
        let leaves: Vec<Rc<Vec<Candidate>>> = self.leaves(kpi);
        leaves.iter().flat_map(|rows| rows.iter().map(|row| row.combination.clone())).collect()
    }

    /// Whether a KPI looks beyond the as-of day.
    pub fn looks_ahead(&self, kpi: &str) -> bool {
        leaf_requests(self.definitions, kpi, self.scope()).iter().any(|leaf| leaf.ahead)
    }

    fn leaves(&self, kpi: &str) -> Vec<Rc<Vec<Candidate>>> {
        leaf_requests(self.definitions, kpi, self.scope()).into_iter().map(|leaf| self.candidates(leaf)).collect()
    }

    fn candidates(&self, leaf: Leaf) -> Rc<Vec<Candidate>> {
        if let Some(known) = self.prepared.borrow().get(&leaf) {
            return Rc::clone(known);
        }
        let filter = leaf.filter.as_deref().map(expression::parse);
        let of = leaf.of.as_deref().map(expression::parse);
        let mut candidates = Vec::new();
        for row in self.facts.rows(&leaf.table) {
            let column = |name: &str| segments::named(self.facts, &leaf.table, row, name);
            let passes = |filter: &Expression| filter.evaluate(&column) == Value::Boolean(true);
            let Some(from) = column(&leaf.from).as_date() else { continue };
            if !self.filters.iter().all(passes) || !filter.as_ref().is_none_or(passes) {
                continue;
            }
            if from > self.facts.as_of && !leaf.ahead {
                continue;
            }
            let resolve = |name: &String| segments::resolve(self.facts, &leaf.table, row, name);
            candidates.push(Candidate {
                from,
                until: leaf.until.as_ref().and_then(|until| column(until).as_date()),
                of: of.as_ref().map_or(Value::Boolean(true), |of| identity(of, row, of.evaluate(&column))),
                combination: self.by.iter().map(resolve).collect(),
            });
        }
        let candidates = Rc::new(candidates);
        self.prepared.borrow_mut().insert(leaf, Rc::clone(&candidates));
        candidates
    }

    fn flow(&self, measure: &Measure, window: Window, combination: Option<&Combination>) -> Total {
        let candidates = self.candidates(measure_leaf(measure));
        let values: Vec<&Value> = candidates
            .iter()
            .filter(|row| combination.is_none_or(|wanted| row.combination == *wanted))
            .filter(|row| window.first <= row.from && row.from <= window.last)
            .map(|row| &row.of)
            .collect();
        aggregate(measure.aggregate, measure.empty, &values)
    }

    /// The numbers that a measure adds up.
    pub fn values(&self, measure: &Measure, window: Window, combination: Option<&Combination>) -> Vec<Fraction> {
        let candidates = self.candidates(measure_leaf(measure));
        let wanted = |row: &&Candidate| combination.is_none_or(|wanted| row.combination == *wanted);
        let within = |row: &&Candidate| window.first <= row.from && row.from <= window.last;
        candidates.iter().filter(wanted).filter(within).filter_map(|row| row.of.as_number()).collect()
    }

    /// What stands at the end of a window, or stood on the day before it.
    fn stock(&self, stock: &Stock, at: At, window: Window, combination: Option<&Combination>) -> Total {
        let day = match at {
            At::End => window.last.min(self.facts.as_of),
            At::Start if window.first == i32::MIN => i32::MIN,
            // A range that cuts a period begins later than the period: so does what is counted against this.
            At::Start => (window.first - 1).min(self.facts.as_of),
        };
        if window.first > self.facts.as_of {
            // Nobody knows what will stand there.
            return Total { value: None, rows: 0 };
        }
        let candidates = self.candidates(stock_leaf(stock));
        let values: Vec<&Value> = candidates
            .iter()
            .filter(|row| combination.is_none_or(|wanted| row.combination == *wanted))
            .filter(|row| row.from <= day && row.until.is_none_or(|until| until > day))
            .map(|row| &row.of)
            .collect();
        aggregate(stock.aggregate, Empty::Zero, &values)
    }

    fn part(&self, part: &Part, window: Window, combination: Option<&Combination>) -> Total {
        let mut total = Total { value: Some(Fraction::ZERO), rows: 0 };
        for term in part.terms() {
            let addend = self.term(term, window, combination);
            total.value = match (total.value, addend.value) {
                (Some(sum), Some(value)) if term.minus => Some(sum.minus(value)),
                (Some(sum), Some(value)) => Some(sum.plus(value)),
                _ => None,
            };
            total.rows += addend.rows;
        }
        total
    }

    fn term(&self, term: &Term, window: Window, combination: Option<&Combination>) -> Total {
        if let Some(measure) = &term.measure {
            return self.flow(measure, window, combination);
        }
        if let Some(stock) = &term.stock {
            return self.stock(stock, term.at, window, combination);
        }
        match &self.definitions[term.kpi.as_ref().unwrap()].compute {
            Compute::Flow { measure } => self.flow(measure, window, combination),
            Compute::Stock { stock } => self.stock(stock, term.at, window, combination),
            other => panic!("a term of kind {}", other.kind()),
        }
    }

    fn retention(&self, retention: &Retention, window: Window, combination: Option<&Combination>) -> Answer {
        if window.grain == Grain::All {
            return Answer::default();
        }
        let candidates = self.candidates(retention_leaf(retention));
        let seen = |window: Window| -> BTreeSet<String> {
            candidates
                .iter()
                .filter(|row| combination.is_none_or(|wanted| row.combination == *wanted))
                .filter(|row| window.first <= row.from && row.from <= window.last)
                .filter_map(|row| row.of.as_text().map(str::to_owned))
                .collect()
        };
        let before = seen(self.window(window.grain, window.index - 1));
        let now = seen(window);
        let kept = before.intersection(&now).count();
        let shown = if retention.show == RetentionShow::Retained { kept } else { before.len() - kept };
        let whole = |count: usize| Some(Fraction::whole(count as i128));
        quotient(whole(shown), whole(before.len()), Fraction::whole(1), before.len() as i64)
    }

    /// Everybody is followed for the days from entry to the as-of day; who had not ended by then still ran.
    fn survival(&self, survival: &Survival, unit: Unit, window: Window, combination: Option<&Combination>) -> Total {
        let in_a_day = match unit {
            Unit::Days => 1,
            Unit::Hours => 24,
            Unit::Minutes => 24 * 60,
            Unit::Seconds => 24 * 60 * 60,
            other => panic!("a survival in {}", other.name()),
        };
        // Times of those who ended, and of those who still ran.
        let (mut ended, mut running) = (Vec::new(), Vec::new());
        for (leaf, is_end) in survival_leaves(survival).into_iter().zip([true, false]) {
            for row in self.candidates(leaf).iter() {
                if combination.is_some_and(|wanted| row.combination != *wanted)
                    || !(window.first..=window.last).contains(&row.from)
                {
                    continue;
                }
                let followed = Fraction::whole(i128::from(self.facts.as_of - row.from) * in_a_day);
                match row.of.as_number() {
                    Some(took) if is_end && took <= followed => ended.push(took),
                    None if is_end => {}
                    _ => running.push(followed),
                }
            }
        }
        let all: Vec<Fraction> = ended.iter().chain(&running).copied().collect();
        let rows = all.len() as i64;
        // The share still running after a time, from the definition: a factor for every time at which somebody ended.
        let share_after = |time: Fraction| -> Fraction {
            let times: BTreeSet<Fraction> = ended.iter().filter(|end| **end <= time).copied().collect();
            times.into_iter().fold(Fraction::whole(1), |share, at| {
                let followed = all.iter().filter(|other| **other >= at).count() as i128;
                let ends = ended.iter().filter(|other| **other == at).count() as i128;
                share.times(Fraction::new(followed - ends, followed))
            })
        };
        let times: Vec<Fraction> = all.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let first_below = |limit: Fraction| times.iter().copied().find(|time| share_after(*time) <= limit);
        let value = match survival.show {
            SurvivalShow::Median => first_below(Fraction::new(1, 2)),
            SurvivalShow::P90 => first_below(Fraction::new(1, 10)),
            SurvivalShow::Mean if ended.is_empty() => None,
            SurvivalShow::Mean => times.first().map(|first| {
                let between = times.windows(2).map(|two| share_after(two[0]).times(two[1].minus(two[0])));
                between.fold(*first, Fraction::plus).rounded()
            }),
        };
        Total { value, rows }
    }

    fn attainment(
        &self,
        metric: &str,
        actual: &str,
        (show, pacing): (AttainmentShow, Option<Pacing>),
        window: Window,
        combination: Option<&Combination>,
    ) -> Answer {
        let target = match pacing {
            None => self.flow(&target_measure(metric, self.scope()), window, combination),
            Some(pacing) => {
                let last = if show == AttainmentShow::Target { i32::MAX } else { self.facts.as_of };
                self.spread(metric, actual, pacing, Window { last: window.last.min(last), ..window }, combination)
            }
        };
        // Null where no target was set.
        let target = Total { value: target.value.filter(|_| target.rows > 0), ..target };
        let actual = self.answer(actual, window, combination);
        match show {
            AttainmentShow::Target => plain(target),
            AttainmentShow::Rate => quotient(actual.value, target.value, Fraction::whole(1), actual.rows),
            AttainmentShow::Gap => {
                let value = actual.value.zip(target.value).map(|(actual, target)| actual.minus(target));
                Answer { value, numerator: actual.value, denominator: target.value, rows: actual.rows }
            }
        }
    }

    /// What of the targets falls on the days of a window, target by target and month by month.
    fn spread(
        &self,
        metric: &str,
        actual: &str,
        pacing: Pacing,
        window: Window,
        combination: Option<&Combination>,
    ) -> Total {
        // Targets of the same period and combination are one.
        let mut together: BTreeMap<(i32, i32, &Combination), (Fraction, i64)> = BTreeMap::new();
        let candidates = self.candidates(spread_leaf(metric, self.scope()));
        for row in candidates.iter().filter(|row| combination.is_none_or(|wanted| row.combination == *wanted)) {
            let (Some(until), Some(value)) = (row.until, row.of.as_number()) else { continue };
            let sum = together.entry((row.from, until.max(row.from), &row.combination)).or_insert((Fraction::ZERO, 0));
            *sum = (sum.0.plus(value), sum.1 + 1);
        }
        let (mut value, mut rows) = (None, 0);
        for ((start, end, own), (target, count)) in together {
            let Some(share) = self.share_of(target, (start, end), actual, pacing, window, own) else { continue };
            value = Some(value.unwrap_or(Fraction::ZERO).plus(share));
            rows += count;
        }
        Total { value, rows }
    }

    /// What of one target falls on the days of a window; nothing where none of its days does.
    fn share_of(
        &self,
        target: Fraction,
        (start, end): (i32, i32),
        actual: &str,
        pacing: Pacing,
        window: Window,
        combination: &Combination,
    ) -> Option<Fraction> {
        if start > window.last || end < window.first {
            return None;
        }
        let month_of = |day: i32| self.calendar.index(Grain::Month, day);
        let months: Vec<i32> = (month_of(start)..=month_of(end)).collect();
        let first_known = self.first_index(actual, Grain::Month);
        let is_known = |month: i32| {
            first_known.is_some_and(|first| month >= first) && self.window(Grain::Month, month).last <= self.facts.as_of
        };
        let years: Vec<i32> =
            (1..=pacing.years as i32).filter(|year| months.iter().all(|month| is_known(month - 12 * year))).collect();
        let days_in = |month: i32| -> Vec<i32> { (start..=end).filter(|day| month_of(*day) == month).collect() };
        let season = |month: i32| -> Fraction {
            let before = years.iter().filter_map(|year| {
                self.answer(actual, self.window(Grain::Month, month - 12 * year), Some(combination)).value
            });
            let whole = self.window(Grain::Month, month);
            let present = Fraction::new(days_in(month).len() as i128, i128::from(whole.last - whole.first + 1));
            before.fold(Fraction::ZERO, Fraction::plus).times(present).max(Fraction::ZERO)
        };
        let mut weights: Vec<Fraction> = months.iter().map(|month| season(*month)).collect();
        if weights.iter().all(|weight| weight.is_zero()) {
            weights = months.iter().map(|month| Fraction::whole(days_in(*month).len() as i128)).collect();
        }
        let all = weights.iter().copied().fold(Fraction::ZERO, Fraction::plus);
        let (mut passed, mut before, mut share) = (Fraction::ZERO, Fraction::ZERO, Fraction::ZERO);
        for (month, weight) in months.iter().zip(weights) {
            passed = passed.plus(weight);
            let until = if passed == all { target } else { cents(target.times(passed.over(all).unwrap())) };
            let part = until.minus(before);
            before = until;
            let days = days_in(*month);
            // The month's part day by day: each day ends at a running total in cents, the last one at the part.
            let total_after = |count: usize| match count == days.len() {
                true => part,
                false => cents(part.times(Fraction::new(count as i128, days.len() as i128))),
            };
            for (place, day) in days.iter().enumerate() {
                if (window.first..=window.last).contains(day) {
                    share = share.plus(total_after(place + 1).minus(total_after(place)));
                }
            }
        }
        Some(share)
    }

    fn derived(&self, derived: &Derived, window: Window, combination: Option<&Combination>) -> Answer {
        let of = |window: Window| self.answer(&derived.of, window, combination);
        let now = of(window);
        let one = Fraction::whole(1);
        // The period as the calendar has it, even where the range cuts it.
        let whole = if window.grain == Grain::All { window } else { self.window(window.grain, window.index) };
        match &derived.operation {
            Operation::By { .. } => now,
            Operation::Share { .. } => {
                let all = self.answer(&derived.of, window, None);
                quotient(now.value, all.value, one, now.rows)
            }
            Operation::Growth { base } => {
                let index = match base {
                    Base::Previous if window.grain == Grain::All => None,
                    Base::Previous => Some(window.index - 1),
                    Base::YearAgo => self.calendar.year_ago(window.grain, window.index),
                };
                let base = index.and_then(|index| of(self.window(window.grain, index)).value);
                let change = now.value.zip(base).map(|(now, base)| now.minus(base));
                quotient(change, base, one, now.rows)
            }
            Operation::Cumulative { reset } => self.cumulative(derived, *reset, window, combination),
            Operation::MovingSum { periods } => {
                let Some(windows) = self.last_windows(&derived.of, window, *periods) else { return Answer::default() };
                let sum = windows.iter().try_fold(Fraction::ZERO, |sum, window| Some(sum.plus(of(*window).value?)));
                Answer { value: sum, numerator: sum, denominator: None, rows: of(whole).rows }
            }
            Operation::MovingAverage { periods } => {
                let Some(windows) = self.last_windows(&derived.of, window, *periods) else { return Answer::default() };
                let sum = windows.iter().try_fold(Fraction::ZERO, |sum, window| Some(sum.plus(of(*window).value?)));
                let mean = sum.and_then(|sum| sum.over(Fraction::whole(i128::from(*periods)))).map(Fraction::rounded);
                Answer { value: mean, numerator: mean, denominator: None, rows: of(whole).rows }
            }
            Operation::SeasonalIndex => self.seasonal_index(derived, window, combination),
            Operation::Trend { periods } => {
                let Some(windows) = self.last_windows(&derived.of, window, *periods) else { return Answer::default() };
                let values: Option<Vec<Fraction>> = windows.iter().map(|window| of(*window).value).collect();
                let slope = values.and_then(|values| slope(&values));
                Answer { value: slope, numerator: slope, denominator: None, rows: of(whole).rows }
            }
        }
    }

    fn cumulative(&self, derived: &Derived, reset: Reset, window: Window, combination: Option<&Combination>) -> Answer {
        // A week that lies in two years belongs to the one in which it starts.
        let start = self.calendar.start(window.grain, window.index);
        let first = match reset {
            Reset::Never => i32::MIN,
            _ if window.grain == Grain::All => window.first,
            Reset::Year => self.calendar.start(Grain::Year, self.calendar.index(Grain::Year, start)),
            Reset::FiscalYear => self.calendar.start(Grain::FiscalYear, self.calendar.index(Grain::FiscalYear, start)),
        };
        self.answer(&derived.of, Window { first, ..window }, combination)
    }

    /// The window and those before it; nothing before the first period in which anything is known for the KPI.
    fn last_windows(&self, kpi: &str, window: Window, periods: u32) -> Option<Vec<Window>> {
        if window.grain == Grain::All {
            return None;
        }
        let first = self.first_index(kpi, window.grain)?;
        let oldest = window.index + 1 - periods as i32;
        (oldest >= first).then(|| (oldest..=window.index).map(|index| self.window(window.grain, index)).collect())
    }

    fn first_index(&self, kpi: &str, grain: Grain) -> Option<i32> {
        let known = |row: &&Candidate| !row.of.is_null();
        let first =
            self.leaves(kpi).iter().flat_map(|rows| rows.iter().filter(known).map(|row| row.from).min()).min()?;
        Some(self.calendar.index(grain, first))
    }

    fn seasonal_index(&self, derived: &Derived, window: Window, combination: Option<&Combination>) -> Answer {
        // A year that is one period has no seasons.
        let Some(count) = Calendar::periods_in_year(window.grain).filter(|count| *count > 1) else {
            return Answer::default();
        };
        let year = window.index.div_euclid(count);
        let windows: Vec<Window> =
            (year * count..(year + 1) * count).map(|index| self.window(window.grain, index)).collect();
        let complete = windows.last().is_some_and(|last| last.last <= self.facts.as_of)
            && self.first_index(&derived.of, window.grain).is_some_and(|first| first <= year * count);
        let now = self.answer(&derived.of, window, combination);
        let sum = windows.iter().try_fold(Fraction::ZERO, |sum, window| {
            Some(sum.plus(self.answer(&derived.of, *window, combination).value?))
        });
        let mean = sum.filter(|_| complete).and_then(|sum| sum.over(Fraction::whole(i128::from(count))));
        let value = now.value.zip(mean).and_then(|(now, mean)| now.over(mean)).map(Fraction::rounded);
        Answer { value, numerator: now.value, denominator: mean.map(Fraction::rounded), rows: now.rows }
    }

    fn formula(&self, formula: &str, window: Window, combination: Option<&Combination>) -> Answer {
        let mut rows = 0;
        let mut operand = |name: &str| {
            let answer = self.answer(name, window, combination);
            rows = rows.max(answer.rows);
            answer.value
        };
        let value = super::formula::evaluate(formula, &mut operand);
        Answer { value, numerator: value, denominator: None, rows }
    }
}

/// An identifier means something within its source only.
fn identity(of: &Expression, row: &Row, value: Value) -> Value {
    match (of, &value) {
        (Expression::Column(name), Value::Text(key)) if name.ends_with("_id") => {
            Value::Text(format!("{key} of {:?}", cell(row, "source_system")))
        }
        _ => value,
    }
}

fn terms_of(part: &mut Part) -> &mut [Term] {
    match part {
        Part::One(term) => std::slice::from_mut(term.as_mut()),
        Part::Sum(terms) => terms,
    }
}

fn plain(total: Total) -> Answer {
    Answer { value: total.value, numerator: total.value, denominator: None, rows: total.rows }
}

fn quotient(above: Option<Fraction>, below: Option<Fraction>, factor: Fraction, rows: i64) -> Answer {
    let value = above.zip(below).and_then(|(above, below)| above.times(factor).over(below)).map(Fraction::rounded);
    Answer { value, numerator: above, denominator: below, rows }
}

fn aggregate(aggregate: Aggregate, empty: Empty, values: &[&Value]) -> Total {
    let known: Vec<&&Value> = values.iter().filter(|value| !value.is_null()).collect();
    let mut numbers: Vec<Fraction> = known.iter().filter_map(|value| value.as_number()).collect();
    numbers.sort();
    let whole = |count: usize| Some(Fraction::whole(count as i128));
    let value = match aggregate {
        Aggregate::Count => whole(known.len()),
        Aggregate::CountDistinct => {
            whole(known.iter().map(|value| format!("{value:?}")).collect::<BTreeSet<_>>().len())
        }
        Aggregate::Sum => Some(numbers.iter().fold(Fraction::ZERO, |sum, number| sum.plus(*number))),
        Aggregate::Median => at_share(&numbers, Fraction::new(1, 2)),
        Aggregate::P90 => at_share(&numbers, Fraction::new(9, 10)),
        Aggregate::SumOfSquares => panic!("no definition adds up squares"),
    };
    let zero = matches!(aggregate, Aggregate::Median | Aggregate::P90).then_some(Fraction::ZERO);
    let value = match empty {
        Empty::Null if known.is_empty() => None,
        _ => value.or(zero),
    };
    Total { value, rows: known.len() as i64 }
}

/// The value at a share of the way through sorted numbers, between two of them where need be.
fn at_share(numbers: &[Fraction], share: Fraction) -> Option<Fraction> {
    let place = share.times(Fraction::whole(numbers.len().checked_sub(1)? as i128));
    let below = (0..numbers.len()).rev().find(|index| Fraction::whole(*index as i128) <= place)?;
    let rest = place.minus(Fraction::whole(below as i128));
    let step = numbers.get(below + 1).map_or(Fraction::ZERO, |next| next.minus(numbers[below]));
    Some(numbers[below].plus(step.times(rest)))
}

/// Rounded to the cent, half away from zero.
fn cents(value: Fraction) -> Fraction {
    let is_negative = value < Fraction::ZERO;
    let magnitude = if is_negative { Fraction::ZERO.minus(value) } else { value };
    let rounded = Fraction::scaled(magnitude.times(Fraction::whole(100)).plus(Fraction::new(1, 2)).floor(), 2);
    if is_negative { Fraction::ZERO.minus(rounded) } else { rounded }
}

/// Slope of the least-squares line through values at equal distances.
fn slope(values: &[Fraction]) -> Option<Fraction> {
    let count = Fraction::whole(values.len() as i128);
    let places: Vec<Fraction> = (0..values.len()).map(|place| Fraction::whole(place as i128)).collect();
    let mean = |numbers: &[Fraction]| numbers.iter().fold(Fraction::ZERO, |sum, number| sum.plus(*number)).over(count);
    let (middle, level) = (mean(&places)?, mean(values)?);
    let products = places.iter().zip(values).map(|(place, value)| place.minus(middle).times(value.minus(level)));
    let squares = places.iter().map(|place| place.minus(middle).times(place.minus(middle)));
    let above = products.fold(Fraction::ZERO, Fraction::plus);
    above.over(squares.fold(Fraction::ZERO, Fraction::plus)).map(Fraction::rounded)
}

fn measure_leaf(measure: &Measure) -> Leaf {
    Leaf {
        table: measure.table.clone(),
        from: measure.date.clone(),
        until: None,
        of: measure.of.clone(),
        filter: measure.filter.clone(),
        ahead: measure.ahead,
    }
}

fn stock_leaf(stock: &Stock) -> Leaf {
    Leaf {
        table: stock.table.clone(),
        from: stock.from.clone(),
        until: Some(stock.until.clone()),
        of: stock.of.clone(),
        filter: stock.filter.clone(),
        ahead: false,
    }
}

fn retention_leaf(retention: &Retention) -> Leaf {
    Leaf {
        table: retention.table.clone(),
        from: retention.date.clone(),
        until: None,
        of: Some(retention.key.clone()),
        filter: retention.filter.clone(),
        ahead: false,
    }
}

/// Those who ended, and those who did not.
fn survival_leaves(survival: &Survival) -> [Leaf; 2] {
    let Survival { table, date, of, ended, filter, .. } = survival;
    let met = filter.as_deref().unwrap_or("true");
    [
        (format!("({met}) and ({ended})"), Some(of.clone())),
        (format!("({met}) and case when {ended} then 0 else 1 end = 1"), None),
    ]
    .map(|(filter, of)| Leaf {
        table: table.clone(),
        from: date.clone(),
        until: None,
        of,
        filter: Some(filter),
        ahead: false,
    })
}

fn movement_measure(movement: Movement) -> Measure {
    let name = match movement {
        Movement::New => Some("new"),
        Movement::Expansion => Some("expansion"),
        Movement::Contraction => Some("contraction"),
        Movement::Churn => Some("churn"),
        Movement::Reactivation => Some("reactivation"),
        Movement::Net => None,
    };
    Measure {
        table: "mrr_changes".into(),
        date: "change_date".into(),
        aggregate: Aggregate::Sum,
        of: Some("amount".into()),
        filter: name.map(|name| format!("movement = '{name}'")),
        empty: Empty::Zero,
        ahead: false,
    }
}

fn target_measure(metric: &str, scope: &str) -> Measure {
    Measure {
        table: "targets".into(),
        date: "period_start".into(),
        aggregate: Aggregate::Sum,
        of: Some("target_value".into()),
        filter: Some(format!("metric = '{metric}' and scope = '{scope}'")),
        empty: Empty::Null,
        ahead: true,
    }
}

/// Targets with the last day of their period.
fn spread_leaf(metric: &str, scope: &str) -> Leaf {
    Leaf { until: Some("period_end".into()), ..measure_leaf(&target_measure(metric, scope)) }
}

/// The leaves below a KPI.
fn leaf_requests(definitions: &BTreeMap<String, Definition>, kpi: &str, scope: &str) -> Vec<Leaf> {
    let terms = |parts: &[&Part]| -> Vec<Leaf> {
        let terms = parts.iter().flat_map(|part| part.terms());
        terms
            .flat_map(|term| match (&term.measure, &term.stock, &term.kpi) {
                (Some(measure), ..) => vec![measure_leaf(measure)],
                (_, Some(stock), _) => vec![stock_leaf(stock)],
                (.., Some(kpi)) => leaf_requests(definitions, kpi, scope),
                _ => panic!("an empty term in {kpi}"),
            })
            .collect()
    };
    match &definitions[kpi].compute {
        Compute::Flow { measure } => vec![measure_leaf(measure)],
        Compute::Stock { stock } => vec![stock_leaf(stock)],
        Compute::Total { part } => terms(&[part]),
        Compute::Ratio { numerator, denominator, .. } => terms(&[numerator, denominator]),
        Compute::Recurring { movement } => vec![measure_leaf(&movement_measure(*movement))],
        Compute::Retention { retention } => vec![retention_leaf(retention)],
        Compute::Survival { survival } => survival_leaves(survival).to_vec(),
        Compute::Derived(derived) => leaf_requests(definitions, &derived.of, scope),
        Compute::Attainment { actual, metric, show, .. } => {
            let mut leaves = vec![measure_leaf(&target_measure(metric, scope))];
            if *show != AttainmentShow::Target {
                leaves.extend(leaf_requests(definitions, actual, scope));
            }
            leaves
        }
        Compute::Formula { formula } => {
            super::formula::names(formula).iter().flat_map(|name| leaf_requests(definitions, name, scope)).collect()
        }
    }
}

/// The tables below a KPI, with the date columns that put their rows into periods.
pub fn tables(definitions: &BTreeMap<String, Definition>, kpi: &str) -> BTreeSet<String> {
    leaf_requests(definitions, kpi, COMPANY).into_iter().map(|leaf| leaf.table).collect()
}
