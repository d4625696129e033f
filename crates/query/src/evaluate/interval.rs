//! `--interval`: how far a rate or a mean may be off, seen as a sample.
//!
//! A rate whose numerator counts some of the rows of its denominator gets Wilson's score
//! interval, a mean of a value per row Student's, both at 95 %. Everything is decided by the
//! definitions: [`basis`] says which of the two a KPI is, and what a mean needs beside its
//! parts, the sum of the squares, which is exact. KPIs of any other kind have no interval. A mean
//! of values that the definition itself writes down lies between the least and the greatest of them.
//! Groups of fewer than [`FEW`] rows are marked. The arithmetic uses additions, products,
//! quotients and roots only, and is rounded to [`DIGITS`] digits, so that it is the same everywhere.

use dealframe_model::decimal;
use dealframe_model::expression::{Expression, Literal};
use dealframe_model::frame::{Interval, Number};
use dealframe_model::kpi::{Aggregate, Compute, Definition, Derived, Empty, Measure, Operation, Part};

use super::kinds::carried_get;
use super::{Key, Point, Question, Series, Walk};
use crate::catalogue::Catalogue;
use crate::error::QueryError;
use crate::parse;

/// Below so many rows a group is marked as small.
const FEW: i128 = 30;
/// Digits after the point of the bounds.
const DIGITS: u32 = 6;
/// The standard normal quantile at 97.5 %.
const Z: f64 = 1.959_963_984_540_054;
/// Student's quantile at 97.5 % for 1, 2, 3... degrees of freedom.
const STUDENT: [f64; 30] = [
    12.706_204_736,
    4.302_652_730,
    3.182_446_305,
    2.776_445_105,
    2.570_581_836,
    2.446_911_851,
    2.364_624_252,
    2.306_004_135,
    2.262_157_163,
    2.228_138_852,
    2.200_985_160,
    2.178_812_830,
    2.160_368_656,
    2.144_786_688,
    2.131_449_546,
    2.119_905_299,
    2.109_815_578,
    2.100_922_040,
    2.093_024_054,
    2.085_963_447,
    2.079_613_845,
    2.073_873_068,
    2.068_657_610,
    2.063_898_562,
    2.059_538_553,
    2.055_529_439,
    2.051_830_516,
    2.048_407_142,
    2.045_229_642,
    2.042_272_456,
];

/// What an interval is computed from.
pub(crate) enum Basis {
    /// Rows among rows.
    Proportion { factor: i64 },
    /// A sum over its rows, and the sum of the squares.
    Mean { squares: Box<Series>, factor: i64, limits: Option<(f64, f64)> },
}

impl Walk<'_> {
    /// The basis of a KPI's interval, if it has one; collects or reads what it needs beside the KPI.
    pub(crate) fn interval(&mut self, id: &str, question: &Question) -> Result<Option<Basis>, QueryError> {
        let catalogue = self.catalogue;
        let Some((shape, factor)) = shape(catalogue, catalogue.get(id)?)? else { return Ok(None) };
        match shape {
            Shape::Proportion => Ok(Some(Basis::Proportion { factor })),
            Shape::Mean { .. } if self.settings.currency.is_some() => {
                self.note(format!("{id} has no interval under --currency: squares cannot be converted"));
                Ok(None)
            }
            Shape::Mean { squares, limits } => {
                Ok(Some(Basis::Mean { squares: Box::new(self.measure(&squares, question)?), factor, limits }))
            }
        }
    }
}

/// The interval of one line.
pub(crate) fn interval(basis: Option<&Basis>, key: Key, point: &Point) -> Interval {
    let (Some(basis), Some(top), Some(bottom)) = (basis, point.numerator, point.denominator) else {
        return Interval::default();
    };
    let rows = bottom.value;
    if bottom.scale != 0 || rows <= 0 {
        return Interval::default();
    }
    let (bounds, factor) = match basis {
        Basis::Proportion { factor } => (wilson(top.to_f64(), rows as f64), *factor),
        Basis::Mean { squares, factor, limits } => {
            let squares = carried_get(squares, key).value;
            let bounds = squares.and_then(|squares| student(top, squares, rows));
            let (least, most) = limits.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
            (bounds.map(|(low, high)| (low.max(least), high.min(most))), *factor)
        }
    };
    let bound = |value: f64| rounded(value * factor as f64);
    let (low, high) = bounds.map_or((None, None), |(low, high)| (bound(low), bound(high)));
    Interval { low, high, is_small: Some(rows < FEW) }
}

