//! The typed expression tree of KPI definitions and `--where`.
//!
//! A small part of SQL, engine-neutral: every node has one meaning, and each engine's compiler
//! must give exactly that meaning. Three-valued logic as in SQL: a comparison with null is
//! null, and a filter keeps a row only when it is true. Parsing SQL text into this tree and
//! compiling it for Polars and for SQL engines is the business of `dealframe-query`.

use serde::{Deserialize, Serialize};

/// A constant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Literal {
    Null,
    Boolean(bool),
    Text(String),
    /// A number as an integer scaled by 10^scale.
    Number {
        value: i64,
        scale: u32,
    },
    /// Days since 1970-01-01.
    Date(i32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
}

/// An expression over the columns and segments of one table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Expression {
    /// A column of the table, or one of its segments.
    Column(String),
    Literal(Literal),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Compare {
        operator: Comparison,
        left: Box<Self>,
        right: Box<Self>,
    },
    IsNull(Box<Self>),
    /// Membership; null when the operand is null.
    In {
        operand: Box<Self>,
        list: Vec<Literal>,
    },
    /// SQL LIKE with `%` and `_`; without regard to case when `any_case`.
    Like {
        operand: Box<Self>,
        pattern: String,
        any_case: bool,
    },
    Arithmetic {
        operator: Arithmetic,
        left: Box<Self>,
        right: Box<Self>,
    },
    /// Whole days from `start` to `end`; null when either is null.
    DaysBetween {
        start: Box<Self>,
        end: Box<Self>,
    },
    /// The first branch whose condition is true, else `otherwise`.
    Case {
        branches: Vec<(Self, Self)>,
        otherwise: Box<Self>,
    },
    /// The first operand that is not null.
    Coalesce(Vec<Self>),
}

impl Expression {
    /// Calls `visit` with every node of the tree, from the top down.
    pub fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        match self {
            Self::Column(_) | Self::Literal(_) => {}
            Self::Not(operand) | Self::IsNull(operand) => operand.visit(visit),
            Self::In { operand, .. } | Self::Like { operand, .. } => operand.visit(visit),
            Self::And(left, right)
            | Self::Or(left, right)
            | Self::Compare { left, right, .. }
            | Self::Arithmetic { left, right, .. }
            | Self::DaysBetween { start: left, end: right } => {
                left.visit(visit);
                right.visit(visit);
            }
            Self::Case { branches, otherwise } => {
                for (condition, value) in branches {
                    condition.visit(visit);
                    value.visit(visit);
                }
                otherwise.visit(visit);
            }
            Self::Coalesce(operands) => operands.iter().for_each(|operand| operand.visit(visit)),
        }
    }

    /// Calls `visit` with the name of every column in the tree.
    pub fn visit_columns<'a>(&'a self, visit: &mut dyn FnMut(&'a str)) {
        self.visit(&mut |node| {
            if let Self::Column(name) = node {
                visit(name);
            }
        });
    }

    /// Both, where there is something on either side.
    pub fn and(left: Option<Self>, right: Option<Self>) -> Option<Self> {
        match (left, right) {
            (Some(left), Some(right)) => Some(Self::And(Box::new(left), Box::new(right))),
            (one, other) => one.or(other),
        }
    }
}
