//! Arithmetic on the values of KPIs: names, numbers, `+ - * /` and brackets.
//!
//! Exact while it adds and multiplies; a quotient keeps twelve digits, and a product is cut back
//! to twelve. A null operand and a division by 0 give null.

use dealframe_model::decimal;
use dealframe_model::frame::{Number, QUOTIENT_SCALE, quotient};
use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

/// A formula, read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Formula {
    Name(String),
    Number(Number),
    Add(Box<Self>, Box<Self>),
    Subtract(Box<Self>, Box<Self>),
    Multiply(Box<Self>, Box<Self>),
    Divide(Box<Self>, Box<Self>),
}

/// Reads a formula.
pub(crate) fn parse(text: &str) -> Result<Formula, String> {
    let dialect = GenericDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(text).map_err(|error| error.to_string())?;
    let parsed = parser.parse_expr().map_err(|error| error.to_string())?;
    if parser.next_token().token != Token::EOF {
        return Err(format!("`{text}` goes on after the formula"));
    }
    convert(&parsed)
}

impl Formula {
    /// The KPI ids in the formula, each once, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        fn collect(formula: &Formula, names: &mut Vec<String>) {
            match formula {
                Formula::Name(name) if !names.contains(name) => names.push(name.clone()),
                Formula::Name(_) | Formula::Number(_) => {}
                Formula::Add(left, right)
                | Formula::Subtract(left, right)
                | Formula::Multiply(left, right)
                | Formula::Divide(left, right) => {
                    collect(left, names);
                    collect(right, names);
                }
            }
        }
        let mut found = Vec::new();
        collect(self, &mut found);
        found
    }
}

/// The KPI ids in the text of a formula, each once, in order.
pub(crate) fn names(text: &str) -> Result<Vec<String>, String> {
    Ok(parse(text)?.names())
}

fn convert(expr: &Expr) -> Result<Formula, String> {
    match expr {
        Expr::Identifier(name) => Ok(Formula::Name(name.value.clone())),
        Expr::Nested(inner) => convert(inner),
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => {
                let text = text.to_string();
                let scale = text.split_once('.').map_or(0, |(_, digits)| digits.len());
                let scale = u32::try_from(scale).map_err(|error| error.to_string())?;
                decimal::parse(text.as_bytes(), scale)
                    .map(|value| Formula::Number(Number { value: i128::from(value), scale }))
                    .map_err(|error| format!("`{text}` is {error}"))
            }
            other => Err(format!("`{other}` is no number")),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            Ok(Formula::Subtract(Box::new(Formula::Number(Number::ZERO)), Box::new(convert(expr)?)))
        }
        Expr::BinaryOp { left, op, right } => {
            let (left, right) = (Box::new(convert(left)?), Box::new(convert(right)?));
            match op {
                BinaryOperator::Plus => Ok(Formula::Add(left, right)),
                BinaryOperator::Minus => Ok(Formula::Subtract(left, right)),
                BinaryOperator::Multiply => Ok(Formula::Multiply(left, right)),
                BinaryOperator::Divide => Ok(Formula::Divide(left, right)),
                other => Err(format!("`{other}` is not part of a formula")),
            }
        }
        other => Err(format!("`{other}` is not part of a formula")),
    }
}

/// Evaluates a formula over the values that `of` gives for its names.
pub(crate) fn evaluate(formula: &Formula, of: &dyn Fn(&str) -> Option<Number>) -> Option<Number> {
    let both = |left: &Formula, right: &Formula| Some((evaluate(left, of)?, evaluate(right, of)?));
    match formula {
        Formula::Name(name) => of(name),
        Formula::Number(number) => Some(*number),
        Formula::Add(left, right) => both(left, right).and_then(|(left, right)| add(left, right)),
        Formula::Subtract(left, right) => {
            both(left, right).and_then(|(left, right)| add(left, Number { value: -right.value, ..right }))
        }
        Formula::Multiply(left, right) => both(left, right).and_then(|(left, right)| multiply(left, right)),
        Formula::Divide(left, right) => both(left, right).and_then(|(left, right)| quotient(left, right)),
    }
}

/// An exact sum.
pub(crate) fn add(left: Number, right: Number) -> Option<Number> {
    let scale = left.scale.max(right.scale);
    let raise = |number: Number| number.value.checked_mul(decimal::power_of_ten(scale - number.scale));
    Some(Number { value: raise(left)?.checked_add(raise(right)?)?, scale })
}

/// A product, cut back to the digits of a quotient.
pub(crate) fn multiply(left: Number, right: Number) -> Option<Number> {
    let (value, scale) = (left.value.checked_mul(right.value)?, left.scale + right.scale);
    if scale <= QUOTIENT_SCALE {
        return Some(Number { value, scale });
    }
    Some(Number { value: decimal::rescale(value, scale, QUOTIENT_SCALE), scale: QUOTIENT_SCALE })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn value(text: &str) -> Option<String> {
        evaluate(&parse(text).unwrap(), &|name| match name {
            "deals" => Some(Number { value: 12, scale: 0 }),
            "rate" => Some(Number { value: 25, scale: 2 }),
            "zero" => Some(Number::ZERO),
            _ => None,
        })
        .map(Number::plain)
    }

    #[test]
    fn arithmetic_with_nulls_and_zeros() {
        assert_eq!(value("deals * rate").as_deref(), Some("3"));
        assert_eq!(value("(deals - 2) / 4 + 0.5").as_deref(), Some("3"));
        assert_eq!(value("deals / zero"), None);
        assert_eq!(value("deals + missing"), None);
        assert_eq!(value("-rate").as_deref(), Some("-0.25"));
        assert_eq!(names("a * b / a").unwrap(), ["a", "b"]);
        assert!(parse("a and b").is_err());
    }
}