/// Of values and how often they occur; nothing where it does not fit 128 bits.
pub(super) fn sum_of_squares(cells: &[(i128, i128, i64)]) -> Option<i128> {
    cells.iter().try_fold(0_i128, |sum, (value, _, count)| {
        sum.checked_add(value.checked_mul(*value)?.checked_mul(i128::from(*count))?)
    })
}

fn wilson(hits: f64, rows: f64) -> Option<(f64, f64)> {
    let share = hits / rows;
    let spread = Z * (share * (1.0 - share) / rows + Z * Z / (4.0 * rows * rows)).sqrt();
    let (middle, width) = (share + Z * Z / (2.0 * rows), 1.0 + Z * Z / rows);
    // At both ends the formula meets 0 and 1 but for the last bits.
    let (low, high) = (((middle - spread) / width).max(0.0), ((middle + spread) / width).min(1.0));
    (0.0..=1.0).contains(&share).then_some((low, high))
}

fn student(sum: Number, squares: Number, rows: i128) -> Option<(f64, f64)> {
    if rows < 2 {
        return None;
    }
    // n Σx² - (Σx)², exact, so that great values with a small spread lose nothing.
    let square_of_sum = sum.value.checked_mul(sum.value)?;
    let scale = squares.scale.max(2 * sum.scale);
    let raised = |value: i128, own: u32| value.checked_mul(decimal::power_of_ten(scale - own));
    let spread =
        raised(squares.value.checked_mul(rows)?, squares.scale)?.checked_sub(raised(square_of_sum, 2 * sum.scale)?)?;
    let unit = decimal::power_of_ten(scale) as f64;
    let count = rows as f64;
    let variance = spread.max(0) as f64 / unit / (count * (count - 1.0));
    let mean = sum.to_f64() / count;
    let half = student_quantile(rows - 1) * (variance / count).sqrt();
    Some((mean - half, mean + half))
}

/// Student's quantile at 97.5 %: a table, then the expansion around the normal one.
fn student_quantile(freedom: i128) -> f64 {
    if let Some(known) = usize::try_from(freedom - 1).ok().and_then(|place| STUDENT.get(place)) {
        return *known;
    }
    let (z, v) = (Z, freedom as f64);
    let (z3, z5, z7) = (z * z * z, z * z * z * z * z, z * z * z * z * z * z * z);
    z + (z3 + z) / (4.0 * v)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * v * v)
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * v * v * v)
}

fn rounded(value: f64) -> Option<Number> {
    let scaled = (value * decimal::power_of_ten(DIGITS) as f64).round();
    // Beyond 2^53 a float has no digits after the point to round.
    (scaled.is_finite() && scaled.abs() < 1e30).then_some(Number { value: scaled as i128, scale: DIGITS })
}

enum Shape {
    Proportion,
    Mean { squares: Measure, limits: Option<(f64, f64)> },
}

