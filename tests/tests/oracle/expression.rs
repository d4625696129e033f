//! The oracle's own reader and evaluator of the expressions in KPI definitions.
//!
//! A recursive-descent parser over a handful of words, and an evaluation of one row at a time in
//! three-valued logic: `Null` stands for "unknown". Shares no code with the product's parser.

use dealframe_model::date;

use super::value::{Fraction, Value};

#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    Column(String),
    Constant(Value),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Compare(String, Box<Expression>, Box<Expression>),
    IsNull(Box<Expression>),
    In(Box<Expression>, Vec<Expression>),
    /// Operand, pattern, whether case matters.
    Like(Box<Expression>, String, bool),
    Arithmetic(char, Box<Expression>, Box<Expression>),
    DaysBetween(Box<Expression>, Box<Expression>),
    Case(Vec<(Expression, Expression)>, Box<Expression>),
    Coalesce(Vec<Expression>),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(Fraction),
    Sign(String),
}

/// Reads an expression; a mistake is a mistake of the definition and stops the test.
pub fn parse(text: &str) -> Expression {
    let mut reader = Reader { tokens: tokens(text), place: 0 };
    let expression = reader.disjunction();
    assert_eq!(reader.place, reader.tokens.len(), "left over in `{text}`");
    expression
}

fn tokens(text: &str) -> Vec<Token> {
    let letters: Vec<char> = text.chars().collect();
    let (mut tokens, mut place) = (Vec::new(), 0);
    while place < letters.len() {
        let letter = letters[place];
        let start = place;
        place += 1;
        if letter.is_whitespace() {
            continue;
        }
        if letter == '\'' {
            let mut content = String::new();
            loop {
                if letters[place] == '\'' && letters.get(place + 1) == Some(&'\'') {
                    content.push('\'');
                    place += 2;
                } else if letters[place] == '\'' {
                    place += 1;
                    break;
                } else {
                    content.push(letters[place]);
                    place += 1;
                }
            }
            tokens.push(Token::Text(content));
        } else if letter.is_ascii_digit() {
            while place < letters.len() && (letters[place].is_ascii_digit() || letters[place] == '.') {
                place += 1;
            }
            let number: String = letters[start..place].iter().collect();
            let digits = number.split_once('.').map_or(0, |(_, digits)| digits.len());
            tokens.push(Token::Number(Fraction::scaled(number.replace('.', "").parse().unwrap(), digits as u32)));
        } else if letter.is_alphabetic() || letter == '_' {
            while place < letters.len() && (letters[place].is_alphanumeric() || letters[place] == '_') {
                place += 1;
            }
            tokens.push(Token::Word(letters[start..place].iter().collect()));
        } else {
            if matches!(
                (letter, letters.get(place)),
                ('<', Some('>')) | ('<', Some('=')) | ('>', Some('=')) | ('!', Some('='))
            ) {
                place += 1;
            }
            tokens.push(Token::Sign(letters[start..place].iter().collect()));
        }
    }
    tokens
}

struct Reader {
    tokens: Vec<Token>,
    place: usize,
}

