//! The KPIs that people know by name, computed by hand from the raw rows.
//!
//! Written from the formulas in words, without the YAML definitions and without the derived
//! tables of the other oracle: sums and counts over rows, and the state of a deal on a day read
//! off its history. So a mistake in a definition is found as well as one in the engine.

use std::collections::{BTreeMap, BTreeSet};

use dealframe_model::calendar::{Calendar, Grain};
use dealframe_model::date;

use super::compare::{Ask, Case, cells};
use super::generate::{asked, rich_world, worlds};
use super::value::{Fraction, Value};
use super::world::{Row, World, cell};

/// A period, and how to find the ones it is compared with.
#[derive(Debug, Clone, Copy)]
struct Span {
    grain: Grain,
    first: i32,
    last: i32,
}

impl Span {
    fn holds(self, day: Option<i32>) -> bool {
        day.is_some_and(|day| self.first <= day && day <= self.last)
    }

    /// The whole period that lies `months` months before.
    fn earlier(self, months: i32) -> Self {
        let length = if self.grain == Grain::Month { 1 } else { 3 };
        let first = date::add_months(self.first, -months);
        Self { first, last: date::add_months(first, length) - 1, ..self }
    }
}

type Parts = BTreeMap<Option<String>, Fraction>;

fn rows<'a>(world: &'a World, table: &str) -> impl Iterator<Item = &'a Row> {
    world.rows(table).iter().filter(|row| cell(row, "is_deleted") != Value::Boolean(true))
}

fn is(row: &Row, column: &str, text: &str) -> bool {
    cell(row, column).as_text() == Some(text)
}

fn yes(row: &Row, column: &str) -> bool {
    cell(row, column) == Value::Boolean(true)
}

fn on(row: &Row, column: &str) -> Option<i32> {
    cell(row, column).as_date()
}

fn number(row: &Row, column: &str) -> Option<Fraction> {
    cell(row, column).as_number()
}

fn text(row: &Row, column: &str) -> Option<String> {
    cell(row, column).as_text().map(str::to_owned)
}

fn sum(numbers: impl Iterator<Item = Fraction>) -> Fraction {
    numbers.fold(Fraction::ZERO, Fraction::plus)
}

fn whole(count: usize) -> Fraction {
    Fraction::whole(count as i128)
}

fn rate(above: Fraction, below: Fraction) -> Option<Fraction> {
    above.over(below).map(Fraction::rounded)
}

/// Deals that were closed with an outcome in the period.
fn closed<'a>(world: &'a World, span: Span, status: &str) -> Vec<&'a Row> {
    rows(world, "deals").filter(|deal| is(deal, "status", status) && span.holds(on(deal, "close_date"))).collect()
}

fn created(world: &World, span: Span) -> Vec<&Row> {
    rows(world, "deals").filter(|deal| span.holds(on(deal, "created_date"))).collect()
}

fn amounts(deals: &[&Row]) -> Fraction {
    sum(deals.iter().filter_map(|deal| number(deal, "amount")))
}

fn revenue(world: &World, span: Span) -> Option<Fraction> {
    Some(amounts(&closed(world, span, "won")))
}

fn deals_won(world: &World, span: Span) -> Option<Fraction> {
    Some(whole(closed(world, span, "won").len()))
}

fn deals_lost(world: &World, span: Span) -> Option<Fraction> {
    Some(whole(closed(world, span, "lost").len()))
}

fn deals_created(world: &World, span: Span) -> Option<Fraction> {
    Some(whole(created(world, span).len()))
}

fn average_deal_size(world: &World, span: Span) -> Option<Fraction> {
    let won = closed(world, span, "won");
    let valued = won.iter().filter(|deal| number(deal, "amount").is_some()).count();
    rate(amounts(&won), whole(valued))
}

/// Amount and cost of the won deals for which both are known.
fn margins(world: &World, span: Span) -> Vec<(Fraction, Fraction)> {
    let won = closed(world, span, "won");
    won.iter().filter_map(|deal| Some((number(deal, "amount")?, number(deal, "cost_amount")?))).collect()
}

fn gross_margin(world: &World, span: Span) -> Option<Fraction> {
    Some(sum(margins(world, span).iter().map(|(amount, cost)| amount.minus(*cost))))
}