/// What kind of estimate a definition is, and the factor of its value.
fn shape(catalogue: &Catalogue, definition: &Definition) -> Result<Option<(Shape, i64)>, QueryError> {
    let (numerator, denominator, factor, within) = match &definition.compute {
        Compute::Ratio { numerator, denominator, factor, within, .. } => (numerator, denominator, *factor, within),
        Compute::Derived(Derived { of, operation: Operation::By { .. } }) => {
            return shape(catalogue, catalogue.get(of)?);
        }
        _ => return Ok(None),
    };
    let (Some(top), Some(bottom)) = (single(catalogue, numerator)?, single(catalogue, denominator)?) else {
        return Ok(None);
    };
    if bottom.aggregate != Aggregate::Count
        || (&top.table, &top.date, top.ahead) != (&bottom.table, &bottom.date, bottom.ahead)
    {
        return Ok(None);
    }
    let (above, below) = (conditions(top)?, conditions(bottom)?);
    Ok(match top.aggregate {
        // Each row above the line is one of those below it.
        Aggregate::Count if below.iter().all(|condition| above.iter().any(|known| implies(known, condition))) => {
            Some((Shape::Proportion, factor))
        }
        // What is added up within some days is no sum over all rows below the line.
        Aggregate::Sum if within.is_none() => {
            let Some(text) = &top.of else { return Ok(None) };
            let value = parse::expression(text)?;
            let there = Expression::Not(Box::new(Expression::IsNull(Box::new(value.clone()))));
            let mut counted = below.clone();
            counted.extend(bottom.of.as_deref().map(is_there).transpose()?);
            let others = |conditions: &[Expression]| -> Vec<Expression> {
                conditions.iter().filter(|condition| **condition != there).cloned().collect()
            };
            let (added, kept) = (others(&above), others(&counted));
            let same = added.iter().all(|one| kept.contains(one)) && kept.iter().all(|one| added.contains(one));
            (same && (counted.contains(&there) || never_null(&value, &counted))).then(|| {
                let squares = Measure {
                    aggregate: Aggregate::SumOfSquares,
                    of: Some(text.clone()),
                    empty: Empty::Null,
                    ..bottom.clone()
                };
                (Shape::Mean { squares, limits: limits(&value) }, factor)
            })
        }
        _ => None,
    })
}

/// The least and the greatest of the values that an expression writes down, if it knows no others.
fn limits(value: &Expression) -> Option<(f64, f64)> {
    match value {
        Expression::Literal(Literal::Number { value, scale }) => {
            let number = Number { value: i128::from(*value), scale: *scale }.to_f64();
            Some((number, number))
        }
        Expression::Case { branches, otherwise } => branches
            .iter()
            .map(|(_, value)| value)
            .chain([&**otherwise])
            .map(limits)
            .reduce(|left, right| left.zip(right).map(|(left, right)| (left.0.min(right.0), left.1.max(right.1))))
            .flatten(),
        _ => None,
    }
}

/// The one measure of a part, its own or that of a KPI.
fn single<'c>(catalogue: &'c Catalogue, part: &'c Part) -> Result<Option<&'c Measure>, QueryError> {
    let [term] = part.terms() else { return Ok(None) };
    Ok(match (&term.measure, &term.kpi) {
        _ if term.minus => None,
        (Some(measure), _) => Some(measure),
        (_, Some(id)) => match &catalogue.get(id)?.compute {
            Compute::Flow { measure } => Some(measure),
            _ => None,
        },
        (None, None) => None,
    })
}

/// What must hold for a row to be counted, one by one.
fn conditions(measure: &Measure) -> Result<Vec<Expression>, QueryError> {
    fn split(expression: Expression, found: &mut Vec<Expression>) {
        match expression {
            Expression::And(left, right) => {
                split(*left, found);
                split(*right, found);
            }
            other => found.push(other),
        }
    }
    let mut found = Vec::new();
    if let Some(filter) = &measure.filter {
        split(parse::expression(filter)?, &mut found);
    }
    if let (Aggregate::Count, Some(of)) = (measure.aggregate, &measure.of) {
        found.push(is_there(of)?);
    }
    Ok(found)
}

fn is_there(text: &str) -> Result<Expression, QueryError> {
    Ok(Expression::Not(Box::new(Expression::IsNull(Box::new(parse::expression(text)?)))))
}

/// Whether a condition that holds makes another one hold: the same, or one value among several.
fn implies(known: &Expression, wanted: &Expression) -> bool {
    let texts = |expression: &Expression| -> Option<(Expression, Vec<Literal>)> {
        match expression {
            Expression::In { operand, list } => Some(((**operand).clone(), list.clone())),
            Expression::Compare { operator: dealframe_model::expression::Comparison::Equal, left, right } => {
                match &**right {
                    Expression::Literal(literal) => Some(((**left).clone(), vec![literal.clone()])),
                    _ => None,
                }
            }
            _ => None,
        }
    };
    known == wanted
        || matches!((texts(known), texts(wanted)), (Some((left, few)), Some((right, many)))
            if left == right && few.iter().all(|value| many.contains(value)))
}

