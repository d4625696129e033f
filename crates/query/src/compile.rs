//! Expressions to Polars, over the columns of one fact table.
//!
//! A predicate is compiled twice over: into "is true" and, under NOT, into "is false", both
//! never null. So SQL's three-valued logic needs no nulls at run time. Anything said about a
//! text is decided on the dictionary, once per distinct value, and becomes a test on integer
//! codes. Numbers carry their scale and their bounds, so that no sum can overflow unseen.

use dealframe_model::date;
use dealframe_model::expression::{Arithmetic, Comparison, Expression, Literal};
use polars::prelude::*;

use crate::error::{QueryError, nearest};
use crate::facts::{Fact, FactKind};

/// A compiled value.
#[derive(Clone)]
pub(crate) enum Value {
    /// 64-bit integers scaled by 10^scale, with the greatest magnitude they can have.
    Number {
        expr: Expr,
        scale: u32,
        limit: i128,
        nulls: bool,
    },
    Boolean(Expr),
    Date(Expr),
    Code {
        expr: Expr,
        domain: String,
    },
    Text(String),
    Null,
}

/// The columns of a fact table, as they stood on the as-of day.
pub(crate) struct Scope<'a> {
    pub fact: &'a Fact,
    /// Set when "now" lies before the newest business date: states that came later are undone.
    pub rewind_to: Option<i32>,
    /// The expression as the user or definition wrote it, for messages.
    pub text: String,
}

