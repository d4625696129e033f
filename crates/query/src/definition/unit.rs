//! Whether the unit of a KPI can be that of what it measures.
//!
//! A unit decides how a value is shown and whether it has a currency; one that contradicts the
//! computation makes a figure that looks right and is none: a rate in euros, a number of deals
//! in days. So do parts that contradict each other: money plus a number of deals. What an
//! expression measures is read off its columns, as far as their names tell; where they do not,
//! or where a factor makes one thing of another, nothing is refused.

use dealframe_model::expression::{Arithmetic, Expression, Literal};
use dealframe_model::kpi::{
    Aggregate, AttainmentShow, Compute, Definition, Derived, Operation, Part, Survival, Term, Unit,
};

use super::Fault;
use super::check::terms;
use super::columns::{Kind, columns};
use crate::evaluate::money::is_amount;
use crate::formula::{self, Formula};
use crate::parse;

/// What an expression measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    /// Numbers that are written down, rows, yes and no.
    Plain,
    Amount,
    Time(Unit),
    /// A time that was multiplied: nobody knows by what name.
    SomeTime,
    /// A column with no unit of its own: a score, a number of seats.
    Other,
    /// Cannot be told.
    Unknown,
}

/// The unit of a column that holds lengths of time; their names say it.
pub(super) fn time_of_column(name: &str) -> Option<Unit> {
    let has = |word: &str| name.split('_').next() == Some(word) || name.rsplit('_').next() == Some(word);
    [(Unit::Days, "days"), (Unit::Hours, "hours"), (Unit::Minutes, "minutes"), (Unit::Seconds, "seconds")]
        .into_iter()
        .find_map(|(unit, word)| has(word).then_some(unit))
}

impl Quantity {
    fn of_unit(unit: Unit) -> Self {
        match unit {
            Unit::Money => Self::Amount,
            Unit::Count => Self::Plain,
            Unit::Days | Unit::Hours | Unit::Minutes | Unit::Seconds | Unit::Months => Self::Time(unit),
            Unit::Ratio | Unit::Number => Self::Other,
        }
    }

    fn of_text(text: &str) -> Self {
        parse::expression(text).map_or(Self::Unknown, |expression| Self::of(&expression))
    }