fn margin_rate(world: &World, span: Span) -> Option<Fraction> {
    rate(gross_margin(world, span)?, sum(margins(world, span).iter().map(|(amount, _)| *amount)))
}

fn win_rate(world: &World, span: Span) -> Option<Fraction> {
    let (won, lost) = (deals_won(world, span)?, deals_lost(world, span)?);
    rate(won, won.plus(lost))
}

fn win_rate_by_value(world: &World, span: Span) -> Option<Fraction> {
    let (won, lost) = (amounts(&closed(world, span, "won")), amounts(&closed(world, span, "lost")));
    rate(won, won.plus(lost))
}

fn win_rate_created(world: &World, span: Span) -> Option<Fraction> {
    let created = created(world, span);
    rate(whole(created.iter().filter(|deal| is(deal, "status", "won")).count()), whole(created.len()))
}

fn cycles(world: &World, span: Span) -> Vec<i32> {
    let won = closed(world, span, "won");
    let mut days: Vec<i32> =
        won.iter().filter_map(|deal| Some(on(deal, "close_date")? - on(deal, "created_date")?)).collect();
    days.sort_unstable();
    days
}

fn sales_cycle_mean(world: &World, span: Span) -> Option<Fraction> {
    let days = cycles(world, span);
    rate(Fraction::whole(days.iter().map(|days| i128::from(*days)).sum()), whole(days.len()))
}

fn sales_cycle_median(world: &World, span: Span) -> Option<Fraction> {
    let days = cycles(world, span);
    let middle = days.len() / 2;
    match days.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(Fraction::whole(i128::from(days[middle]))),
        _ => Some(Fraction::new(i128::from(days[middle - 1]) + i128::from(days[middle]), 2)),
    }
}

fn incoming(world: &World, span: Span) -> Vec<&Row> {
    rows(world, "leads").filter(|lead| is(lead, "kind", "lead") && span.holds(on(lead, "created_date"))).collect()
}

fn leads(world: &World, span: Span) -> Option<Fraction> {
    Some(whole(incoming(world, span).len()))
}

fn qualified_leads(world: &World, span: Span) -> Option<Fraction> {
    Some(whole(incoming(world, span).iter().filter(|lead| yes(lead, "is_qualified")).count()))
}

fn qualification_rate(world: &World, span: Span) -> Option<Fraction> {
    rate(qualified_leads(world, span)?, leads(world, span)?)
}

fn lead_conversion(world: &World, span: Span) -> Option<Fraction> {
    let leads = incoming(world, span);
    rate(whole(leads.iter().filter(|lead| yes(lead, "is_converted")).count()), whole(leads.len()))
}

/// Stage, amount and probability of a deal on the evening of a day; nothing when it was not open then.
fn standing(world: &World, deal: &Row, day: i32) -> Option<[Value; 3]> {
    let [stage, amount, share] = told(world, deal, day)?;
    let of_deal = |change: &&Row| cell(change, "deal_id") == cell(deal, "deal_id");
    // What was never told is taken from today, but for the stage that a closed deal ended in.
    let or_now = |told: Value, field: &'static str| {
        let is_told = rows(world, "stage_changes").filter(of_deal).any(|change| told_of(change, field));
        if is_told || (field == "stage" && !is(deal, "status", "open")) { told } else { cell(deal, field) }
    };
    Some([or_now(stage, "stage"), or_now(amount, "amount"), or_now(share, "probability")])
}

/// What a field was after a change: as it names it, else as the last one before that names it left it, else as the next found it.
fn left(changes: &[&Row], place: usize, field: &'static str) -> Value {
    let names = |change: &&&Row| names(changes, change, field);
    match changes[..=place].iter().rev().find(names) {
        Some(change) => cell(change, field),
        None => changes[place..]
            .iter()
            .position(|change| names(&change))
            .map_or(Value::Null, |next| found(changes, place + next, field)),
    }
}

/// What a field was before a change.
fn found(changes: &[&Row], place: usize, field: &'static str) -> Value {
    let change = changes[place];
    let before = cell(change, before(field));
    if !names(changes, change, field) {
        return left(changes, place, field);
    }
    if is_partial(change) {
        return before;
    }
    let is_number = field == "amount" || field == "probability";
    if before.is_null() && is_number { cell(change, field) } else { before }
}