impl Reader {
    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.place), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
        self.place += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.get(self.place), Some(Token::Sign(found)) if found == sign);
        self.place += usize::from(found);
        found
    }

    fn need_word(&mut self, word: &str) {
        assert!(self.word(word), "`{word}` expected at {} of {:?}", self.place, self.tokens);
    }

    fn need(&mut self, sign: &str) {
        assert!(self.sign(sign), "`{sign}` expected at {} of {:?}", self.place, self.tokens);
    }

    fn disjunction(&mut self) -> Expression {
        let mut left = self.conjunction();
        while self.word("or") {
            left = Expression::Or(Box::new(left), Box::new(self.conjunction()));
        }
        left
    }

    fn conjunction(&mut self) -> Expression {
        let mut left = self.negation();
        while self.word("and") {
            left = Expression::And(Box::new(left), Box::new(self.negation()));
        }
        left
    }

    fn negation(&mut self) -> Expression {
        if self.word("not") { Expression::Not(Box::new(self.negation())) } else { self.comparison() }
    }

    fn comparison(&mut self) -> Expression {
        let left = self.sum();
        if self.word("is") {
            let not = self.word("not");
            self.need_word("null");
            return negate(not, Expression::IsNull(Box::new(left)));
        }
        let not = self.word("not");
        if self.word("in") {
            self.need("(");
            let mut list = vec![self.sum()];
            while self.sign(",") {
                list.push(self.sum());
            }
            self.need(")");
            return negate(not, Expression::In(Box::new(left), list));
        }
        if self.word("between") {
            let low = self.sum();
            self.need_word("and");
            let high = self.sum();
            let above = Expression::Compare(">=".into(), Box::new(left.clone()), Box::new(low));
            let below = Expression::Compare("<=".into(), Box::new(left), Box::new(high));
            return negate(not, Expression::And(Box::new(above), Box::new(below)));
        }
        for (word, case_matters) in [("like", true), ("ilike", false)] {
            if self.word(word) {
                let Expression::Constant(Value::Text(pattern)) = self.sum() else { panic!("a pattern must be a text") };
                return negate(not, Expression::Like(Box::new(left), pattern, case_matters));
            }
        }
        assert!(!not, "NOT before nothing");
        for sign in ["=", "<>", "!=", "<=", ">=", "<", ">"] {
            if self.sign(sign) {
                return Expression::Compare(sign.to_owned(), Box::new(left), Box::new(self.sum()));
            }
        }
        left
    }

    fn sum(&mut self) -> Expression {
        let mut left = self.product();
        loop {
            let operator = if self.sign("+") {
                '+'
            } else if self.sign("-") {
                '-'
            } else {
                return left;
            };
            left = Expression::Arithmetic(operator, Box::new(left), Box::new(self.product()));
        }
    }

    fn product(&mut self) -> Expression {
        let mut left = self.operand();
        while self.sign("*") {
            left = Expression::Arithmetic('*', Box::new(left), Box::new(self.operand()));
        }
        left
    }

    fn operand(&mut self) -> Expression {
        if self.sign("-") {
            let zero = Expression::Constant(Value::Number(Fraction::ZERO));
            return Expression::Arithmetic('-', Box::new(zero), Box::new(self.operand()));
        }
        if self.sign("(") {
            let inner = self.disjunction();
            self.need(")");
            return inner;
        }
        let token = self.tokens.get(self.place).cloned();
        self.place += 1;
        match token {
            Some(Token::Text(text)) => Expression::Constant(Value::Text(text)),
            Some(Token::Number(number)) => Expression::Constant(Value::Number(number)),
            Some(Token::Word(word)) => self.named(&word),
            other => panic!("an operand expected, found {other:?}"),
        }
    }

    fn named(&mut self, word: &str) -> Expression {
        match word.to_ascii_lowercase().as_str() {
            "null" => Expression::Constant(Value::Null),
            "true" => Expression::Constant(Value::Boolean(true)),
            "false" => Expression::Constant(Value::Boolean(false)),
            "date" => match self.tokens.get(self.place).cloned() {
                Some(Token::Text(text)) => {
                    self.place += 1;
                    Expression::Constant(Value::Date(date::parse(&text).unwrap()))
                }
                _ => Expression::Column(word.to_owned()),
            },
            "case" => {
                let mut branches = Vec::new();
                while self.word("when") {
                    let condition = self.disjunction();
                    self.need_word("then");
                    branches.push((condition, self.disjunction()));
                }
                let otherwise = if self.word("else") { self.disjunction() } else { Expression::Constant(Value::Null) };
                self.need_word("end");
                Expression::Case(branches, Box::new(otherwise))
            }
            name @ ("coalesce" | "days_between") => {
                self.need("(");
                let mut operands = vec![self.disjunction()];
                while self.sign(",") {
                    operands.push(self.disjunction());
                }
                self.need(")");
                if name == "coalesce" {
                    return Expression::Coalesce(operands);
                }
                assert_eq!(operands.len(), 2, "days_between takes a start and an end");
                let end = operands.remove(1);
                Expression::DaysBetween(Box::new(operands.remove(0)), Box::new(end))
            }
            _ => Expression::Column(word.to_owned()),
        }
    }
}

fn negate(not: bool, expression: Expression) -> Expression {
    if not { Expression::Not(Box::new(expression)) } else { expression }
}