    fn of(expression: &Expression) -> Self {
        match expression {
            Expression::Column(name) => match time_of_column(name) {
                Some(unit) => Self::Time(unit),
                None if is_amount(name) => Self::Amount,
                // The metric of a target says what its value is.
                None if name == "target_value" => Self::Unknown,
                None => Self::Other,
            },
            Expression::DaysBetween { .. } => Self::Time(Unit::Days),
            Expression::Arithmetic { operator: Arithmetic::Multiply, left, right } => {
                match (Self::of(left), Self::of(right)) {
                    (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
                    (Self::Amount, _) | (_, Self::Amount) => Self::Amount,
                    (Self::Time(_) | Self::SomeTime, _) | (_, Self::Time(_) | Self::SomeTime) => Self::SomeTime,
                    (Self::Plain, Self::Plain) => Self::Plain,
                    _ => Self::Other,
                }
            }
            Expression::Arithmetic { left, right, .. } => Self::of(left).joined(Self::of(right)),
            Expression::Case { branches, otherwise } => {
                let values = branches.iter().map(|(_, value)| value).chain([&**otherwise]);
                values.map(Self::of).reduce(Self::joined).unwrap_or(Self::Unknown)
            }
            Expression::Coalesce(operands) => {
                operands.iter().map(Self::of).reduce(Self::joined).unwrap_or(Self::Unknown)
            }
            Expression::Literal(Literal::Text(_) | Literal::Date(_)) => Self::Unknown,
            Expression::Literal(_)
            | Expression::Not(_)
            | Expression::And(..)
            | Expression::Or(..)
            | Expression::Compare { .. }
            | Expression::IsNull(_)
            | Expression::In { .. }
            | Expression::Like { .. } => Self::Plain,
        }
    }

    /// What is one or the other, or the sum of both. A number that is written down takes the unit of what it stands beside.
    fn joined(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::Plain, known) | (known, Self::Plain) => known,
            (Self::SomeTime, Self::Time(_)) | (Self::Time(_), Self::SomeTime) => Self::SomeTime,
            _ => Self::Unknown,
        }
    }

    fn of_aggregate(aggregate: Aggregate, of: Option<&str>) -> Self {
        match (aggregate, of) {
            (Aggregate::Count | Aggregate::CountDistinct, _) => Self::Plain,
            (_, Some(text)) => Self::of_text(text),
            (_, None) => Self::Unknown,
        }
    }

    fn of_term(term: &Term, unit_of: &dyn Fn(&str) -> Option<Unit>) -> Self {
        match (&term.measure, &term.stock, &term.kpi) {
            (Some(measure), _, _) => Self::of_aggregate(measure.aggregate, measure.of.as_deref()),
            (_, Some(stock), _) => Self::of_aggregate(stock.aggregate, stock.of.as_deref()),
            (_, _, Some(id)) => unit_of(id).map_or(Self::Unknown, Self::of_unit),
            (None, None, None) => Self::Unknown,
        }
    }

    /// What a part measures, if all its terms measure the same.
    fn of_part(part: &Part, unit_of: &dyn Fn(&str) -> Option<Unit>) -> Self {
        let all = part.terms().iter().map(|term| Self::of_term(term, unit_of));
        all.reduce(|one, other| if one == other { one } else { Self::Unknown }).unwrap_or(Self::Unknown)
    }

    /// Whether a value that is added up or picked from such values can have a unit.
    fn fits(self, unit: Unit) -> bool {
        match self {
            Self::Amount => matches!(unit, Unit::Money | Unit::Number),
            Self::Time(own) => unit == own || unit == Unit::Number,
            Self::SomeTime => unit.in_a_day().is_some() || matches!(unit, Unit::Months | Unit::Number),
            Self::Plain => !matches!(unit, Unit::Money),
            Self::Other => !matches!(unit, Unit::Money | Unit::Days | Unit::Hours | Unit::Minutes | Unit::Seconds),
            Self::Unknown => true,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Plain => "a number of rows or of what is counted".to_owned(),
            Self::Amount => "an amount of money".to_owned(),
            Self::Time(unit) => format!("a time in {}", unit.name()),
            Self::SomeTime => "a time".to_owned(),
            Self::Other | Self::Unknown => "a number with no unit of its own".to_owned(),
        }
    }

    /// The units that go with it, for people.
    fn wanted(self) -> &'static str {
        match self {
            Self::Plain => "count or number",
            Self::Amount => "money",
            Self::Time(unit) => unit.name(),
            Self::SomeTime => "days, hours, minutes or seconds",
            Self::Other | Self::Unknown => "number or count",
        }
    }
}

/// A unit that leaves no doubt what is measured; a `number` may be anything.
fn certain(unit: Unit) -> Option<Unit> {
    (unit != Unit::Number).then_some(unit)
}

/// What a term is in, where that is beyond doubt.
fn unit_of_term(term: &Term, unit_of: &dyn Fn(&str) -> Option<Unit>) -> Option<Unit> {
    let of_aggregate = |aggregate, of: Option<&str>| match (aggregate, of) {
        (Aggregate::Count | Aggregate::CountDistinct, _) => Some(Unit::Count),
        (_, Some(text)) => match Quantity::of_text(text) {
            Quantity::Amount => Some(Unit::Money),
            Quantity::Time(unit) => Some(unit),
            _ => None,
        },
        (_, None) => None,
    };
    match (&term.measure, &term.stock, &term.kpi) {
        (Some(measure), ..) => of_aggregate(measure.aggregate, measure.of.as_deref()),
        (_, Some(stock), _) => of_aggregate(stock.aggregate, stock.of.as_deref()),
        (.., Some(id)) => unit_of(id).and_then(certain),
        (None, None, None) => None,
    }
}