/// Whether a change says something of a field: one of a whole state does where any of the deal's does.
fn names(changes: &[&Row], change: &Row, field: &'static str) -> bool {
    let speaks = || changes.iter().any(|other| !is_partial(other) && told_of(other, field));
    told_of(change, field) || (!is_partial(change) && speaks())
}

/// Whether a change names only what changed.
fn is_partial(change: &Row) -> bool {
    is(change, "origin", "field_history") || is(change, "origin", "snapshot_diff")
}

fn told_of(change: &Row, field: &'static str) -> bool {
    !cell(change, field).is_null() || !cell(change, before(field)).is_null()
}

fn before(field: &str) -> &'static str {
    match field {
        "stage" => "from_stage",
        "status" => "from_status",
        "amount" => "from_amount",
        _ => "from_probability",
    }
}

/// The same as the changes tell it.
fn told(world: &World, deal: &Row, day: i32) -> Option<[Value; 3]> {
    const FIELDS: [&str; 3] = ["stage", "amount", "probability"];
    let mut changes: Vec<&Row> =
        rows(world, "stage_changes").filter(|change| cell(change, "deal_id") == cell(deal, "deal_id")).collect();
    changes.sort_by_key(|change| cell(change, "changed_at").as_instant());
    let change_days = || changes.iter().filter_map(|change| on(change, "changed_date"));
    let open = is(deal, "status", "open");
    let known_from = on(deal, "created_date").or_else(|| change_days().min()).unwrap_or(world.as_of);
    let went = on(deal, "close_date").or_else(|| change_days().max()).unwrap_or(known_from);
    if day < known_from || (!open && went <= day) {
        return None;
    }
    let is_closed = |status: &Value| matches!(status.as_text(), Some("won" | "lost"));
    let past = change_days().filter(|changed| *changed <= day).count();
    if open && past == changes.len() {
        return Some(FIELDS.map(|name| cell(deal, name)));
    }
    if past > 0 {
        let is_open = !is_closed(&left(&changes, past - 1, "status"));
        return is_open.then(|| FIELDS.map(|name| left(&changes, past - 1, name)));
    }
    if changes.is_empty() {
        // Where a closed deal has been is not known.
        return Some([Value::Null, cell(deal, "amount"), cell(deal, "probability")]);
    }
    if is_closed(&found(&changes, 0, "status")) {
        return None;
    }
    let mut state = FIELDS.map(|name| found(&changes, 0, name));
    if state[0].is_null() && !is_closed(&left(&changes, 0, "status")) {
        state[0] = left(&changes, 0, "stage");
    }
    Some(state)
}

/// The pipeline on the last evening of the period, or now if that is earlier.
fn pipeline(world: &World, span: Span) -> Vec<[Value; 3]> {
    let day = span.last.min(world.as_of);
    rows(world, "deals").filter_map(|deal| standing(world, deal, day)).collect()
}

fn open_pipeline_value(world: &World, span: Span) -> Option<Fraction> {
    Some(sum(pipeline(world, span).iter().filter_map(|[_, amount, _]| amount.as_number())))
}

fn open_pipeline_count(world: &World, span: Span) -> Option<Fraction> {
    Some(whole(pipeline(world, span).len()))
}

fn weighted_pipeline(world: &World, span: Span) -> Option<Fraction> {
    let weighted = |[_, amount, share]: &[Value; 3]| Some(amount.as_number()?.times(share.as_number()?));
    Some(sum(pipeline(world, span).iter().filter_map(weighted)))
}

fn revenue_growth_previous(world: &World, span: Span) -> Option<Fraction> {
    let base = match span.grain {
        Grain::Month => revenue(world, span.earlier(1))?,
        Grain::Quarter => revenue(world, span.earlier(3))?,
        _ => return None,
    };
    rate(revenue(world, span)?.minus(base), base)
}

fn revenue_growth_year_ago(world: &World, span: Span) -> Option<Fraction> {
    if span.grain == Grain::All {
        return None;
    }
    let base = revenue(world, span.earlier(12))?;
    rate(revenue(world, span)?.minus(base), base)
}