impl Scope<'_> {
    fn fail(&self, reason: impl Into<String>) -> QueryError {
        QueryError::Expression { expression: self.text.clone(), reason: reason.into() }
    }

    fn column(&self, name: &str) -> Result<Value, QueryError> {
        let Some(column) = self.fact.column(name).filter(|column| !column.name.ends_with("__month")) else {
            let known =
                self.fact.columns.iter().map(|column| column.name.as_str()).filter(|name| !name.ends_with("__month"));
            return Err(QueryError::UnknownColumn {
                name: name.to_owned(),
                table: self.fact.table.clone(),
                expression: self.text.clone(),
                nearest: nearest(name, known),
            });
        };
        Ok(match &column.kind {
            FactKind::Code { domain } => Value::Code { expr: self.rewound_code(name, domain)?, domain: domain.clone() },
            FactKind::Number { scale } => {
                let (low, high) = column.bounds.unwrap_or((0, 0));
                let limit = i128::from(low).abs().max(i128::from(high).abs());
                let expr = col(name).cast(DataType::Int64);
                match self.rewind_to.filter(|_| (self.fact.table.as_str(), name) == ("tickets", "resolution_minutes")) {
                    Some(day) => {
                        let undone = lit(NULL).cast(DataType::Int64);
                        let expr = when(later_than("resolved_date", day)).then(undone).otherwise(expr);
                        Value::Number { expr, scale: *scale, limit, nulls: true }
                    }
                    None => Value::Number { expr, scale: *scale, limit, nulls: column.nulls },
                }
            }
            FactKind::Boolean => Value::Boolean(self.rewound_boolean(name)),
            FactKind::Date => Value::Date(col(name)),
        })
    }

    /// A deal that closed after the as-of day was open on it.
    pub(crate) fn rewound_code(&self, name: &str, domain: &str) -> Result<Expr, QueryError> {
        let closing = match (self.fact.table.as_str(), name) {
            ("deals", "status") => "close_date",
            ("line_items", "deal_status") => "deal_close_date",
            _ => return Ok(col(name)),
        };
        let Some(day) = self.rewind_to.filter(|_| self.fact.column(closing).is_some()) else { return Ok(col(name)) };
        let open = self.code(domain, "open")?;
        Ok(when(later_than(closing, day)).then(lit(open)).otherwise(col(name)))
    }

    /// What came after the as-of day was not yet so on it: a lead converted or qualified, a ticket resolved, a stage left or passed.
    fn rewound_boolean(&self, name: &str) -> Expr {
        let dated = match (self.fact.table.as_str(), name) {
            ("leads", "is_converted") => "converted_date",
            ("leads", "is_qualified") => "qualified_date",
            ("tickets", "is_closed") => "resolved_date",
            ("stage_entries", "is_moved_on" | "is_lost_here") => "left_date",
            ("stages_reached", "is_passed") => "passed_date",
            ("stage_entries" | "stages_reached", "is_won" | "is_closed") => "close_date",
            _ => return col(name),
        };
        match self.rewind_to {
            Some(day) if self.fact.column(dated).is_some() => {
                when(later_than(dated, day)).then(lit(false)).otherwise(col(name))
            }
            _ => col(name),
        }
    }

    /// The code of a label, or one past the dictionary for a label that does not occur.
    fn code(&self, domain: &str, label: &str) -> Result<u32, QueryError> {
        let labels = self.fact.labels(domain)?;
        let position = labels.iter().position(|known| &**known == label).unwrap_or(labels.len());
        u32::try_from(position + 1).map_err(|error| QueryError::engine("dictionary", error))
    }

    fn codes_where(&self, domain: &str, keep: &dyn Fn(&str) -> bool) -> Result<Vec<u32>, QueryError> {
        let labels = self.fact.labels(domain)?;
        labels
            .iter()
            .enumerate()
            .filter(|(_, label)| keep(label))
            .map(|(position, _)| u32::try_from(position + 1).map_err(|error| QueryError::engine("dictionary", error)))
            .collect()
    }

    /// Compiles a value.
    pub(crate) fn value(&self, expression: &Expression) -> Result<Value, QueryError> {
        match expression {
            Expression::Column(name) => self.column(name),
            Expression::Literal(literal) => Ok(constant(literal)),
            Expression::Arithmetic { operator, left, right } => self.arithmetic(*operator, left, right),
            Expression::DaysBetween { start, end } => self.days_between(start, end),
            Expression::Case { branches, otherwise } => self.case(branches, otherwise),
            Expression::Coalesce(operands) => self.coalesce(operands),
            Expression::Not(_)
            | Expression::And(..)
            | Expression::Or(..)
            | Expression::Compare { .. }
            | Expression::IsNull(_)
            | Expression::In { .. }
            | Expression::Like { .. } => self.is_true(expression).map(Value::Boolean),
        }
    }

    fn number(&self, expression: &Expression) -> Result<(Expr, u32, i128, bool), QueryError> {
        match self.value(expression)? {
            Value::Number { expr, scale, limit, nulls } => Ok((expr, scale, limit, nulls)),
            Value::Boolean(expr) => Ok((expr.cast(DataType::Int64), 0, 1, true)),
            Value::Null => Ok((lit(NULL).cast(DataType::Int64), 0, 0, true)),
            _ => Err(self.fail("expected a number")),
        }
    }

    fn arithmetic(&self, operator: Arithmetic, left: &Expression, right: &Expression) -> Result<Value, QueryError> {
        let (left, left_scale, left_limit, left_nulls) = self.number(left)?;
        let (right, right_scale, right_limit, right_nulls) = self.number(right)?;
        let nulls = left_nulls || right_nulls;
        if operator == Arithmetic::Multiply {
            let limit = self.within(left_limit.checked_mul(right_limit))?;
            return Ok(Value::Number { expr: left * right, scale: left_scale + right_scale, limit, nulls });
        }
        let scale = left_scale.max(right_scale);
        let (left, left_limit) = self.scaled(left, left_limit, scale - left_scale)?;
        let (right, right_limit) = self.scaled(right, right_limit, scale - right_scale)?;
        let limit = self.within(left_limit.checked_add(right_limit))?;
        let expr = if operator == Arithmetic::Add { left + right } else { left - right };
        Ok(Value::Number { expr, scale, limit, nulls })
    }

    fn scaled(&self, expr: Expr, limit: i128, digits: u32) -> Result<(Expr, i128), QueryError> {
        if digits == 0 {
            return Ok((expr, limit));
        }
        let factor = 10_i64.pow(digits);
        let limit = self.within(limit.checked_mul(i128::from(factor)))?;
        Ok((expr * lit(factor), limit))
    }

    /// A magnitude that 64 bits can hold, or an error.
    fn within(&self, limit: Option<i128>) -> Result<i128, QueryError> {
        limit
            .filter(|limit| *limit < i128::from(i64::MAX))
            .ok_or_else(|| QueryError::TooLarge { column: self.text.clone() })
    }

    fn days_between(&self, start: &Expression, end: &Expression) -> Result<Value, QueryError> {
        let day = |side: &Expression| match self.value(side)? {
            Value::Date(expr) => Ok(expr.cast(DataType::Int32).cast(DataType::Int64)),
            Value::Text(text) => date::parse(&text)
                .map(|day| lit(i64::from(day)))
                .ok_or_else(|| self.fail(format!("`{text}` is no date"))),
            _ => Err(self.fail("days_between takes two dates")),
        };
        // Dates span the years 1 to 9999.
        Ok(Value::Number { expr: day(end)? - day(start)?, scale: 0, limit: 3_700_000, nulls: true })
    }

    fn case(&self, branches: &[(Expression, Expression)], otherwise: &Expression) -> Result<Value, QueryError> {
        let mut values = Vec::with_capacity(branches.len() + 1);
        for (_, value) in branches {
            values.push(self.number(value)?);
        }
        values.push(self.number(otherwise)?);
        let scale = values.iter().map(|(_, scale, ..)| *scale).max().unwrap_or(0);
        let mut scaled = Vec::with_capacity(values.len());
        let (mut limit, mut nulls) = (0, false);
        for (expr, own, own_limit, own_nulls) in values {
            let (expr, own_limit) = self.scaled(expr, own_limit, scale - own)?;
            limit = own_limit.max(limit);
            nulls |= own_nulls;
            scaled.push(expr);
        }
        let Some(mut result) = scaled.pop() else { return Ok(Value::Null) };
        for ((condition, _), value) in branches.iter().zip(scaled).rev() {
            result = when(self.is_true(condition)?).then(value).otherwise(result);
        }
        Ok(Value::Number { expr: result, scale, limit, nulls })
    }

    fn coalesce(&self, operands: &[Expression]) -> Result<Value, QueryError> {
        let values = operands.iter().map(|operand| self.value(operand)).collect::<Result<Vec<_>, _>>()?;
        if values.iter().any(|value| matches!(value, Value::Boolean(_))) {
            let mut all = Vec::new();
            for value in values {
                match value {
                    Value::Boolean(expr) => all.push(expr),
                    Value::Null => {}
                    _ => return Err(self.fail("coalesce mixes kinds")),
                }
            }
            return Ok(Value::Boolean(first_not_null(all)));
        }
        if values.iter().any(|value| matches!(value, Value::Date(_))) {
            let mut all = Vec::new();
            for value in values {
                match value {
                    Value::Date(expr) => all.push(expr),
                    Value::Null => {}
                    _ => return Err(self.fail("coalesce mixes kinds")),
                }
            }
            return Ok(Value::Date(first_not_null(all)));
        }
        if values.iter().any(|value| matches!(value, Value::Code { .. } | Value::Text(_))) {
            return Err(self.fail("coalesce works on numbers, dates and booleans"));
        }
        let numbers = operands.iter().map(|operand| self.number(operand)).collect::<Result<Vec<_>, _>>()?;
        let scale = numbers.iter().map(|(_, scale, ..)| *scale).max().unwrap_or(0);
        let (mut all, mut limit, mut nulls) = (Vec::new(), 0, true);
        for (expr, own, own_limit, own_nulls) in numbers {
            let (expr, own_limit) = self.scaled(expr, own_limit, scale - own)?;
            limit = own_limit.max(limit);
            nulls &= own_nulls;
            all.push(expr);
        }
        Ok(Value::Number { expr: first_not_null(all), scale, limit, nulls })
    }

    /// A predicate that is true where the expression is, and false where it is false or null.
    pub(crate) fn is_true(&self, expression: &Expression) -> Result<Expr, QueryError> {
        self.predicate(expression, true)
    }

    fn predicate(&self, expression: &Expression, wanted: bool) -> Result<Expr, QueryError> {
        match expression {
            Expression::Not(inner) => self.predicate(inner, !wanted),
            Expression::And(left, right) | Expression::Or(left, right) => {
                let both = matches!(expression, Expression::And(..)) == wanted;
                let (left, right) = (self.predicate(left, wanted)?, self.predicate(right, wanted)?);
                Ok(if both { left.and(right) } else { left.or(right) })
            }
            Expression::IsNull(inner) => {
                let is_null = match self.value(inner)? {
                    Value::Code { expr, .. } => expr.eq(lit(0_u32)),
                    Value::Number { expr, .. } | Value::Boolean(expr) | Value::Date(expr) => expr.is_null(),
                    Value::Null => lit(true),
                    Value::Text(_) => lit(false),
                };
                Ok(if wanted { is_null } else { is_null.not() })
            }
            Expression::Literal(Literal::Boolean(value)) => Ok(lit(*value == wanted)),
            Expression::Literal(Literal::Null) => Ok(lit(false)),
            Expression::Column(_) | Expression::Coalesce(_) => match self.value(expression)? {
                Value::Boolean(expr) => Ok(expr.eq(lit(wanted)).fill_null(lit(false))),
                _ => Err(self.fail("expected a condition")),
            },
            Expression::In { operand, list } => self.membership(operand, list, wanted),
            Expression::Like { operand, pattern, any_case } => {
                let Value::Code { expr, domain } = self.value(operand)? else {
                    return Err(self.fail("LIKE works on categories and segments"));
                };
                let matches = self.codes_where(&domain, &|label| like(label, pattern, *any_case) == wanted)?;
                Ok(one_of(&expr, &matches))
            }
            Expression::Compare { operator, left, right } => {
                let operator = if wanted { *operator } else { inverse(*operator) };
                self.comparison(operator, left, right)
            }
            Expression::Case { branches, otherwise } => {
                let mut result = self.predicate(otherwise, wanted)?;
                for (condition, value) in branches.iter().rev() {
                    result = when(self.is_true(condition)?).then(self.predicate(value, wanted)?).otherwise(result);
                }
                Ok(result)
            }
            Expression::Literal(_) | Expression::Arithmetic { .. } | Expression::DaysBetween { .. } => {
                Err(self.fail("expected a condition"))
            }
        }
    }

    fn membership(&self, operand: &Expression, list: &[Literal], wanted: bool) -> Result<Expr, QueryError> {
        // NOT IN with a null in the list is never true, as in SQL.
        if !wanted && list.contains(&Literal::Null) {
            return Ok(lit(false));
        }
        if let Value::Code { expr, domain } = self.value(operand)? {
            let mut texts = Vec::new();
            for literal in list {
                match literal {
                    Literal::Text(text) => texts.push(text.as_str()),
                    Literal::Null => {}
                    _ => return Err(self.fail("expected texts in the list")),
                }
            }
            let codes = self.codes_where(&domain, &|label| texts.contains(&label) == wanted)?;
            return Ok(one_of(&expr, &codes));
        }
        let operator = if wanted { Comparison::Equal } else { Comparison::NotEqual };
        let mut result: Option<Expr> = None;
        for literal in list.iter().filter(|literal| **literal != Literal::Null) {
            let one = self.comparison(operator, operand, &Expression::Literal(literal.clone()))?;
            result = Some(match result {
                None => one,
                Some(known) if wanted => known.or(one),
                Some(known) => known.and(one),
            });
        }
        Ok(result.unwrap_or_else(|| lit(!wanted)))
    }

    fn comparison(&self, operator: Comparison, left: &Expression, right: &Expression) -> Result<Expr, QueryError> {
        match (self.value(left)?, self.value(right)?) {
            (Value::Null, _) | (_, Value::Null) => Ok(lit(false)),
            (Value::Code { expr, domain }, Value::Text(text)) => self.text_comparison(&expr, &domain, operator, &text),
            (Value::Text(text), Value::Code { expr, domain }) => {
                self.text_comparison(&expr, &domain, mirrored(operator), &text)
            }
            (Value::Date(left), Value::Date(right)) => Ok(compare(left, operator, right).fill_null(lit(false))),
            (Value::Date(left), Value::Text(text)) => {
                Ok(compare(left, operator, self.date_literal(&text)?).fill_null(lit(false)))
            }
            (Value::Text(text), Value::Date(right)) => {
                Ok(compare(self.date_literal(&text)?, operator, right).fill_null(lit(false)))
            }
            (Value::Boolean(left), Value::Boolean(right)) => Ok(compare(left, operator, right).fill_null(lit(false))),
            (Value::Number { .. }, Value::Number { .. }) => {
                let (left, left_scale, left_limit, left_nulls) = self.number(left)?;
                let (right, right_scale, right_limit, right_nulls) = self.number(right)?;
                let scale = left_scale.max(right_scale);
                let (left, _) = self.scaled(left, left_limit, scale - left_scale)?;
                let (right, _) = self.scaled(right, right_limit, scale - right_scale)?;
                let result = compare(left, operator, right);
                Ok(if left_nulls || right_nulls { result.fill_null(lit(false)) } else { result })
            }
            (Value::Code { .. }, Value::Code { .. }) => {
                Err(self.fail("two columns of text cannot be compared; compare with a quoted text"))
            }
            _ => Err(self.fail("the two sides are of different kinds")),
        }
    }

    fn date_literal(&self, text: &str) -> Result<Expr, QueryError> {
        date::parse(text).map(day_literal).ok_or_else(|| self.fail(format!("`{text}` is no date; write 2024-12-31")))
    }

    fn text_comparison(&self, expr: &Expr, domain: &str, operator: Comparison, text: &str) -> Result<Expr, QueryError> {
        if operator == Comparison::Equal {
            return Ok(expr.clone().eq(lit(self.code(domain, text)?)));
        }
        let codes = self.codes_where(domain, &|label| match operator {
            Comparison::Equal => label == text,
            Comparison::NotEqual => label != text,
            Comparison::Less => label < text,
            Comparison::LessOrEqual => label <= text,
            Comparison::Greater => label > text,
            Comparison::GreaterOrEqual => label >= text,
        })?;
        Ok(one_of(expr, &codes))
    }
}

