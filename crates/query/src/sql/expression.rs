//! Expressions to SQL text, over the columns of one fact table.
//!
//! Names and kinds are checked by the same compiler that the Polars pipelines use (`compile`);
//! here the checked tree is only written down. SQL's three-valued logic is the tree's own, so
//! nothing is rewritten but what has no SQL of its own kind: a text that stands for a date, and
//! a truth value that is counted with.

use dealframe_model::date;
use dealframe_model::expression::{Arithmetic, Comparison, Expression, Literal};

use super::dialect::Dialect;
use crate::compile::{Scope, Value};
use crate::error::QueryError;
use crate::facts::{Fact, FactKind};

/// Writes expressions over one fact table, whose rows have the alias `t`.
pub(super) struct Writer<'a> {
    pub fact: &'a Fact,
    pub dialect: Dialect,
    /// The expression as it was written, for messages.
    pub text: &'a str,
}

/// What a value is, as far as its SQL depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Boolean,
    Date,
    Text,
}

/// A checked value: its SQL, and the digits after the point if it is a number.
pub(super) struct Checked {
    pub sql: String,
    pub scale: Option<u32>,
}

impl Writer<'_> {
    /// Checks and writes a value.
    pub(super) fn value(&self, expression: &Expression) -> Result<Checked, QueryError> {
        let scale = match self.scope().value(expression)? {
            Value::Number { scale, .. } => Some(scale),
            _ => None,
        };
        Ok(Checked { sql: self.write(expression), scale })
    }

    /// Checks and writes a condition.
    pub(super) fn condition(&self, expression: &Expression) -> Result<String, QueryError> {
        let _ = self.scope().is_true(expression)?;
        Ok(self.write(expression))
    }

    fn scope(&self) -> Scope<'_> {
        // What was undone by an earlier as-of day is undone in the table's own SQL.
        Scope { fact: self.fact, rewind_to: None, text: self.text.to_owned() }
    }

    fn kind(&self, expression: &Expression) -> Option<Kind> {
        match expression {
            Expression::Column(name) => self.fact.column(name).map(|column| match column.kind {
                FactKind::Code { .. } => Kind::Text,
                FactKind::Number { .. } => Kind::Number,
                FactKind::Boolean => Kind::Boolean,
                FactKind::Date => Kind::Date,
            }),
            Expression::Literal(literal) => match literal {
                Literal::Null => None,
                Literal::Boolean(_) => Some(Kind::Boolean),
                Literal::Text(_) => Some(Kind::Text),
                Literal::Number { .. } => Some(Kind::Number),
                Literal::Date(_) => Some(Kind::Date),
            },
            Expression::Arithmetic { .. } | Expression::DaysBetween { .. } => Some(Kind::Number),
            Expression::Case { branches, otherwise } => {
                branches.iter().map(|(_, value)| value).chain([&**otherwise]).find_map(|value| self.kind(value))
            }
            Expression::Coalesce(operands) => operands.iter().find_map(|operand| self.kind(operand)),
            _ => Some(Kind::Boolean),
        }
    }

    fn write(&self, expression: &Expression) -> String {
        match expression {
            Expression::Column(name) => format!("t.{}", self.dialect.quoted(name)),
            Expression::Literal(literal) => self.literal(literal),
            Expression::Not(inner) => match &**inner {
                Expression::IsNull(operand) => format!("{} IS NOT NULL", self.operand(operand)),
                _ => format!("NOT {}", self.operand(inner)),
            },
            Expression::And(left, right) => format!("{} AND {}", self.side(left), self.side(right)),
            Expression::Or(left, right) => format!("({} OR {})", self.write(left), self.write(right)),
            Expression::Compare { operator, left, right } => {
                let (left, right) = self.two_sides(left, right);
                format!("{left} {} {right}", symbol(*operator))
            }
            Expression::IsNull(operand) => format!("{} IS NULL", self.operand(operand)),
            Expression::In { operand, list } => {
                let is_date = self.kind(operand) == Some(Kind::Date);
                let list: Vec<String> = list.iter().map(|literal| self.typed_literal(literal, is_date)).collect();
                format!("{} IN ({})", self.operand(operand), list.join(", "))
            }
            Expression::Like { operand, pattern, any_case } => {
                let operator = if *any_case { "ILIKE" } else { "LIKE" };
                format!("{} {operator} {}", self.operand(operand), self.dialect.pattern(pattern))
            }
            Expression::Arithmetic { operator, left, right } => {
                let symbol = match operator {
                    Arithmetic::Add => "+",
                    Arithmetic::Subtract => "-",
                    Arithmetic::Multiply => "*",
                };
                format!("({} {symbol} {})", self.number(left), self.number(right))
            }
            Expression::DaysBetween { start, end } => self.dialect.days_between(&self.day(start), &self.day(end)),
            Expression::Case { branches, otherwise } => {
                let mut text = "CASE".to_owned();
                for (condition, value) in branches {
                    text.push_str(&format!(" WHEN {} THEN {}", self.write(condition), self.write(value)));
                }
                format!("{text} ELSE {} END", self.write(otherwise))
            }
            Expression::Coalesce(operands) => {
                let operands: Vec<String> = operands.iter().map(|operand| self.write(operand)).collect();
                format!("COALESCE({})", operands.join(", "))
            }
        }
    }

    /// An operand of an operator that binds tighter than AND, OR and comparisons.
    fn operand(&self, expression: &Expression) -> String {
        match expression {
            Expression::Column(_)
            | Expression::Literal(_)
            | Expression::Coalesce(_)
            | Expression::Arithmetic { .. }
            | Expression::DaysBetween { .. } => self.write(expression),
            _ => format!("({})", self.write(expression)),
        }
    }

    /// A side of AND.
    fn side(&self, expression: &Expression) -> String {
        match expression {
            Expression::Not(inner) if !matches!(**inner, Expression::IsNull(_)) => {
                format!("({})", self.write(expression))
            }
            _ => self.write(expression),
        }
    }

    /// Both sides of a comparison; a text beside a date is a date.
    fn two_sides(&self, left: &Expression, right: &Expression) -> (String, String) {
        let is_date = self.kind(left) == Some(Kind::Date) || self.kind(right) == Some(Kind::Date);
        let one = |side: &Expression| match side {
            Expression::Literal(literal) => self.typed_literal(literal, is_date),
            _ => self.operand(side),
        };
        (one(left), one(right))
    }

    fn number(&self, expression: &Expression) -> String {
        match self.kind(expression) {
            Some(Kind::Boolean) => format!("CAST({} AS INTEGER)", self.write(expression)),
            _ => self.operand(expression),
        }
    }

    fn day(&self, expression: &Expression) -> String {
        match expression {
            Expression::Literal(literal) => self.typed_literal(literal, true),
            _ => self.write(expression),
        }
    }

    fn typed_literal(&self, literal: &Literal, is_date: bool) -> String {
        match literal {
            Literal::Text(text) if is_date => {
                date::parse(text).map_or_else(|| self.literal(literal), |day| self.dialect.date(day))
            }
            _ => self.literal(literal),
        }
    }

    fn literal(&self, literal: &Literal) -> String {
        match literal {
            Literal::Null => "NULL".to_owned(),
            Literal::Boolean(true) => "TRUE".to_owned(),
            Literal::Boolean(false) => "FALSE".to_owned(),
            Literal::Text(text) => self.dialect.text(text),
            Literal::Number { value, scale } => self.dialect.number(i128::from(*value), *scale),
            Literal::Date(day) => self.dialect.date(*day),
        }
    }
}

fn symbol(operator: Comparison) -> &'static str {
    match operator {
        Comparison::Equal => "=",
        Comparison::NotEqual => "<>",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}
