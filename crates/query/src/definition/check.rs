//! What a definition means, held against the tables: do columns exist, do kinds fit.
//!
//! The kinds of expressions follow the rules of `crate::compile`, which has the last word when
//! a query is compiled; here they are applied to the list in `columns`, without a lake. Every
//! fault says at which place of the definition it stands.

use dealframe_model::expression::{Expression, Literal};
use dealframe_model::kpi::{Aggregate, Compute, Derived, Measure, Operation, Part, Retention, Stock, Survival, Within};
use dealframe_model::table::{ColumnType, TABLES};
use dealframe_model::vocabulary::Vocabulary;
use dealframe_model::{date, decimal};

use super::Fault;
use super::columns::{Columns, Kind, columns, is_fraction, unread, words};
use crate::compile::like;
use crate::error::{QueryError, nearest};
use crate::facts::derived::DERIVED;
use crate::parse;

/// Ids of the KPIs that a computation refers to, and where it does.
pub(crate) fn references(compute: &Compute) -> Vec<(String, String)> {
    let of_part = |path: &str, part: &Part| -> Vec<(String, String)> {
        terms(path, part).filter_map(|(path, term)| Some((format!("{path}.kpi"), term.kpi.clone()?))).collect()
    };
    match compute {
        Compute::Ratio { numerator, denominator, .. } => {
            [of_part("compute.numerator", numerator), of_part("compute.denominator", denominator)].concat()
        }
        Compute::Total { part } => of_part("compute.part", part),
        Compute::Derived(Derived { of, .. }) => vec![("compute.of".to_owned(), of.clone())],
        Compute::Formula { formula } => crate::formula::names(formula)
            .unwrap_or_default()
            .into_iter()
            .map(|name| ("compute.formula".to_owned(), name))
            .collect(),
        Compute::Attainment { actual, .. } => vec![("compute.actual".to_owned(), actual.clone())],
        Compute::Flow { .. }
        | Compute::Stock { .. }
        | Compute::Retention { .. }
        | Compute::Survival { .. }
        | Compute::Recurring { .. } => Vec::new(),
    }
}

/// The terms of a part with their places.
pub(super) fn terms<'p>(
    path: &'p str,
    part: &'p Part,
) -> impl Iterator<Item = (String, &'p dealframe_model::kpi::Term)> {
    part.terms().iter().enumerate().map(move |(position, term)| match part {
        Part::One(_) => (path.to_owned(), term),
        Part::Sum(_) => (format!("{path}.{position}"), term),
    })
}

/// Checks a computation against the tables.
pub(crate) fn meaning(compute: &Compute) -> Result<(), Fault> {
    match compute {
        Compute::Flow { measure: source } => measure("compute.measure", source),
        Compute::Ratio { numerator, denominator, within, .. } => {
            part("compute.numerator", numerator)?;
            part("compute.denominator", denominator)?;
            within.as_ref().map_or(Ok(()), |within| in_time(within, numerator, denominator))
        }
        Compute::Stock { stock: source } => stock("compute.stock", source),
        Compute::Total { part: sum } => part("compute.part", sum),
        Compute::Formula { formula } => {
            crate::formula::names(formula).map(|_| ()).map_err(|reason| Fault::new("compute.formula", reason))
        }
        Compute::Retention { retention: source } => retention("compute.retention", source),
        Compute::Survival { survival: source } => survival("compute.survival", source),
        Compute::Derived(Derived { operation, .. }) => derived(operation),
        Compute::Recurring { .. } | Compute::Attainment { .. } => Ok(()),
    }
}

fn derived(operation: &Operation) -> Result<(), Fault> {
    match operation {
        Operation::By { segment } | Operation::Share { segment } => {
            let tables = || TABLES.iter().map(|table| table.name).chain(DERIVED);
            let is_segment = |(name, kind): (&&str, &Kind)| *name == segment && *kind == Kind::Text;
            if tables().any(|table| columns(table).is_some_and(|columns| columns.iter().any(is_segment))) {
                return Ok(());
            }
            Err(Fault::new("compute.segment", format!("no table has a segment `{segment}`")))
        }
        _ => Ok(()),
    }
}

