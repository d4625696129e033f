//! SQL text to the model's expression tree.
//!
//! `sqlparser` reads the text; this module accepts the small part of SQL that the tree can say
//! and refuses the rest by name. Whether the columns exist is checked where the expression is
//! compiled (`compile`), because only there the table is known.

use dealframe_model::expression::{Arithmetic, Comparison, Expression, Literal};
use dealframe_model::{date, decimal};
use sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator, Value,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use crate::error::QueryError;

/// Reads an expression.
///
/// # Errors
/// When the text is no SQL expression, or says something that the tree has no node for.
pub fn expression(text: &str) -> Result<Expression, QueryError> {
    let fail = |reason: String| QueryError::Expression { expression: text.to_owned(), reason };
    let dialect = GenericDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(text).map_err(|error| fail(error.to_string()))?;
    let parsed = parser.parse_expr().map_err(|error| fail(error.to_string()))?;
    let rest = parser.next_token();
    if rest.token != Token::EOF {
        return Err(fail(format!("unexpected `{rest}` after the expression")));
    }
    convert(&parsed).map_err(fail)
}

fn convert(expr: &Expr) -> Result<Expression, String> {
    let boxed = |inner: &Expr| convert(inner).map(Box::new);
    match expr {
        Expr::Identifier(name) => Ok(Expression::Column(name.value.clone())),
        Expr::Nested(inner) => convert(inner),
        Expr::Value(value) => literal(&value.value).map(Expression::Literal),
        Expr::TypedString(typed) if typed.data_type == DataType::Date => match &typed.value.value {
            Value::SingleQuotedString(text) => date::parse(text)
                .map(|day| Expression::Literal(Literal::Date(day)))
                .ok_or_else(|| format!("`{text}` is no date")),
            other => Err(format!("`{other}` is no date")),
        },
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(Expression::Not(boxed(expr)?)),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match convert(expr)? {
            Expression::Literal(Literal::Number { value, scale }) => {
                Ok(Expression::Literal(Literal::Number { value: -value, scale }))
            }
            operand => Ok(Expression::Arithmetic {
                operator: Arithmetic::Subtract,
                left: Box::new(Expression::Literal(Literal::Number { value: 0, scale: 0 })),
                right: Box::new(operand),
            }),
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => convert(expr),
        Expr::BinaryOp { left, op, right } => binary(convert(left)?, op, convert(right)?),
        Expr::IsNull(inner) => Ok(Expression::IsNull(boxed(inner)?)),
        Expr::IsNotNull(inner) => Ok(Expression::Not(Box::new(Expression::IsNull(boxed(inner)?)))),
        Expr::IsTrue(inner) => {
            Ok(Expression::And(Box::new(Expression::Not(Box::new(Expression::IsNull(boxed(inner)?)))), boxed(inner)?))
        }
        Expr::InList { expr, list, negated } => {
            let list = list
                .iter()
                .map(|item| match convert(item)? {
                    Expression::Literal(literal) => Ok(literal),
                    Expression::Column(word) => Err(format!(
                        "IN takes a list of constants, and `{word}` is none; quotes are missing: a text stands in single \
                         quotes, as '{word}'"
                    )),
                    _ => Err("IN takes a list of constants".to_owned()),
                })
                .collect::<Result<_, _>>()?;
            Ok(negate(Expression::In { operand: boxed(expr)?, list }, *negated))
        }
        Expr::Between { expr, negated, low, high } => {
            let bound = |operator, limit: &Expr| {
                Ok::<_, String>(Expression::Compare { operator, left: boxed(expr)?, right: boxed(limit)? })
            };
            let both = Expression::And(
                Box::new(bound(Comparison::GreaterOrEqual, low)?),
                Box::new(bound(Comparison::LessOrEqual, high)?),
            );
            Ok(negate(both, *negated))
        }
        Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
            Ok(negate(like(convert(expr)?, pattern, false)?, *negated))
        }
        Expr::ILike { negated, any: false, expr, pattern, escape_char: None } => {
            Ok(negate(like(convert(expr)?, pattern, true)?, *negated))
        }
        Expr::Case { operand: None, conditions, else_result, .. } => Ok(Expression::Case {
            branches: conditions
                .iter()
                .map(|branch| Ok((convert(&branch.condition)?, convert(&branch.result)?)))
                .collect::<Result<_, String>>()?,
            otherwise: Box::new(match else_result {
                Some(result) => convert(result)?,
                None => Expression::Literal(Literal::Null),
            }),
        }),
        Expr::Function(function) => call(function),
        other => Err(format!("`{other}` is not part of the expression language")),
    }
}

