//! `--currency` by hand: every amount with its own rate, found by looking through all rates.
//!
//! Rates are given in one direction, in the other, or only over a third currency; as spot rates
//! on some days, as averages and as a plan. Flows take the rate of their day, stocks that of the
//! day they are looked at.

use dealframe_model::calendar::{Calendar, Grain};
use dealframe_model::date;
use dealframe_query::Engine;
use dealframe_query::request::{RateKind, Request, Settings};

use super::value::{Fraction, Value};
use super::world::{Row, World, cell, day};

const CURRENCIES: [&str; 4] = ["USD", "EUR", "GBP", "CHF"];
const TARGET: &str = "USD";
const AS_OF: &str = "2024-05-20";

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn day(&mut self) -> String {
        date::format(day("2023-02-01") + i32::try_from(self.below(470)).unwrap())
    }
}

/// Deals in four currencies, and their rates: EUR direct, GBP inverse, CHF only against EUR.
fn world(seed: u64) -> World {
    let mut dice = Dice(seed);
    let mut world = World::new(AS_OF);
    for number in 0..60 {
        let (created, closed) = (dice.day(), dice.day());
        let (created, closed) = if created < closed { (created, closed) } else { (closed, created) };
        let status = ["won", "won", "lost", "open"][dice.below(4) as usize];
        let mut text = format!(
            "deal_id=d{number} name=x status={status} stage=s created_date={created} close_date={closed} amount={}.{:02}",
            dice.below(90_000),
            dice.below(100)
        );
        text.push_str(&format!(" currency={}", CURRENCIES[dice.below(4) as usize]));
        if dice.below(3) != 0 {
            text.push_str(&format!(" region={}", ["North", "South"][dice.below(2) as usize]));
        }
        world.add("deals", &text);
    }
    let mut number = 0;
    for (from, to, level) in [("EUR", "USD", 108), ("USD", "GBP", 79), ("CHF", "EUR", 103), ("JPY", "EUR", 1)] {
        for kind in ["spot", "average", "plan"] {
            let mut when = day("2023-01-01");
            while when < day(AS_OF) {
                number += 1;
                let rate = format!("{}.{:06}", level / 100, (level % 100) * 10_000 + dice.below(30_000));
                let day = date::format(when);
                world.add(
                    "fx_rates",
                    &format!("rate_id=r{number} from_currency={from} to_currency={to} rate_date={day} rate={rate} kind={kind}"),
                );
                when += if kind == "spot" { 3 + i32::try_from(dice.below(20)).unwrap() } else { 90 };
            }
        }
    }
    world
}

/// Half away from zero to eight digits, as rates are kept.
fn eight(number: Fraction) -> Fraction {
    let scaled = number.times(Fraction::whole(100_000_000)).plus(Fraction::new(1, 2));
    let text = scaled.floor();
    Fraction::new(text, 100_000_000)
}

fn direct(world: &World, kind: &str, from: &str, to: &str, today: i32) -> Option<Fraction> {
    let newest = |from: &str, to: &str| {
        let known = world.rows("fx_rates").iter().filter(|row| {
            cell(row, "kind") == Value::text(kind)
                && cell(row, "from_currency") == Value::text(from)
                && cell(row, "to_currency") == Value::text(to)
                && cell(row, "rate_date").as_date().unwrap() <= today
        });
        known.max_by_key(|row| cell(row, "rate_date").as_date()).and_then(|row| cell(row, "rate").as_number())
    };
    newest(from, to).or_else(|| newest(to, from).and_then(|rate| Fraction::whole(1).over(rate)).map(eight))
}

fn rate(world: &World, kind: &str, from: &str, today: i32) -> Fraction {
    if from == TARGET {
        return Fraction::whole(1);
    }
    direct(world, kind, from, TARGET, today).unwrap_or_else(|| {
        // Over the first currency, by name, that leads from one to the other.
        let middle = ["CHF", "EUR", "GBP", "JPY"].into_iter().filter(|middle| *middle != from);
        let over = |middle: &str| {
            Some(eight(direct(world, kind, from, middle, today)?.times(direct(world, kind, middle, TARGET, today)?)))
        };
        middle.filter_map(over).next().unwrap()
    })
}

fn converted(world: &World, kind: &str, deal: &Row, today: i32) -> Fraction {
    let currency = cell(deal, "currency").as_text().unwrap_or(TARGET).to_owned();
    cell(deal, "amount").as_number().unwrap().times(rate(world, kind, &currency, today))
}