/// A unit as the thing that cannot be added to another thing.
fn thing(unit: Unit) -> String {
    match unit {
        Unit::Money => "an amount of money".to_owned(),
        Unit::Count => "a count".to_owned(),
        Unit::Ratio => "a share".to_owned(),
        Unit::Number => "a number".to_owned(),
        time => format!("a time in {}", time.name()),
    }
}

/// Refuses a sum of terms that are in different units.
fn of_one_unit(path: &str, part: &Part, unit_of: &dyn Fn(&str) -> Option<Unit>) -> Result<(), Fault> {
    let mut known: Option<(Unit, String)> = None;
    for (path, term) in terms(path, part) {
        let Some(unit) = unit_of_term(term, unit_of) else { continue };
        let (field, name) = match (&term.measure, &term.stock, &term.kpi) {
            (Some(measure), ..) => ("measure", format!("the measure of `{}`", measure.table)),
            (_, Some(stock), _) => ("stock", format!("the stock of `{}`", stock.table)),
            (.., id) => ("kpi", format!("`{}`", id.as_deref().unwrap_or_default())),
        };
        match &known {
            Some((other, before)) if *other != unit => {
                let reason = format!(
                    "{name} is {} and cannot be added to {before}, {}; expected terms of one unit",
                    thing(unit),
                    thing(*other)
                );
                let hint = "make a KPI of each, or divide one by the other with `kind: ratio`";
                return Err(Fault::new(format!("{path}.{field}"), reason).with_hint(hint));
            }
            Some(_) => {}
            None => known = Some((unit, name)),
        }
    }
    Ok(())
}

/// What a formula is in, where that is beyond doubt: a product and a quotient are in whatever the author says.
fn of_formula(formula: &Formula, unit_of: &dyn Fn(&str) -> Option<Unit>) -> Result<Option<Unit>, String> {
    match formula {
        Formula::Name(name) => Ok(unit_of(name).and_then(certain)),
        Formula::Number(_) => Ok(None),
        Formula::Multiply(left, right) | Formula::Divide(left, right) => {
            of_formula(left, unit_of)?;
            of_formula(right, unit_of)?;
            Ok(None)
        }
        Formula::Add(left, right) | Formula::Subtract(left, right) => {
            match (of_formula(left, unit_of)?, of_formula(right, unit_of)?) {
                (Some(one), Some(other)) if one != other => {
                    let of = |side: &Formula, unit| {
                        let name = side.names().into_iter().find(|name| unit_of(name) == Some(unit));
                        format!("`{}` is {}", name.unwrap_or_default(), thing(unit))
                    };
                    let (left, right) = (of(left, one), of(right, other));
                    Err(format!("{left}, and {right}: they cannot be added or subtracted; expected values of one unit"))
                }
                (Some(one), Some(_)) => Ok(Some(one)),
                // A number that is written down takes the unit of what it stands beside.
                (Some(one), None) if matches!(**right, Formula::Number(_)) => Ok(Some(one)),
                (None, Some(one)) if matches!(**left, Formula::Number(_)) => Ok(Some(one)),
                _ => Ok(None),
            }
        }
    }
}

