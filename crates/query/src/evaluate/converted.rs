//! Stocks under `--currency`: kept in their own currencies, converted on the day they are looked at.
//!
//! A flow is converted at the rate of its business date. What stands cannot be: if entries and
//! departures were each converted at their own day, a deal that came at one rate and left at
//! another would leave a rest that no deal stands for. So a stock is counted by currency first,
//! and what stands at the end of a period is converted at the rate of that day.

use dealframe_model::calendar::Grain;
use dealframe_model::decimal;
use dealframe_model::frame::Number;
use dealframe_model::kpi::{Aggregate, Stock};
use hashbrown::HashMap;

use super::leaf::note_amounts;
use super::money::Currency;
use super::{Key, Point, Question, Series, Source, Walk, no_values};
use crate::cube::MAX_SEGMENTS;
use crate::error::QueryError;
use crate::facts::FactKind;
use crate::parse;
use crate::request::Settings;

impl Walk<'_> {
    /// The stock in the target currency; nothing where there is nothing to convert.
    pub(super) fn converted_stock(
        &mut self,
        stock: &Stock,
        question: &Question,
        to: Option<i32>,
    ) -> Result<Option<Series>, QueryError> {
        let Some(target) = self.settings.currency.clone().filter(|_| stock.aggregate == Aggregate::Sum) else {
            return Ok(None);
        };
        let mut is_money = false;
        if let Some(of) = &stock.of {
            note_amounts(&parse::expression(of)?, &mut is_money);
        }
        let fact = self.facts.table(&stock.table)?;
        let Some(FactKind::Code { domain }) = fact.column("currency").map(|column| &column.kind).filter(|_| is_money)
        else {
            return Ok(None);
        };
        let labels = fact.labels(domain)?;
        // The only currency is that of amounts that name none as well.
        let unnamed = match &labels[..] {
            [only] if **only == *target => return Ok(None),
            [only] => Some(only.to_string()),
            _ => None,
        };
        let mut by = question.by.clone();
        let position = by.iter().position(|name| name == "currency").unwrap_or(by.len());
        if position == by.len() {
            by.push("currency".to_owned());
        }
        if by.len() > MAX_SEGMENTS {
            return Err(QueryError::TooManyKeys { segments: by.join(", ") });
        }
        let own = self.in_own_currencies(stock, &Question { by, ..question.clone() }, to)?;
        if self.is_collecting() {
            return Ok(Some(own));
        }
        let width = question.by.len();
        let mut sums: HashMap<Key, (i128, i64)> = HashMap::new();
        let mut unreadable: HashMap<i32, i64> = HashMap::new();
        let mut scale = decimal::RATE_SCALE;
        for ((period, combination), point) in own.points.iter() {
            let Some(value) = point.value else { continue };
            let mut labels = self.space.combination(combination);
            let from = self.space.label(labels[position]).map(str::to_owned).or_else(|| unnamed.clone());
            if position >= width {
                labels[position] = 0;
            }
            let key = (period, self.space.number(labels, width));
            // What is nothing needs no rate, which there may not have been yet.
            let rate = match from {
                _ if value.value == 0 => 0,
                Some(from) => {
                    let day = self.looked_at(question, period, to);
                    self.rates.rate(self.facts, self.settings.rate_kind, &from, &target, day)?
                }
                None => {
                    *unreadable.entry(period).or_insert(0) += point.rows;
                    0
                }
            };
            scale = value.scale + decimal::RATE_SCALE;
            let entry = sums.entry(key).or_insert((0, 0));
            entry.0 += value.value * rate;
            entry.1 += point.rows;
        }
        if let Some(rows) = unreadable.into_values().max() {
            let column = stock.of.clone().unwrap_or_default();
            return Err(QueryError::NoCurrency { column, table: fact.table.clone(), rows });
        }
        let points =
            sums.into_iter().map(|(key, (value, rows))| (key, Point::of(Number { value, scale }, rows))).collect();
        Ok(Some(Series {
            points,
            span: own.span,
            currency: Currency::One(target),
            ..no_values(Point::of(Number { value: 0, scale }, 0), true)
        }))
    }

    fn in_own_currencies(&mut self, stock: &Stock, question: &Question, to: Option<i32>) -> Result<Series, QueryError> {
        let plain = Settings { currency: None, ..self.settings.clone() };
        let mut walk = Walk {
            facts: self.facts,
            catalogue: self.catalogue,
            calendar: self.calendar,
            settings: &plain,
            as_of: self.as_of,
            source: match &mut self.source {
                Source::Collect(asks) => Source::Collect(asks),
                Source::Answer(cubes) => Source::Answer(cubes),
            },
            space: self.space,
            rates: self.rates,
            notes: self.notes,
        };
        walk.stock_until(stock, question, to)
    }

    /// The day at whose end the stock of a period stands.
    fn looked_at(&self, question: &Question, period: i32, to: Option<i32>) -> i32 {
        let last = to.or(self.as_of.map(|day| day + 1)).map(|to| to - 1);
        if question.grain == Grain::All {
            return last.unwrap_or(i32::MAX);
        }
        let end = self.calendar.end(question.grain, period) - 1;
        last.map_or(end, |last| last.min(end))
    }
}