fn is(deal: &Row, status: &str) -> bool {
    cell(deal, "status") == Value::text(status)
}

fn on(deal: &Row, column: &str) -> i32 {
    cell(deal, column).as_date().unwrap()
}

/// What stands open at the end of a day.
fn is_open(deal: &Row, today: i32) -> bool {
    on(deal, "created_date") <= today && (is(deal, "open") || on(deal, "close_date") > today)
}

#[test]
fn every_amount_is_converted_with_its_own_rate() {
    let calendar = Calendar::default();
    for (seed, kind) in [(1, RateKind::Spot), (2, RateKind::Average), (3, RateKind::Plan), (4, RateKind::Spot)] {
        let world = world(seed);
        let folder = tempfile::tempdir().unwrap();
        let lake = folder.path().join("lake");
        world.write(&lake, 1);
        let settings = Settings { currency: Some(TARGET.to_owned()), rate_kind: kind, ..Settings::default() };
        let engine = Engine::open(&lake, settings).unwrap();
        let mut compared = 0;
        for by in [vec![], vec!["region".to_owned()]] {
            let request = Request {
                kpis: [
                    "revenue",
                    "win_rate_by_value",
                    "average_deal_size",
                    "median_deal_size",
                    "open_pipeline_value",
                    "pipeline_net_change",
                ]
                .map(str::to_owned)
                .to_vec(),
                by,
                grains: vec![Grain::Month, Grain::All],
                from: Some(day("2023-02-01")),
                ..Request::default()
            };
            let frame = engine.run(&[request]).unwrap().pop().unwrap();
            for row in &frame.rows {
                let period = &frame.periods[row.period as usize];
                let index = calendar.index(period.grain, period.start.unwrap());
                let (first, last) = match period.grain {
                    Grain::All => (day("2023-02-01"), day(AS_OF)),
                    grain => (calendar.start(grain, index), (calendar.end(grain, index) - 1).min(day(AS_OF))),
                };
                let deals: Vec<&Row> = world
                    .rows("deals")
                    .iter()
                    .filter(|deal| frame.segments.is_empty() || cell(deal, "region").as_text() == frame.label(row, 0))
                    .collect();
                let name = kind.name();
                let sum = |deals: &mut dyn Iterator<Item = Fraction>| deals.fold(Fraction::ZERO, Fraction::plus);
                let closed = |status: &'static str| {
                    let deals = deals
                        .iter()
                        .filter(move |deal| is(deal, status) && (first..=last).contains(&on(deal, "close_date")));
                    deals.map(|deal| converted(&world, name, deal, on(deal, "close_date"))).collect::<Vec<_>>()
                };
                let stands = |today: i32| {
                    let open = deals.iter().filter(|deal| is_open(deal, today));
                    sum(&mut open.map(|deal| converted(&world, name, deal, today)))
                };
                let (won, lost) = (closed("won"), closed("lost"));
                let revenue = sum(&mut won.iter().copied());
                let kpi = frame.kpis[row.kpi as usize].id.as_str();
                let expected = match kpi {
                    "revenue" => Some(revenue),
                    "win_rate_by_value" => {
                        revenue.over(revenue.plus(sum(&mut lost.iter().copied()))).map(Fraction::rounded)
                    }
                    "average_deal_size" => revenue.over(Fraction::whole(won.len() as i128)).map(Fraction::rounded),
                    "open_pipeline_value" => Some(stands(last)),
                    "pipeline_net_change" => Some(stands(last).minus(stands(first - 1))),
                    "median_deal_size" => {
                        let mut sorted = won.clone();
                        sorted.sort();
                        let at = |place: usize| sorted.get(place).copied();
                        let both = at(sorted.len().wrapping_sub(1) / 2).zip(at(sorted.len() / 2));
                        both.map(|(low, high)| low.plus(high).times(Fraction::new(1, 2)))
                    }
                    other => panic!("{other}"),
                };
                let unit = &frame.units[row.unit as usize];
                assert!(unit == TARGET || kpi == "win_rate_by_value", "{kpi} in {unit}");
                assert_eq!(row.value.map(Fraction::of), expected, "{kpi} {} {:?}", period.label, frame.label(row, 0));
                compared += usize::from(row.rows > 0);
            }
        }
        assert!(compared > 100, "{compared}");
    }
}