fn negate(expression: Expression, negated: bool) -> Expression {
    if negated { Expression::Not(Box::new(expression)) } else { expression }
}

fn like(operand: Expression, pattern: &Expr, any_case: bool) -> Result<Expression, String> {
    match convert(pattern)? {
        Expression::Literal(Literal::Text(pattern)) => {
            Ok(Expression::Like { operand: Box::new(operand), pattern, any_case })
        }
        _ => Err("LIKE takes a quoted pattern".to_owned()),
    }
}

fn literal(value: &Value) -> Result<Literal, String> {
    match value {
        Value::Null => Ok(Literal::Null),
        Value::Boolean(value) => Ok(Literal::Boolean(*value)),
        Value::SingleQuotedString(text) => Ok(Literal::Text(text.clone())),
        Value::DoubleQuotedString(text) => Err(format!("write '{text}' with single quotes for a text")),
        Value::Number(text, _) => {
            let text = text.to_string();
            let scale = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            let scale =
                u32::try_from(scale).ok().filter(|scale| *scale <= 8).ok_or("more than 8 digits after the point")?;
            decimal::parse(text.as_bytes(), scale)
                .map(|value| Literal::Number { value, scale })
                .map_err(|error| format!("`{text}` is {error}"))
        }
        other => Err(format!("`{other}` is not part of the expression language")),
    }
}

fn binary(left: Expression, operator: &BinaryOperator, right: Expression) -> Result<Expression, String> {
    let (left, right) = (Box::new(left), Box::new(right));
    let compare = |operator| Expression::Compare { operator, left: left.clone(), right: right.clone() };
    let arithmetic = |operator| Expression::Arithmetic { operator, left: left.clone(), right: right.clone() };
    Ok(match operator {
        BinaryOperator::And => Expression::And(left, right),
        BinaryOperator::Or => Expression::Or(left, right),
        BinaryOperator::Eq => compare(Comparison::Equal),
        BinaryOperator::NotEq => compare(Comparison::NotEqual),
        BinaryOperator::Lt => compare(Comparison::Less),
        BinaryOperator::LtEq => compare(Comparison::LessOrEqual),
        BinaryOperator::Gt => compare(Comparison::Greater),
        BinaryOperator::GtEq => compare(Comparison::GreaterOrEqual),
        BinaryOperator::Plus => arithmetic(Arithmetic::Add),
        BinaryOperator::Minus => arithmetic(Arithmetic::Subtract),
        BinaryOperator::Multiply => arithmetic(Arithmetic::Multiply),
        BinaryOperator::Divide => {
            return Err(
                "a quotient of columns cannot be added up; write a ratio with numerator and denominator".to_owned()
            );
        }
        other => return Err(format!("the operator `{other}` is not part of the expression language")),
    })
}

fn call(function: &Function) -> Result<Expression, String> {
    let name = function.name.to_string().to_lowercase();
    let FunctionArguments::List(list) = &function.args else { return Err(format!("`{name}` needs arguments")) };
    let mut arguments = list
        .args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => convert(expr),
            other => Err(format!("`{other}` is no argument of `{name}`")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    match (name.as_str(), arguments.len()) {
        ("coalesce", 1..) => Ok(Expression::Coalesce(arguments)),
        ("days_between", 2) => {
            let end = Box::new(arguments.remove(1));
            Ok(Expression::DaysBetween { start: Box::new(arguments.remove(0)), end })
        }
        ("coalesce" | "days_between", count) => Err(format!("`{name}` does not take {count} arguments")),
        _ => Err(format!("there is no function `{name}`; there are coalesce and days_between")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn reads_what_definitions_need() {
        for text in [
            "status = 'won'",
            "status in ('won', 'lost') and amount is not null",
            "amount * probability",
            "days_between(created_date, close_date)",
            "case when score >= 9 then 1 when score <= 6 then -1 else 0 end",
            "not coalesce(is_system, false)",
            "close_date between DATE '2024-01-01' and DATE '2024-12-31'",
            "name ilike '%acme%'",
            "is_first_won",
        ] {
            expression(text).unwrap();
        }
    }

    #[test]
    fn refuses_what_it_cannot_say() {
        for text in ["amount / 2", "region = ", "a = 1; drop table deals", "lower(region) = 'x'", "x in (select 1)"] {
            match expression(text) {
                Err(QueryError::Expression { .. }) => {}
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