fn part(path: &str, part: &Part) -> Result<(), Fault> {
    if part.terms().is_empty() {
        return Err(Fault::new(path, "a part has no terms"));
    }
    for (path, term) in terms(path, part) {
        match (&term.measure, &term.stock, &term.kpi) {
            (Some(source), None, None) => measure(&format!("{path}.measure"), source)?,
            (None, Some(source), None) => stock(&format!("{path}.stock"), source)?,
            (None, None, Some(_)) => {}
            _ => return Err(Fault::new(path, "a term names exactly one of measure, stock and kpi")),
        }
    }
    Ok(())
}

/// A number of days needs a day to count from and one to count to, in every row.
fn in_time(within: &Within, numerator: &Part, denominator: &Part) -> Result<(), Fault> {
    for (path, term) in terms("compute.numerator", numerator) {
        let Some(measure) = &term.measure else {
            return Err(Fault::new(path, "above the line `within` needs a measure, whose rows have the two dates"));
        };
        Source::new("compute.within", &measure.table)?.date("until", &within.until)?;
    }
    for (path, term) in terms("compute.numerator", numerator).chain(terms("compute.denominator", denominator)) {
        if term.stock.is_some() {
            return Err(Fault::new(format!("{path}.stock"), "a stock has no age: `within` goes with measures"));
        }
        if term.measure.as_ref().is_some_and(|measure| measure.ahead) {
            let reason = "what lies ahead has no age: `within` goes without `ahead`";
            return Err(Fault::new(format!("{path}.measure.ahead"), reason));
        }
    }
    Ok(())
}

fn measure(path: &str, measure: &Measure) -> Result<(), Fault> {
    let source = Source::new(path, &measure.table)?;
    source.date("date", &measure.date)?;
    source.aggregate(measure.aggregate, measure.of.as_deref())?;
    source.filter(measure.filter.as_deref())
}

fn stock(path: &str, stock: &Stock) -> Result<(), Fault> {
    let source = Source::new(path, &stock.table)?;
    source.date("from", &stock.from)?;
    source.date("until", &stock.until)?;
    if !matches!(stock.aggregate, Aggregate::Count | Aggregate::Sum) {
        return Err(Fault::new(format!("{path}.aggregate"), "a stock is a count or a sum"));
    }
    source.aggregate(stock.aggregate, stock.of.as_deref())?;
    source.filter(stock.filter.as_deref())
}

fn retention(path: &str, retention: &Retention) -> Result<(), Fault> {
    let source = Source::new(path, &retention.table)?;
    source.date("date", &retention.date)?;
    match source.column(&retention.key).map_err(|reason| source.fault("key", reason))? {
        Kind::Text | Kind::Key => source.filter(retention.filter.as_deref()),
        other => {
            Err(source.fault("key", format!("`{}` is {}, nobody is recognised by it", retention.key, other.name())))
        }
    }
}

fn survival(path: &str, survival: &Survival) -> Result<(), Fault> {
    let source = Source::new(path, &survival.table)?;
    source.date("date", &survival.date)?;
    source.aggregate(Aggregate::Sum, Some(&survival.of))?;
    source.said("ended", Some(&survival.ended))?;
    source.filter(survival.filter.as_deref())
}

/// Refuses a filter of a question that compares what cannot be compared, or with what a column never holds.
///
/// Names that the table does not have are left to who looks them up, unless they are texts without their quotes.
///
/// # Errors
/// With the filter and what is wrong in it.
pub(crate) fn question(table: &str, filter: &Expression, text: &str) -> Result<(), QueryError> {
    let Ok(source) = Source::new("", table) else { return Ok(()) };
    let mut is_known = true;
    filter.visit_columns(&mut |name| is_known &= source.columns.contains_key(name));
    let fail = |reason| QueryError::Expression { expression: text.to_owned(), reason };
    if !is_known {
        let mut unquoted = None;
        filter.visit(&mut |node| {
            if let Expression::Compare { left, right, .. } = node {
                unquoted = unquoted.take().or_else(|| source.unquoted(left, right));
            }
        });
        return unquoted.map_or(Ok(()), |reason| Err(fail(reason)));
    }
    source.condition(filter).map_err(fail)
}