fn revenue_per_rep(world: &World, span: Span) -> Option<Fraction> {
    let sellers: BTreeSet<String> =
        closed(world, span, "won").iter().filter_map(|deal| text(deal, "owner_id")).collect();
    rate(revenue(world, span)?, whole(sellers.len()))
}

/// Won deals of every account, in order of their close dates.
fn purchases(world: &World) -> BTreeMap<String, Vec<i32>> {
    let mut purchases: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for deal in rows(world, "deals").filter(|deal| is(deal, "status", "won")) {
        if let (Some(account), Some(day)) = (text(deal, "account_id"), on(deal, "close_date")) {
            purchases.entry(account).or_default().push(day);
        }
    }
    purchases.values_mut().for_each(|days| days.sort_unstable());
    purchases
}

fn new_customers(world: &World, span: Span) -> Option<Fraction> {
    Some(whole(purchases(world).values().filter(|days| span.holds(days.first().copied())).count()))
}

fn customers(world: &World, span: Span) -> Option<Fraction> {
    let day = span.last.min(world.as_of);
    let cancelled = |id: &str| {
        rows(world, "accounts").find(|account| is(account, "account_id", id)).and_then(|row| on(row, "cancelled_date"))
    };
    let is_customer = |(account, days): &(&String, &Vec<i32>)| {
        days[0] <= day && cancelled(account).is_none_or(|cancelled| cancelled > day)
    };
    Some(whole(purchases(world).iter().filter(is_customer).count()))
}

fn upsell_rate(world: &World, span: Span) -> Option<Fraction> {
    let purchases = purchases(world);
    let repeats = purchases.values().flat_map(|days| days[1..].iter()).filter(|day| span.holds(Some(**day))).count();
    rate(whole(repeats), customers(world, span)?)
}

fn activities(world: &World, span: Span) -> Option<Fraction> {
    let by_people = rows(world, "activities").filter(|activity| !yes(activity, "is_system"));
    Some(whole(by_people.filter(|activity| span.holds(on(activity, "activity_date"))).count()))
}

fn mean_time(world: &World, span: Span, kind: &str) -> Option<Fraction> {
    let seconds: Vec<Fraction> = rows(world, "activities")
        .filter(|activity| is(activity, "activity_type", kind) && span.holds(on(activity, "activity_date")))
        .filter_map(|activity| number(activity, "duration_seconds"))
        .collect();
    rate(sum(seconds.iter().copied()), whole(seconds.len()))
}

fn call_time_mean(world: &World, span: Span) -> Option<Fraction> {
    mean_time(world, span, "call")
}

fn meeting_time_mean(world: &World, span: Span) -> Option<Fraction> {
    mean_time(world, span, "meeting")
}

/// Leads of one channel / leads of all channels.
fn lead_share(world: &World, span: Span) -> Parts {
    let leads = incoming(world, span);
    let mut parts = Parts::new();
    for lead in &leads {
        let account = rows(world, "accounts").find(|account| {
            !cell(lead, "account_id").is_null() && cell(account, "account_id") == cell(lead, "account_id")
        });
        let source = text(lead, "lead_source").or_else(|| account.and_then(|account| text(account, "lead_source")));
        let part = parts.entry(source).or_insert(Fraction::ZERO);
        *part = part.plus(Fraction::whole(1));
    }
    parts.values_mut().for_each(|part| *part = rate(*part, whole(leads.len())).unwrap());
    parts
}

fn pipeline_by_stage(world: &World, span: Span) -> Parts {
    let mut parts = Parts::new();
    for [stage, amount, _] in pipeline(world, span) {
        let part = parts.entry(stage.as_text().map(str::to_owned)).or_insert(Fraction::ZERO);
        *part = part.plus(amount.as_number().unwrap_or(Fraction::ZERO));
    }
    parts
}

fn loss_reasons(world: &World, span: Span) -> Parts {
    let mut parts = Parts::new();
    for deal in closed(world, span, "lost") {
        let part = parts.entry(text(deal, "loss_reason")).or_insert(Fraction::ZERO);
        *part = part.plus(Fraction::whole(1));
    }
    parts
}

type Single = fn(&World, Span) -> Option<Fraction>;
type Split = fn(&World, Span) -> Parts;