fn constant(literal: &Literal) -> Value {
    match literal {
        Literal::Null => Value::Null,
        Literal::Boolean(value) => Value::Boolean(lit(*value)),
        Literal::Text(text) => Value::Text(text.clone()),
        Literal::Number { value, scale } => {
            Value::Number { expr: lit(*value), scale: *scale, limit: i128::from(*value).abs(), nulls: false }
        }
        Literal::Date(day) => Value::Date(day_literal(*day)),
    }
}

/// A date constant.
pub(crate) fn day_literal(day: i32) -> Expr {
    lit(day).cast(DataType::Date)
}

fn later_than(column: &str, day: i32) -> Expr {
    col(column).gt(day_literal(day)).fill_null(lit(false))
}

fn first_not_null(mut operands: Vec<Expr>) -> Expr {
    let Some(mut result) = operands.pop() else { return lit(NULL) };
    while let Some(earlier) = operands.pop() {
        result = earlier.fill_null(result);
    }
    result
}

fn compare(left: Expr, operator: Comparison, right: Expr) -> Expr {
    match operator {
        Comparison::Equal => left.eq(right),
        Comparison::NotEqual => left.neq(right),
        Comparison::Less => left.lt(right),
        Comparison::LessOrEqual => left.lt_eq(right),
        Comparison::Greater => left.gt(right),
        Comparison::GreaterOrEqual => left.gt_eq(right),
    }
}