/// Whether a value is never null in rows for which all the conditions hold.
fn never_null(value: &Expression, conditions: &[Expression]) -> bool {
    let column_is_there = |name: &str| {
        conditions.iter().any(|condition| match condition {
            Expression::Not(inner) => matches!(&**inner, Expression::IsNull(operand) if **operand == *value),
            // A comparison with null does not hold.
            Expression::Compare { left, right, .. } => {
                [left, right].iter().any(|side| matches!(&***side, Expression::Column(known) if known == name))
            }
            _ => false,
        })
    };
    match value {
        Expression::Column(name) => column_is_there(name),
        Expression::Literal(literal) => *literal != Literal::Null,
        Expression::Arithmetic { left, right, .. } => never_null(left, conditions) && never_null(right, conditions),
        Expression::DaysBetween { start, end } => never_null(start, conditions) && never_null(end, conditions),
        Expression::Case { branches, otherwise } => {
            branches.iter().all(|(_, value)| never_null(value, conditions)) && never_null(otherwise, conditions)
        }
        Expression::Coalesce(operands) => operands.iter().any(|operand| never_null(operand, conditions)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn close(found: (f64, f64), low: f64, high: f64) {
        assert!((found.0 - low).abs() < 5e-7 && (found.1 - high).abs() < 5e-7, "{found:?}, expected {low} {high}");
    }

    /// Figures of other programs: R's `prop.test(correct = FALSE)` and `t.test`.
    #[test]
    fn intervals_are_those_of_the_books() {
        close(wilson(8.0, 10.0).unwrap(), 0.490_162_4, 0.943_317_8);
        close(wilson(0.0, 20.0).unwrap(), 0.0, 0.161_125_2);
        close(wilson(271.0, 496.0).unwrap(), 0.502_369_0, 0.589_660_2);
        let whole = |value| Number { value, scale: 0 };
        // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, deviation 2.138090.
        close(student(whole(40), whole(232), 8).unwrap(), 3.212_512, 6.787_488);
        assert_eq!(student(whole(40), whole(1_600), 1), None);
    }

    #[test]
    fn students_quantile_joins_its_table() {
        assert!((student_quantile(31) - 2.039_513).abs() < 1e-5);
        assert!((student_quantile(100) - 1.983_972).abs() < 1e-6);
        assert!((student_quantile(1_000_000) - 1.959_966).abs() < 1e-6);
        assert!(student_quantile(30) > student_quantile(31));
    }

    #[test]
    fn the_definitions_decide_who_has_an_interval() {
        let catalogue = Catalogue::load(None).unwrap();
        let of = |id: &str| match shape(&catalogue, catalogue.get(id).unwrap()).unwrap() {
            None => "none",
            Some((Shape::Proportion, _)) => "proportion",
            Some((Shape::Mean { .. }, _)) => "mean",
        };
        for id in [
            "win_rate",
            "lead_conversion",
            "csat",
            "stage_conversion",
            "lead_conversion_within_30_days",
            "stage_reached_conversion",
            "cross_sell_rate",
            "proposal_success_rate_decided",
        ] {
            assert_eq!(of(id), "proportion", "{id}");
        }
        for id in [
            "average_deal_size",
            "sales_cycle_mean",
            "basket_per_order",
            "nps",
            "first_deal_margin",
            "sales_cycle_from_lead_mean",
        ] {
            assert_eq!(of(id), "mean", "{id}");
        }
        // Other rows above than below the line, quotients of amounts, and what is no quotient.
        for id in [
            "win_rate_by_value",
            "win_rate_same_period",
            "revenue",
            "discount_rate",
            "churn_rate_start",
            "sales_cycle_median",
        ] {
            assert_eq!(of(id), "none", "{id}");
        }
    }
}