/// A table that a place of a definition reads.
struct Source<'a> {
    path: &'a str,
    table: &'a str,
    columns: Columns,
}

impl<'a> Source<'a> {
    fn new(path: &'a str, table: &'a str) -> Result<Self, Fault> {
        let columns = columns(table).ok_or_else(|| {
            let known = nearest(table, TABLES.iter().map(|table| table.name).chain(DERIVED));
            let hint = known.first().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            Fault::new(format!("{path}.table"), format!("there is no table `{table}`{hint}"))
        })?;
        Ok(Self { path, table, columns })
    }

    fn fault(&self, field: &str, reason: impl Into<String>) -> Fault {
        Fault::new(format!("{}.{field}", self.path), reason)
    }

    fn column(&self, name: &str) -> Result<Kind, String> {
        self.columns.get(name).copied().ok_or_else(|| {
            let unread = unread(self.table, name);
            if unread == Some(ColumnType::Timestamp) {
                let dates = self.dates(name);
                return format!("`{name}` of `{}` is a point in time, and KPIs count by days; {dates}", self.table);
            }
            let known = nearest(name, self.columns.keys().copied());
            let hint =
                if known.is_empty() { String::new() } else { format!("; did you mean `{}`?", known.join("` or `")) };
            match unread {
                Some(_) => format!(
                    "`{name}` of `{}` is a text that differs from row to row, which KPIs do not read; `dealframe sql` does{hint}",
                    self.table
                ),
                None => format!("the table `{}` has no column or segment `{name}`{hint}", self.table),
            }
        })
    }

    fn date(&self, field: &str, name: &str) -> Result<(), Fault> {
        match self.column(name).map_err(|reason| self.fault(field, reason))? {
            Kind::Date => Ok(()),
            other => Err(self.fault(field, format!("`{name}` is {} and no date; {}", other.name(), self.dates(name)))),
        }
    }

    /// The dates of the table, for people; what was probably meant comes first.
    fn dates(&self, found: &str) -> String {
        let mut dates: Vec<&str> =
            self.columns.iter().filter(|(_, kind)| **kind == Kind::Date).map(|(name, _)| *name).collect();
        let likely = nearest(found, dates.iter().copied());
        dates.sort_by_key(|name| likely.iter().position(|one| one == name).unwrap_or(likely.len()));
        match dates.as_slice() {
            [] => format!("`{}` has no dates", self.table),
            all => format!("the dates of `{}` are {}", self.table, all.join(", ")),
        }
    }

    /// Refuses a word that a column never holds: one that is none of a closed vocabulary, or a known one in capitals.
    fn word(&self, side: &Expression, text: &str) -> Result<(), String> {
        let Some((name, vocabulary)) = self.vocabulary(side) else { return Ok(()) };
        let words = vocabulary.words;
        if words.contains(&text) {
            return Ok(());
        }
        let same = vocabulary.find(text.trim().as_bytes()).map(str::to_owned);
        // An open vocabulary takes any other word, but a known one is stored as it stands there.
        if same.is_none() && !vocabulary.is_closed {
            return Ok(());
        }
        let likely = same.or_else(|| nearest(text, words.iter().copied()).into_iter().next());
        let hint = likely.map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
        let all = if vocabulary.is_closed { "its words are" } else { "its known words are" };
        Err(format!("`{name}` of `{}` is never '{text}'{hint} ({all} {})", self.table, words.join(", ")))
    }