/// Refuses a unit that contradicts what is computed, and parts that contradict each other; `unit_of` knows the units of
/// other KPIs.
pub(crate) fn check(definition: &Definition, unit_of: &dyn Fn(&str) -> Option<Unit>) -> Result<(), Fault> {
    let unit = definition.unit;
    match &definition.compute {
        Compute::Total { part } => of_one_unit("compute.part", part, unit_of)?,
        Compute::Ratio { numerator, denominator, .. } => {
            of_one_unit("compute.numerator", numerator, unit_of)?;
            of_one_unit("compute.denominator", denominator, unit_of)?;
        }
        _ => {}
    }
    let only = |what: String, units: &[Unit]| {
        if units.contains(&unit) {
            return Ok(());
        }
        let mut names: Vec<&str> = units.iter().map(|unit| unit.name()).collect();
        names.dedup();
        let reason = format!("`unit` is `{}`, but {what}; expected {}", unit.name(), names.join(" or "));
        Err(Fault::new("unit", reason))
    };
    let measured = |quantity: Quantity| {
        if quantity.fits(unit) {
            return Ok(());
        }
        let reason = format!(
            "`unit` is `{}`, but what is measured is {}; expected {}",
            unit.name(),
            quantity.name(),
            quantity.wanted()
        );
        Err(Fault::new("unit", reason))
    };
    match &definition.compute {
        Compute::Flow { measure } if matches!(measure.aggregate, Aggregate::Count | Aggregate::CountDistinct) => {
            only("what is measured is a number of rows or of distinct values".to_owned(), &[Unit::Count, Unit::Number])
        }
        Compute::Stock { stock } if stock.aggregate == Aggregate::Count => {
            only("what is measured is a number of rows".to_owned(), &[Unit::Count, Unit::Number])
        }
        Compute::Flow { measure } => measured(Quantity::of_aggregate(measure.aggregate, measure.of.as_deref())),
        Compute::Stock { stock } => measured(Quantity::of_aggregate(stock.aggregate, stock.of.as_deref())),
        Compute::Total { part } => measured(Quantity::of_part(part, unit_of)),
        Compute::Ratio { numerator, denominator, factor, .. } => {
            let (above, below) = (Quantity::of_part(numerator, unit_of), Quantity::of_part(denominator, unit_of));
            match unit {
                // A factor may be the price of what is counted.
                Unit::Money if *factor == 1 && matches!(above, Quantity::Plain | Quantity::Time(_)) => {
                    only(format!("above the line stands {}", above.name()), &[Unit::Ratio, Unit::Number])
                }
                Unit::Ratio if above == Quantity::Amount && matches!(below, Quantity::Plain | Quantity::Time(_)) => {
                    only(format!("{} is divided by {}", above.name(), below.name()), &[Unit::Money, Unit::Number])
                }
                Unit::Ratio if below == Quantity::Amount && matches!(above, Quantity::Plain | Quantity::Time(_)) => {
                    only(format!("{} is divided by {}", above.name(), below.name()), &[Unit::Number])
                }
                _ => Ok(()),
            }
        }
        Compute::Derived(Derived { of, operation }) => {
            let Some(base) = unit_of(of) else { return Ok(()) };
            match operation {
                Operation::Growth { .. } | Operation::Share { .. } => {
                    only("a growth or a share is a fraction".to_owned(), &[Unit::Ratio, Unit::Number])
                }
                Operation::SeasonalIndex => {
                    only("a seasonal index has no unit of its own".to_owned(), &[Unit::Number, Unit::Ratio])
                }
                Operation::By { .. } => only(format!("`{of}` is in {}", base.name()), &[base]),
                Operation::Cumulative { .. }
                | Operation::MovingAverage { .. }
                | Operation::MovingSum { .. }
                | Operation::Trend { .. } => {
                    // The mean of numbers of rows is no number of rows.
                    let number = if base == Unit::Money { base } else { Unit::Number };
                    only(format!("`{of}` is in {}", base.name()), &[base, number])
                }
            }
        }
        Compute::Retention { .. } => only("a retention is a share of customers".to_owned(), &[Unit::Ratio]),
        Compute::Recurring { .. } => only("recurring revenue is an amount of money".to_owned(), &[Unit::Money]),
        Compute::Attainment { actual, show, .. } => match (show, unit_of(actual)) {
            (AttainmentShow::Rate, _) => only("`show: rate` is a share of the target".to_owned(), &[Unit::Ratio]),
            (_, None) => Ok(()),
            (_, Some(base)) => {
                let number = if base == Unit::Money { base } else { Unit::Number };
                only(format!("targets are in the unit of `{actual}`, {}", base.name()), &[base, number])
            }
        },
        Compute::Survival { survival } => of_survival(unit, survival),
        Compute::Formula { formula: text } => {
            let fault = |reason| Fault::new("compute.formula", reason);
            let parsed = formula::parse(text).map_err(fault)?;
            match of_formula(&parsed, unit_of).map_err(fault)? {
                Some(own) => only(format!("the values of the formula are in {}", own.name()), &[own, Unit::Number]),
                None => Ok(()),
            }
        }
    }
}

