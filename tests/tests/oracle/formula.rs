//! Arithmetic on values of KPIs, as formulas write it: names, numbers, `+ - * /` and brackets.
//!
//! As the words have it: adding is exact, a quotient keeps twelve digits, a product is cut back
//! to twelve; a missing operand and a division by 0 make the whole thing missing.

use super::value::Fraction;

/// The value of a formula whose names `operand` knows.
pub fn evaluate(formula: &str, operand: &mut dyn FnMut(&str) -> Option<Fraction>) -> Option<Fraction> {
    let words = words(formula);
    let mut place = 0;
    let value = sum(&words, &mut place, operand);
    assert_eq!(place, words.len(), "left over in `{formula}`");
    value
}

/// The KPIs that a formula names.
pub fn names(formula: &str) -> Vec<String> {
    words(formula).into_iter().filter(|word| word.starts_with(char::is_alphabetic)).collect()
}

fn words(formula: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for letter in formula.chars() {
        let part_of_word = letter.is_alphanumeric() || letter == '_' || letter == '.';
        match words.last_mut() {
            Some(word) if part_of_word && open => word.push(letter),
            _ if !letter.is_whitespace() => words.push(letter.to_string()),
            _ => {}
        }
        open = part_of_word;
    }
    words
}

type Operand<'a> = &'a mut dyn FnMut(&str) -> Option<Fraction>;

fn sum(words: &[String], place: &mut usize, operand: Operand) -> Option<Fraction> {
    let mut left = product(words, place, operand);
    while let Some(sign @ ("+" | "-")) = words.get(*place).map(String::as_str) {
        *place += 1;
        let right = product(words, place, operand);
        left = left.zip(right).map(|(left, right)| if sign == "+" { left.plus(right) } else { left.minus(right) });
    }
    left
}

fn product(words: &[String], place: &mut usize, operand: Operand) -> Option<Fraction> {
    let mut left = single(words, place, operand);
    while let Some(sign @ ("*" | "/")) = words.get(*place).map(String::as_str) {
        *place += 1;
        let right = single(words, place, operand);
        left = left.zip(right).and_then(|(left, right)| {
            let exact = if sign == "*" { Some(left.times(right)) } else { left.over(right) };
            exact.map(Fraction::rounded)
        });
    }
    left
}

fn single(words: &[String], place: &mut usize, operand: Operand) -> Option<Fraction> {
    let word = words[*place].as_str();
    *place += 1;
    if word == "(" {
        let inner = sum(words, place, operand);
        assert_eq!(words[*place], ")");
        *place += 1;
        return inner;
    }
    if word.starts_with(|letter: char| letter.is_ascii_digit()) {
        let digits = word.split_once('.').map_or(0, |(_, digits)| digits.len());
        return Some(Fraction::scaled(word.replace('.', "").parse().unwrap(), digits as u32));
    }
    operand(word)
}

#[test]
fn brackets_come_first_and_missing_stays_missing() {
    let mut operand = |name: &str| match name {
        "six" => Some(Fraction::whole(6)),
        "two" => Some(Fraction::whole(2)),
        _ => None,
    };
    assert_eq!(evaluate("six / (two * 1.5) - 1", &mut operand), Some(Fraction::whole(1)));
    assert_eq!(evaluate("six - two * two", &mut operand), Some(Fraction::whole(2)));
    assert_eq!(evaluate("six / (two - 2)", &mut operand), None);
    assert_eq!(evaluate("six + nothing", &mut operand), None);
    assert_eq!(names("six / (two * 1.5)"), ["six", "two"]);
}