    /// A column whose words are known, and its words.
    fn vocabulary<'e>(&self, side: &'e Expression) -> Option<(&'e str, Vocabulary)> {
        let Expression::Column(name) = side else { return None };
        words(self.table, name).map(|words| (name.as_str(), words))
    }

    /// A word that is compared with a column of texts and is no column: most likely a text without its quotes.
    fn unquoted(&self, left: &Expression, right: &Expression) -> Option<String> {
        let (Expression::Column(left), Expression::Column(right)) = (left, right) else { return None };
        let is_text = |name: &str| matches!(self.columns.get(name), Some(Kind::Text | Kind::Key));
        let is_none = |name: &str| !self.columns.contains_key(name) && unread(self.table, name).is_none();
        let word = match (is_text(left), is_text(right)) {
            (true, _) if is_none(right) => right,
            (_, true) if is_none(left) => left,
            _ => return None,
        };
        Some(format!(
            "`{word}` is no column of `{}`; quotes are missing: a text stands in single quotes, as '{word}'",
            self.table
        ))
    }

    /// Refuses a share that is compared with a number above 1, which is one in per cent.
    fn share(&self, side: &Expression, other: &Expression) -> Result<(), String> {
        let name = match side {
            Expression::Column(name) => name,
            Expression::Coalesce(operands) => match operands.first() {
                Some(Expression::Column(name)) => name,
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        let Expression::Literal(Literal::Number { value, scale }) = other else { return Ok(()) };
        let value = i128::from(*value);
        if !is_fraction(self.table, name) || value <= decimal::power_of_ten(*scale) {
            return Ok(());
        }
        let shown = decimal::format(value, *scale, 0);
        let hint = if value <= 100 * decimal::power_of_ten(*scale) {
            format!("; write {} for {shown} %", decimal::format(value, *scale + 2, 0))
        } else {
            String::new()
        };
        Err(format!("`{name}` of `{}` is a fraction from 0 to 1, and {shown} is none{hint}", self.table))
    }

    fn aggregate(&self, aggregate: Aggregate, of: Option<&str>) -> Result<(), Fault> {
        let Some(text) = of else {
            return match aggregate {
                Aggregate::Count => Ok(()),
                _ => Err(Fault::new(self.path, "`of` is missing: say what is aggregated")),
            };
        };
        let fault = |reason: String| self.fault("of", reason);
        let expression = parse::expression(text).map_err(|error| fault(error.to_string()))?;
        let kind = self.kind(&expression).map_err(fault)?;
        match (aggregate, kind) {
            (Aggregate::Count, _) | (_, None) => Ok(()),
            (Aggregate::Sum | Aggregate::Median | Aggregate::P90 | Aggregate::SumOfSquares, Some(Kind::Number)) => {
                Ok(())
            }
            (Aggregate::CountDistinct, Some(Kind::Text | Kind::Key)) if matches!(expression, Expression::Column(_)) => {
                Ok(())
            }
            (Aggregate::CountDistinct, _) => {
                Err(fault(format!("`{text}` is no segment or identifier whose values can be counted")))
            }
            (_, Some(kind)) => Err(fault(format!("`{text}` is {} and cannot be added up", kind.name()))),
        }
    }

    fn filter(&self, filter: Option<&str>) -> Result<(), Fault> {
        self.said("where", filter)
    }

    /// A condition in a field.
    fn said(&self, field: &str, condition: Option<&str>) -> Result<(), Fault> {
        let Some(text) = condition else { return Ok(()) };
        let fault = |reason: String| self.fault(field, reason);
        let expression = parse::expression(text).map_err(|error| fault(error.to_string()))?;
        self.condition(&expression).map_err(fault)
    }

    fn condition(&self, expression: &Expression) -> Result<(), String> {
        match expression {
            Expression::Not(operand) => self.condition(operand),
            Expression::And(left, right) | Expression::Or(left, right) => {
                self.condition(left).and_then(|()| self.condition(right))
            }
            Expression::Case { branches, otherwise } => {
                for (condition, value) in branches {
                    self.condition(condition)?;
                    self.condition(value)?;
                }
                self.condition(otherwise)
            }
            _ => match self.kind(expression)? {
                None | Some(Kind::Boolean) => Ok(()),
                Some(other) => Err(format!("{} stands where a condition is expected", other.name())),
            },
        }
    }

    /// What an expression is; `None` for null.
    fn kind(&self, expression: &Expression) -> Result<Option<Kind>, String> {
        Ok(match expression {
            Expression::Column(name) => Some(self.column(name)?),
            Expression::Literal(literal) => literal_kind(literal),
            Expression::Not(_) | Expression::And(..) | Expression::Or(..) => {
                self.condition(expression)?;
                Some(Kind::Boolean)
            }
            Expression::IsNull(operand) => {
                self.kind(operand)?;
                Some(Kind::Boolean)
            }
            Expression::Compare { left, right, .. } => {
                self.comparable(left, right)?;
                Some(Kind::Boolean)
            }
            Expression::In { operand, list } => {
                for literal in list {
                    self.comparable(operand, &Expression::Literal(literal.clone()))?;
                }
                Some(Kind::Boolean)
            }
            Expression::Like { operand, pattern, any_case } => match self.kind(operand)? {
                Some(Kind::Text | Kind::Key) => {
                    if let Some((name, Vocabulary { words, is_closed: true })) = self.vocabulary(operand)
                        && !words.iter().any(|word| like(word, pattern, *any_case))
                    {
                        let known = words.join(", ");
                        return Err(format!("no word of `{name}` is like '{pattern}' (its words are {known})"));
                    }
                    Some(Kind::Boolean)
                }
                _ => return Err("LIKE works on categories and segments".to_owned()),
            },
            Expression::Arithmetic { left, right, .. } => {
                self.number(left)?;
                self.number(right)?;
                Some(Kind::Number)
            }
            Expression::DaysBetween { start, end } => {
                for side in [start, end] {
                    let is_day = match &**side {
                        Expression::Literal(Literal::Text(text)) => date::parse(text).is_some(),
                        other => self.kind(other)? == Some(Kind::Date),
                    };
                    if !is_day {
                        return Err("days_between takes two dates".to_owned());
                    }
                }
                Some(Kind::Number)
            }
            Expression::Case { branches, otherwise } => {
                for (condition, value) in branches {
                    self.condition(condition)?;
                    self.number(value)?;
                }
                self.number(otherwise)?;
                Some(Kind::Number)
            }
            Expression::Coalesce(operands) => {
                let mut common = None;
                for operand in operands {
                    match (common, self.kind(operand)?) {
                        (_, Some(Kind::Text | Kind::Key)) => {
                            return Err("coalesce works on numbers, dates and booleans".to_owned());
                        }
                        (Some(known), Some(kind)) if known != kind => return Err("coalesce mixes kinds".to_owned()),
                        (known, kind) => common = known.or(kind),
                    }
                }
                common
            }
        })
    }

    fn number(&self, expression: &Expression) -> Result<(), String> {
        match self.kind(expression)? {
            None | Some(Kind::Number | Kind::Boolean) => Ok(()),
            Some(other) => Err(format!("{} stands where a number is expected", other.name())),
        }
    }

    fn comparable(&self, left: &Expression, right: &Expression) -> Result<(), String> {
        let literal = |side: &Expression| match side {
            Expression::Literal(Literal::Text(text)) => Some(text.clone()),
            _ => None,
        };
        if let Some(reason) = self.unquoted(left, right) {
            return Err(reason);
        }
        let (texts, kinds) = ((literal(left), literal(right)), (self.kind(left)?, self.kind(right)?));
        let is_text = |kind: Option<Kind>| matches!(kind, Some(Kind::Text | Kind::Key));
        match (kinds, texts) {
            ((None, _) | (_, None), _) => Ok(()),
            ((Some(Kind::Date), _), (_, Some(text))) | ((_, Some(Kind::Date)), (Some(text), _)) => {
                date::parse(&text).map(|_| ()).ok_or_else(|| format!("`{text}` is no date; write 2024-12-31"))
            }
            ((one, other), (None, Some(text))) if is_text(one) && is_text(other) => self.word(left, &text),
            ((one, other), (Some(text), None)) if is_text(one) && is_text(other) => self.word(right, &text),
            ((left, right), _) if is_text(left) && is_text(right) => {
                Err("two columns of text cannot be compared; compare with a quoted text".to_owned())
            }
            ((Some(Kind::Number), Some(Kind::Number)), _) => {
                self.share(left, right).and_then(|()| self.share(right, left))
            }
            ((Some(left), Some(right)), _) if left == right => Ok(()),
            ((Some(left), Some(right)), _) => Err(format!("{} is compared with {}", left.name(), right.name())),
        }
    }
}

fn literal_kind(literal: &Literal) -> Option<Kind> {
    match literal {
        Literal::Null => None,
        Literal::Boolean(_) => Some(Kind::Boolean),
        Literal::Text(_) => Some(Kind::Text),
        Literal::Number { .. } => Some(Kind::Number),
        Literal::Date(_) => Some(Kind::Date),
    }
}