/// A survival is told in the unit of time that its rows took.
fn of_survival(unit: Unit, survival: &Survival) -> Result<(), Fault> {
    if unit.in_a_day().is_none() {
        let reason = format!("a survival is told in days, hours, minutes or seconds, not in {}", unit.name());
        return Err(Fault::new("unit", reason));
    }
    let of = &survival.of;
    match Quantity::of_text(of) {
        Quantity::SomeTime => Ok(()),
        Quantity::Time(own) if own == unit => Ok(()),
        Quantity::Time(own) => {
            let reason =
                format!("`{of}` is in {}, and the KPI in {}; expected `unit: {}`", own.name(), unit.name(), own.name());
            Err(Fault::new("compute.survival.of", reason))
        }
        _ => {
            let known = columns(&survival.table).unwrap_or_default();
            let times = known.iter().filter(|(name, kind)| **kind == Kind::Number && time_of_column(name).is_some());
            let times: Vec<String> = times.map(|(name, _)| format!("`{name}`")).collect();
            let mut dates = known.iter().filter(|(name, kind)| **kind == Kind::Date && **name != survival.date);
            let end = dates.next().map_or("close_date", |(name, _)| *name);
            let or_a_column = match times.as_slice() {
                [] => String::new(),
                all => format!(", or {} of `{}`", all.join(", "), survival.table),
            };
            let reason = format!(
                "`{of}` is no length of time; expected the days between two dates, such as `days_between({}, \
                 {end})`{or_a_column}",
                survival.date
            );
            Err(Fault::new("compute.survival.of", reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use dealframe_model::table::TABLES;

    use super::*;
    use crate::facts::derived::DERIVED;

    #[test]
    fn columns_of_time_are_known_by_their_names() {
        let mut found: Vec<String> = Vec::new();
        for table in TABLES.iter().map(|table| table.name).chain(DERIVED) {
            for (name, kind) in columns(table).unwrap_or_default() {
                if kind == Kind::Number
                    && let Some(unit) = time_of_column(name)
                {
                    found.push(format!("{table}.{name} {}", unit.name()));
                }
            }
        }
        found.sort();
        let expected = [
            "activities.duration_seconds seconds",
            "events.duration_seconds seconds",
            "leads.minutes_to_first_contact minutes",
            "stage_entries.days_in_stage days",
            "tickets.first_response_minutes minutes",
            "tickets.resolution_minutes minutes",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn expressions_measure_something() {
        for (text, expected) in [
            ("days_between(created_date, close_date)", Quantity::Time(Unit::Days)),
            ("days_in_stage + 1", Quantity::Time(Unit::Days)),
            ("case when is_won then days_in_stage else 0 end", Quantity::Time(Unit::Days)),
            ("1440 * days_in_stage", Quantity::SomeTime),
            ("coalesce(list_amount, amount + discount_amount, amount)", Quantity::Amount),
            ("quantity * unit_price", Quantity::Amount),
            ("0 - amount", Quantity::Amount),
            ("case when score >= 9 then 1 else 0 end", Quantity::Plain),
            ("score", Quantity::Other),
            ("amount + days_in_stage", Quantity::Unknown),
            ("target_value", Quantity::Unknown),
        ] {
            assert_eq!(Quantity::of_text(text), expected, "{text}");
        }
    }
}