fn inverse(operator: Comparison) -> Comparison {
    match operator {
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
        Comparison::Less => Comparison::GreaterOrEqual,
        Comparison::LessOrEqual => Comparison::Greater,
        Comparison::Greater => Comparison::LessOrEqual,
        Comparison::GreaterOrEqual => Comparison::Less,
    }
}

fn mirrored(operator: Comparison) -> Comparison {
    match operator {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same => same,
    }
}

/// Membership in a set of codes. Runs of consecutive codes become range tests.
fn one_of(expr: &Expr, codes: &[u32]) -> Expr {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for code in codes {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == *code => *end = *code,
            _ => runs.push((*code, *code)),
        }
    }
    if runs.len() > 8 {
        let set = Series::new("codes".into(), codes);
        return expr.clone().is_in(lit(set).implode(false), false);
    }
    runs.into_iter()
        .map(|(first, last)| {
            if first == last {
                expr.clone().eq(lit(first))
            } else {
                expr.clone().gt_eq(lit(first)).and(expr.clone().lt_eq(lit(last)))
            }
        })
        .reduce(Expr::or)
        .unwrap_or_else(|| lit(false))
}

/// SQL LIKE: `%` any run of characters, `_` one character.
pub(crate) fn like(text: &str, pattern: &str, any_case: bool) -> bool {
    let fold = |value: &str| -> Vec<char> {
        if any_case { value.to_lowercase().chars().collect() } else { value.chars().collect() }
    };
    let (text, pattern) = (fold(text), fold(pattern));
    // Greedy matching with one point of return: the last `%`.
    let (mut at, mut wanted, mut back) = (0, 0, None);
    while at < text.len() {
        if wanted < pattern.len() && (pattern[wanted] == '_' || (pattern[wanted] != '%' && pattern[wanted] == text[at]))
        {
            (at, wanted) = (at + 1, wanted + 1);
        } else if wanted < pattern.len() && pattern[wanted] == '%' {
            back = Some((wanted, at));
            wanted += 1;
        } else if let Some((percent, from)) = back {
            back = Some((percent, from + 1));
            (wanted, at) = (percent + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[wanted..].iter().all(|rest| *rest == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_follows_sql() {
        for (text, pattern, expected) in [
            ("Closed Won", "Closed%", true),
            ("Closed Won", "%won", false),
            ("abc", "a_c", true),
            ("abc", "a_", false),
            ("aXbXc", "a%b%c", true),
            ("", "%", true),
            ("", "_", false),
        ] {
            assert_eq!(like(text, pattern, false), expected, "{text} like {pattern}");
        }
        assert!(like("Closed Won", "%WON", true));
    }
}