impl Expression {
    /// The value for one row, whose columns and segments `column` knows.
    pub fn evaluate(&self, column: &dyn Fn(&str) -> Value) -> Value {
        let of = |operand: &Self| operand.evaluate(column);
        match self {
            Self::Column(name) => column(name),
            Self::Constant(value) => value.clone(),
            Self::Not(operand) => truth(of(operand).as_boolean().map(|known| !known)),
            Self::And(left, right) => match (of(left).as_boolean(), of(right).as_boolean()) {
                (Some(false), _) | (_, Some(false)) => Value::Boolean(false),
                (Some(true), Some(true)) => Value::Boolean(true),
                _ => Value::Null,
            },
            Self::Or(left, right) => match (of(left).as_boolean(), of(right).as_boolean()) {
                (Some(true), _) | (_, Some(true)) => Value::Boolean(true),
                (Some(false), Some(false)) => Value::Boolean(false),
                _ => Value::Null,
            },
            Self::Compare(sign, left, right) => compare(sign, &of(left), &of(right)),
            Self::IsNull(operand) => Value::Boolean(of(operand).is_null()),
            Self::In(operand, list) => {
                let value = of(operand);
                let found = list.iter().any(|entry| compare("=", &value, &of(entry)) == Value::Boolean(true));
                truth((!value.is_null()).then_some(found))
            }
            Self::Like(operand, pattern, case_matters) => {
                let fold = |text: &str| if *case_matters { text.to_owned() } else { text.to_lowercase() };
                let pattern: Vec<char> = fold(pattern).chars().collect();
                truth(of(operand).as_text().map(|text| matches(&fold(text).chars().collect::<Vec<_>>(), &pattern)))
            }
            Self::Arithmetic(operator, left, right) => {
                let (Some(left), Some(right)) = (of(left).as_number(), of(right).as_number()) else {
                    return Value::Null;
                };
                Value::Number(match operator {
                    '+' => left.plus(right),
                    '-' => left.minus(right),
                    _ => left.times(right),
                })
            }
            Self::DaysBetween(start, end) => match (of(start).as_date(), of(end).as_date()) {
                (Some(start), Some(end)) => Value::whole(i64::from(end - start)),
                _ => Value::Null,
            },
            Self::Case(branches, otherwise) => branches
                .iter()
                .find(|(condition, _)| of(condition) == Value::Boolean(true))
                .map_or_else(|| of(otherwise), |(_, value)| of(value)),
            Self::Coalesce(operands) => operands.iter().map(of).find(|value| !value.is_null()).unwrap_or(Value::Null),
        }
    }
}

fn truth(known: Option<bool>) -> Value {
    known.map_or(Value::Null, Value::Boolean)
}

fn compare(sign: &str, left: &Value, right: &Value) -> Value {
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.cmp(right),
        (Value::Date(left), Value::Date(right)) => left.cmp(right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Boolean(left), Value::Boolean(right)) => left.cmp(right),
        (Value::Null, _) | (_, Value::Null) => return Value::Null,
        _ => panic!("cannot compare {left:?} with {right:?}"),
    };
    Value::Boolean(match sign {
        "=" => order.is_eq(),
        "<>" | "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    })
}

fn matches(text: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => (0..=text.len()).any(|skipped| matches(&text[skipped..], rest)),
        Some(('_', rest)) => !text.is_empty() && matches(&text[1..], rest),
        Some((letter, rest)) => text.first() == Some(letter) && matches(&text[1..], rest),
    }
}

#[test]
fn unknown_is_neither_true_nor_false() {
    let row = |name: &str| match name {
        "amount" => Value::whole(5),
        "stage" => Value::text("Cross-Selling"),
        "won" => Value::Boolean(true),
        _ => Value::Null,
    };
    let value = |text: &str| parse(text).evaluate(&row);
    for (text, expected) in [
        ("missing = 1", Value::Null),
        ("not missing = 1", Value::Null),
        ("missing = 1 or won", Value::Boolean(true)),
        ("missing = 1 and won", Value::Null),
        ("missing = 1 and not won", Value::Boolean(false)),
        ("missing not in ('a')", Value::Null),
        ("missing is null and amount is not null", Value::Boolean(true)),
        ("stage ilike '%cross%sell%'", Value::Boolean(true)),
        ("stage like '%cross%'", Value::Boolean(false)),
        ("amount between 5 and 6", Value::Boolean(true)),
        ("case when missing > 1 then 1 when amount >= 5 then -1 else 0 end", Value::whole(-1)),
        ("coalesce(missing, amount * 2 - 0.5)", Value::Number(Fraction::scaled(95, 1))),
        ("days_between(date '2024-02-28', date '2024-03-01')", Value::whole(2)),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}