const SINGLE: &[(&str, Single)] = &[
    ("revenue", revenue),
    ("deals_won", deals_won),
    ("deals_lost", deals_lost),
    ("deals_created", deals_created),
    ("average_deal_size", average_deal_size),
    ("gross_margin", gross_margin),
    ("margin_rate", margin_rate),
    ("win_rate", win_rate),
    ("win_rate_by_value", win_rate_by_value),
    ("win_rate_created", win_rate_created),
    ("sales_cycle_mean", sales_cycle_mean),
    ("sales_cycle_median", sales_cycle_median),
    ("leads", leads),
    ("qualified_leads", qualified_leads),
    ("qualification_rate", qualification_rate),
    ("lead_conversion", lead_conversion),
    ("open_pipeline_value", open_pipeline_value),
    ("open_pipeline_count", open_pipeline_count),
    ("weighted_pipeline", weighted_pipeline),
    ("revenue_growth_previous", revenue_growth_previous),
    ("revenue_growth_year_ago", revenue_growth_year_ago),
    ("revenue_per_rep", revenue_per_rep),
    ("new_customers", new_customers),
    ("customers", customers),
    ("upsell_rate", upsell_rate),
    ("activities", activities),
    ("call_time_mean", call_time_mean),
    ("meeting_time_mean", meeting_time_mean),
];

const SPLIT: &[(&str, Split)] =
    &[("lead_share", lead_share), ("pipeline_by_stage", pipeline_by_stage), ("loss_reasons", loss_reasons)];

/// Every period of the range with its name in results.
fn spans() -> Vec<(Span, String)> {
    let (from, to) = asked();
    let calendar = Calendar::default();
    let mut spans = vec![(Span { grain: Grain::All, first: from, last: to - 1 }, "all".to_owned())];
    for (grain, months) in [(Grain::Month, 1), (Grain::Quarter, 3)] {
        let mut first = from;
        while first < to {
            let last = date::add_months(first, months) - 1;
            let label = calendar.label(grain, calendar.index(grain, first));
            spans.push((Span { grain, first, last: last.min(to - 1) }, label));
            first = last + 1;
        }
    }
    spans
}

fn check(world: &World) -> Result<(), String> {
    let mut world = world.clone();
    for row in world.tables.values_mut().flatten() {
        // By hand, an identifier is an identifier.
        row.insert("source_system", Value::text("test"));
    }
    let world = &world;
    let case = Case::new(world);
    let names = SINGLE.iter().map(|(kpi, _)| kpi).chain(SPLIT.iter().map(|(kpi, _)| kpi));
    let requests: Vec<_> = names.map(|kpi| Ask::new(kpi, &[], asked()).request()).collect();
    let frames = case.engine.run(&requests).unwrap();
    let mut wrong = Vec::new();
    let mut say = |kpi: &str, label: &str, part: &str, expected: Option<Fraction>, found: Option<Fraction>| {
        if expected != found {
            wrong.push(format!("{kpi} {label} {part}: expected {expected:?}, got {found:?}"));
        }
    };
    for ((kpi, by_hand), frame) in SINGLE.iter().zip(&frames) {
        let cells = cells(frame);
        for (span, label) in spans() {
            let key = (span.grain.name().to_owned(), label.clone(), Vec::new());
            say(kpi, &label, "", by_hand(world, span), cells[&key].value);
        }
    }
    for ((kpi, by_hand), frame) in SPLIT.iter().zip(&frames[SINGLE.len()..]) {
        let cells = cells(frame);
        for (span, label) in spans() {
            let expected = by_hand(world, span);
            let found: Parts = cells
                .iter()
                .filter(|(key, answer)| key.0 == span.grain.name() && key.1 == label && answer.rows > 0)
                .filter_map(|(key, answer)| Some((key.2[0].clone(), answer.value?)))
                .collect();
            let all: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
            for part in all {
                // A part of 0 may be there or not.
                let value = |parts: &Parts| parts.get(part).copied().filter(|value| !value.is_zero());
                say(kpi, &label, &format!("{part:?}"), value(&expected), value(&found));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

#[test]
fn known_kpis_agree_with_figures_made_by_hand() {
    super::random::on_random_worlds(worlds(), 3, 4, check);
    for seed in [41, 42, 43, 44] {
        check(&rich_world(seed)).unwrap_or_else(|wrong| panic!("{wrong}"));
    }
}
