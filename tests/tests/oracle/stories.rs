//! Small companies with one peculiarity each, and figures worked out on paper.
//!
//! Every story was once told wrongly: amounts of several currencies became one sum, a deal that
//! was opened again had never been lost, the lines of an invoice were sold twice. Nothing is
//! computed here; the figures stand beside the rows that they follow from.

use std::fs;

use dealframe_model::calendar::Grain;
use dealframe_model::frame::Number;
use dealframe_query::Engine;
use dealframe_query::error::QueryError;
use dealframe_query::request::{Request, Settings};

use super::world::{World, day};

/// A company on disk; the folder goes with it.
struct Story {
    lake: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Story {
    fn of(world: &World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lake = folder.path().join("lake");
        world.write(&lake, 1);
        Self { lake, _folder: folder }
    }

    fn frame(&self, settings: Settings, request: &Request) -> Result<Vec<String>, QueryError> {
        let frame = Engine::open(&self.lake, settings)?.run(std::slice::from_ref(request))?.remove(0);
        let number = |number: Option<Number>| number.map_or_else(|| "null".to_owned(), Number::plain);
        let lines = frame.rows.iter().map(|row| {
            let mut words = vec![frame.periods[row.period as usize].label.clone()];
            words.extend((0..frame.segments.len()).map(|place| frame.label(row, place).unwrap_or("-").to_owned()));
            words.extend([number(row.value), frame.units[row.unit as usize].clone()]);
            words.join(" ")
        });
        Ok(lines.collect())
    }

    /// `period segments... value unit`, line by line; every line has rows behind it or stands for all time.
    fn tells(&self, settings: &Settings, request: &Request, expected: &[&str]) {
        let found = self.frame(settings.clone(), request).unwrap_or_else(|error| panic!("{:?}: {error}", request.kpis));
        assert_eq!(found, expected, "{:?}", request.kpis);
    }

    fn refuses(&self, settings: &Settings, request: &Request, because: &str) {
        let error = self.frame(settings.clone(), request).expect_err(because);
        assert!(error.to_string().contains(because), "{error}");
        assert!(error.hint().is_some() && error.is_user_fault(), "{error}");
        if settings.currency.is_none() && request.top.is_none() {
            // A statement for another engine is refused with the same words.
            let engine = Engine::open(&self.lake, settings.clone()).unwrap();
            assert_eq!(engine.to_sql(request, "duckdb").unwrap_err().to_string(), error.to_string());
        }
    }
}

fn ask(kpi: &str) -> Request {
    Request { kpis: vec![kpi.to_owned()], grains: vec![Grain::All], ..Request::default() }
}

fn by(kpi: &str, segment: &str) -> Request {
    Request { by: vec![segment.to_owned()], ..ask(kpi) }
}

fn monthly(kpi: &str) -> Request {
    Request { grains: vec![Grain::Month], sparse: true, ..ask(kpi) }
}

fn plain() -> Settings {
    Settings::default()
}

fn in_currency(currency: &str) -> Settings {
    Settings { currency: Some(currency.to_owned()), ..Settings::default() }
}

fn as_of(text: &str) -> Settings {
    Settings { as_of: Some(day(text)), ..Settings::default() }
}

/// 1 EUR is 2 USD.
fn with_rate(world: &mut World) -> &mut World {
    world.add("fx_rates", "rate_id=1 from_currency=EUR to_currency=USD rate_date=2023-01-01 rate=2 kind=spot")
}

#[test]
fn parts_in_different_currencies_are_never_added_up() {
    let mut world = World::new("2024-02-29");
    world
        .add("deals", "deal_id=1 account_id=a name=x status=won stage=s amount=3000 cost_amount=400 currency=USD created_date=2024-01-10 close_date=2024-02-15")
        .add("spend", "spend_id=1 kind=marketing amount=100 currency=EUR spend_date=2024-02-01")
        .add("orders", "order_id=1 kind=invoice subtotal_amount=500 total_amount=500 currency=GBP order_date=2024-02-01")
        .add("orders", "order_id=2 kind=credit subtotal_amount=100 total_amount=100 currency=USD order_date=2024-02-02");
    with_rate(&mut world)
        .add("fx_rates", "rate_id=2 from_currency=GBP to_currency=USD rate_date=2023-01-01 rate=3 kind=spot");
    let story = Story::of(&world);
    let mixed = |kpi: &str, currencies: &str| {
        story.refuses(&plain(), &ask(kpi), &format!("`{kpi}` would add up amounts in {currencies}"));
        story.refuses(&plain(), &monthly(kpi), &format!("`{kpi}` would add up amounts in {currencies}"));
    };
    mixed("net_margin", "EUR, USD");
    mixed("first_deal_payback", "EUR, USD");
    mixed("revenue_after_credits", "GBP, USD");
    story.refuses(&plain(), &ask("net_margin_rate"), "would add up amounts in EUR, USD");
    // 3,000 - 400 - 200, and 1,500 - 100.
    story.tells(&in_currency("USD"), &ask("net_margin"), &["all 2400 USD"]);
    story.tells(&in_currency("USD"), &ask("revenue_after_credits"), &["all 1400 USD"]);
    story.tells(&in_currency("USD"), &ask("first_deal_payback"), &["all 13 ratio"]);
}

#[test]
fn a_comparison_has_one_currency() {
    let mut world = World::new("2024-02-29");
    for (id, close, currency) in [(1, "2024-01-15", "EUR"), (2, "2024-02-15", "USD")] {
        world.add(
            "deals",
            &format!("deal_id={id} name=x status=won stage=s amount=10 currency={currency} close_date={close}"),
        );
    }
    let february = Request { from: Some(day("2024-02-01")), to: Some(day("2024-03-01")), ..ask("revenue") };
    let story = Story::of(&world);
    story.tells(&plain(), &february, &["all 10 USD"]);
    let compared = Request { compare: Some(dealframe_model::kpi::Base::Previous), ..february };
    let error = story.frame(plain(), &compared).unwrap_err();
    assert_eq!(error.to_string(), "`revenue` would add up amounts in EUR, USD");
}

#[test]
fn targets_have_a_currency() {
    let mut world = World::new("2024-03-31");
    world
        .add("deals", "deal_id=1 name=x status=won stage=s amount=1000 currency=USD created_date=2024-01-10 close_date=2024-02-15")
        .add("deals", "deal_id=2 name=x status=open stage=s amount=9000 currency=USD created_date=2024-01-10 close_date=2024-05-15")
        .add("targets", "target_id=1 scope=company metric=revenue period_start=2024-02-01 period_end=2024-02-29 target_value=1000 currency=EUR")
        .add("targets", "target_id=2 scope=company metric=leads period_start=2024-02-01 period_end=2024-02-29 target_value=4 currency=EUR");
    world.add("leads", "lead_id=1 kind=lead created_date=2024-02-03");
    let story = Story::of(with_rate(&mut world));
    for kpi in ["revenue_attainment", "revenue_gap", "pipeline_coverage", "pipeline_coverage_total"] {
        story.refuses(&plain(), &ask(kpi), "would add up amounts in EUR, USD");
    }
    story.tells(&plain(), &ask("revenue_target"), &["all 1000 EUR"]);
    // 1,000 of 2,000 USD; 9,000 open.
    story.tells(&in_currency("USD"), &ask("revenue_target"), &["all 2000 USD"]);
    story.tells(&in_currency("USD"), &ask("revenue_attainment"), &["all 0.5 ratio"]);
    story.tells(&in_currency("USD"), &ask("revenue_gap"), &["all -1000 USD"]);
    story.tells(&in_currency("USD"), &ask("pipeline_coverage"), &["all 9 number"]);
    story.tells(&in_currency("EUR"), &ask("revenue_gap"), &["all -500 EUR"]);
    // A number of leads has no currency, whatever its row says.
    story.tells(&plain(), &ask("leads_attainment"), &["all 0.25 ratio"]);
}

#[test]
fn a_target_without_a_currency_is_in_that_of_what_is_compared_with_it() {
    let mut world = World::new("2024-03-31");
    world.add("deals", "deal_id=1 name=x status=won stage=s amount=1000 currency=EUR close_date=2024-02-15").add(
        "targets",
        "target_id=1 scope=company metric=revenue period_start=2024-02-01 period_end=2024-02-29 target_value=4000",
    );
    let story = Story::of(with_rate(&mut world));
    story.tells(&plain(), &ask("revenue_gap"), &["all -3000 EUR"]);
    story.tells(&in_currency("USD"), &ask("revenue_gap"), &["all -6000 USD"]);
    // With deals in two currencies nobody can say which is meant.
    world.add("deals", "deal_id=2 name=x status=won stage=s amount=1000 currency=USD region=N close_date=2023-02-15");
    let story = Story::of(&world);
    story.refuses(
        &in_currency("USD"),
        &ask("revenue_gap"),
        "1 row names no currency in which `target_value` of targets",
    );
    let in_2024 = Request { from: Some(day("2024-01-01")), ..ask("revenue_gap") };
    story.tells(&plain(), &in_2024, &["all -3000 EUR"]);
}

#[test]
fn the_rest_beside_the_top_is_no_sum_of_currencies() {
    let mut world = World::new("2024-03-31");
    for (id, amount, currency) in [(1, 2000, "EUR"), (2, 1000, "GBP"), (3, 1000, "USD"), (4, 10_000, "JPY")] {
        world.add(
            "deals",
            &format!(
                "deal_id={id} name=x status=won stage=s amount={amount} currency={currency} close_date=2024-02-15"
            ),
        );
    }
    let story = Story::of(&world);
    for kpi in ["revenue", "average_deal_size", "win_rate_by_value"] {
        let top = Request { top: Some(1), ..by(kpi, "currency") };
        story.refuses(&plain(), &top, "`(other)` would add up amounts in several currencies");
    }
    story.tells(
        &plain(),
        &Request { top: Some(4), ..by("revenue", "currency") },
        &["all EUR 2000 EUR", "all GBP 1000 GBP", "all JPY 10000 JPY", "all USD 1000 USD"],
    );
    let counted = Request { top: Some(1), ..by("deals_won", "currency") };
    story.tells(&plain(), &counted, &["all EUR 1 count", "all (other) 3 count"]);
}

#[test]
fn an_amount_without_a_currency_is_not_converted() {
    let mut world = World::new("2024-03-31");
    for (id, amount, currency) in [(1, 100, "EUR"), (2, 10, "USD"), (3, 0, "")] {
        let currency = if currency.is_empty() { String::new() } else { format!(" currency={currency}") };
        world.add("deals", &format!("deal_id={id} name=x status=won stage=s amount={amount}{currency} created_date=2024-01-01 close_date=2024-02-1{id}"));
    }
    // Nothing is nothing in every currency.
    let story = Story::of(with_rate(&mut world));
    story.tells(&in_currency("USD"), &ask("revenue"), &["all 210 USD"]);
    world
        .add("deals", "deal_id=4 name=x status=won stage=s amount=500 created_date=2024-01-01 close_date=2024-02-15")
        .add("deals", "deal_id=5 name=x status=open stage=s amount=500 created_date=2024-01-01 close_date=2024-12-15");
    let story = Story::of(&world);
    for currency in ["USD", "EUR"] {
        story.refuses(
            &in_currency(currency),
            &ask("revenue"),
            "names no currency in which `amount` of deals could be read",
        );
        story.refuses(&in_currency(currency), &ask("median_deal_size"), "names no currency");
        story.refuses(&in_currency(currency), &ask("open_pipeline_value"), "1 row names no currency");
    }
    let known = Request { filters: vec!["currency is not null".to_owned()], ..ask("revenue") };
    story.tells(&in_currency("USD"), &known, &["all 210 USD"]);
    // Where a table names a single currency, it is that of all its amounts.
    let mut world = World::new("2024-03-31");
    world
        .add("deals", "deal_id=1 name=x status=won stage=s amount=100 currency=EUR close_date=2024-02-15")
        .add("deals", "deal_id=2 name=x status=won stage=s amount=10 close_date=2024-02-15");
    let story = Story::of(with_rate(&mut world));
    story.tells(&plain(), &ask("revenue"), &["all 110 EUR"]);
    story.tells(&in_currency("USD"), &ask("revenue"), &["all 220 USD"]);
}

#[test]
fn an_account_is_one_customer_in_all_its_currencies() {
    let mut world = World::new("2024-03-31");
    world.add("subscriptions", "subscription_id=1 account_id=a mrr_amount=100 currency=EUR start_date=2023-12-15").add(
        "subscriptions",
        "subscription_id=2 account_id=a mrr_amount=50 currency=USD start_date=2024-01-05 end_date=2024-02-01",
    );
    let story = Story::of(with_rate(&mut world));
    let usd = in_currency("USD");
    story.tells(&usd, &monthly("mrr_new"), &["2023-12 200 USD"]);
    story.tells(&usd, &monthly("mrr_expansion"), &["2024-01 50 USD"]);
    story.tells(&usd, &monthly("mrr_contraction"), &["2024-02 -50 USD"]);
    story.tells(&usd, &ask("mrr_churn"), &["all 0 USD"]);
    let january = Request { from: Some(day("2024-01-01")), to: Some(day("2024-02-01")), ..monthly("nrr") };
    story.tells(&usd, &january, &["2024-01 1.25 ratio"]);
}

#[test]
fn what_is_expected_is_not_known_of_a_past_day() {
    let mut world = World::new("2024-03-31");
    world.add("deals", "deal_id=1 name=x status=open stage=s amount=100 currency=EUR forecast_category=Commit created_date=2024-03-01 close_date=2024-06-01");
    let story = Story::of(&world);
    story.tells(&plain(), &ask("expected_closings"), &["all 100 EUR"]);
    for kpi in ["expected_closings", "expected_closings_weighted", "forecast_by_category"] {
        story.refuses(&as_of("2024-01-31"), &ask(kpi), "is known of the newest day only, not of 2024-01-31");
    }
}

/// Lines of 100, of which each tells of another kind of document.
#[test]
fn a_line_is_sold_once() {
    let mut world = World::new("2024-03-31");
    for (id, kind, deal) in [
        (1, "order", ""),
        (2, "invoice", ""),
        (3, "credit", ""),
        (4, "order", "lost"),
        (5, "order", "won"),
        (6, "order", "bare"),
    ] {
        let deal = if deal.is_empty() { String::new() } else { format!(" deal_id={deal}") };
        world.add(
            "orders",
            &format!("order_id={id} kind={kind}{deal} total_amount=100 currency=USD order_date=2024-02-06"),
        );
    }
    for (id, status) in [("lost", "lost"), ("won", "won"), ("bare", "won")] {
        world.add("deals", &format!("deal_id={id} name=x status={status} stage=s amount=1 currency=USD created_date=2024-01-01 close_date=2024-02-01"));
    }
    let lines = [
        ("of-order", "order_id=1", true),
        ("of-invoice", "order_id=2", false),
        ("of-credit", "order_id=3", false),
        ("of-neither", "sold_date=2024-02-06", true),
        ("of-order-of-lost", "order_id=4", false),
        ("of-won", "deal_id=won", true),
        // The same sale as the one before.
        ("of-order-of-won", "order_id=5", false),
        ("of-invoice-of-won", "order_id=2 deal_id=won", false),
        // The deal has no lines of its own.
        ("of-order-of-bare", "order_id=6", true),
        ("of-unknown-deal", "deal_id=nobody sold_date=2024-02-06", false),
        ("of-unknown-order", "order_id=nothing sold_date=2024-02-06", true),
    ];
    for (name, text, _) in lines {
        world.add("line_items", &format!("line_item_id={name} product_name={name} quantity=10 unit_price=10 total_amount=100 cost_amount=60 currency=USD {text}"));
    }
    let story = Story::of(&world);
    let mut sold: Vec<String> =
        lines.iter().filter(|(.., is_sold)| *is_sold).map(|(name, ..)| format!("all {name} 100 USD")).collect();
    sold.sort();
    let sold: Vec<&str> = sold.iter().map(String::as_str).collect();
    story.tells(&plain(), &Request { sparse: true, ..by("line_revenue", "product") }, &sold);
    story.tells(&plain(), &monthly("line_revenue"), &["2024-02 500 USD"]);
    story.tells(&plain(), &ask("units_sold"), &["all 50 number"]);
    story.tells(&plain(), &ask("line_gross_margin"), &["all 200 USD"]);
    story.tells(&plain(), &ask("items_per_deal"), &["all 1 number"]);
}

fn reopened() -> World {
    let mut world = World::new("2024-05-31");
    let mut change = |deal: &str, number: usize, at: &str, from: &str, to: &str, amounts: [i32; 2]| {
        let side = |name: &str, stage: &str| {
            let status = match stage {
                "" => return String::new(),
                "Won" => "won",
                "Lost" => "lost",
                _ => "open",
            };
            format!("{name}stage={stage} {name}status={status}")
        };
        let [before, after] = amounts;
        world.add(
            "stage_changes",
            &format!(
                "change_id={deal}-{number} deal_id={deal} changed_at={at} changed_date={at} {} {} from_amount={before} amount={after} currency=USD origin=history",
                side("from_", from),
                side("", to)
            ),
        );
    };
    change("R1", 1, "2024-01-01", "", "Discovery", [100, 100]);
    change("R1", 2, "2024-01-11", "Discovery", "Proposal", [100, 100]);
    change("R1", 3, "2024-01-21", "Proposal", "Lost", [100, 100]);
    change("R1", 4, "2024-02-20", "Lost", "Proposal", [100, 150]);
    change("R3", 1, "2024-02-01", "Discovery", "Proposal", [300, 250]);
    change("R3", 2, "2024-02-05", "Proposal", "Won", [250, 250]);
    change("R3", 3, "2024-02-07", "Won", "Negotiation", [250, 280]);
    change("R3", 4, "2024-02-29", "Negotiation", "Won", [280, 300]);
    world
        .add("deals", "deal_id=R1 name=x stage=Proposal status=open amount=150 currency=USD created_date=2024-01-01 close_date=2024-12-01")
        .add("deals", "deal_id=R3 name=x stage=Won status=won amount=300 currency=USD created_date=2024-01-31 close_date=2024-02-29");
    world
}

#[test]
fn a_stay_ends_with_the_deal_even_if_it_is_opened_again() {
    let story = Story::of(&reopened());
    // Discovery: R1, R3 moved on. Proposal: R1 lost after 10 days, R3 won after 4. Negotiation: R3, 22 days.
    story.tells(
        &plain(),
        &Request { sparse: true, ..by("stage_conversion", "stage") },
        &["all Discovery 1 ratio", "all Negotiation 1 ratio", "all Proposal 0.5 ratio"],
    );
    story.tells(&plain(), &monthly("stage_exits_lost"), &["2024-01 1 count"]);
    story.tells(
        &plain(),
        &Request { sparse: true, ..by("stage_duration_mean", "stage") },
        &["all Discovery 5.5 days", "all Negotiation 22 days", "all Proposal 7 days"],
    );
    story.tells(&plain(), &ask("stage_entry_conversion"), &["all 0.8 ratio"]);
}

#[test]
fn a_reopened_deal_is_no_dearer_deal() {
    let story = Story::of(&reopened());
    // From 280 to 300 it was won; only 300 to 250 happened to an open deal that stayed open.
    story.tells(&plain(), &ask("pipeline_value_increase"), &["all 0 USD"]);
    story.tells(&plain(), &ask("pipeline_value_decrease"), &["all -50 USD"]);
    story.tells(&plain(), &ask("deals_reopened"), &["all 2 count"]);
}

#[test]
fn a_pipeline_is_what_it_was_and_what_moved() {
    let story = Story::of(&reopened());
    let moved = |kpi: &str| Request { by: vec!["movement".to_owned()], ..monthly(kpi) };
    // January: R1 comes with 100 and is lost, R3 comes with 300. February: R3 is lowered to 250, won, opened again at
    // 280 and won for good; R1 comes back with 150, which is all that stands in the end.
    story.tells(
        &plain(),
        &moved("pipeline_movements"),
        &[
            "2024-01 lost -100 USD",
            "2024-01 moved 0 USD",
            "2024-01 opened 400 USD",
            "2024-02 lowered -50 USD",
            "2024-02 moved 0 USD",
            "2024-02 reopened 430 USD",
            "2024-02 won -530 USD",
        ],
    );
    let until_february = |kpi: &str| Request { to: Some(day("2024-03-01")), ..monthly(kpi) };
    story.tells(&plain(), &until_february("open_pipeline_value"), &["2024-01 300 USD", "2024-02 150 USD"]);
    story.tells(
        &plain(),
        &moved("pipeline_movements_count"),
        &[
            "2024-01 lost -1 count",
            "2024-01 moved 0 count",
            "2024-01 opened 2 count",
            "2024-02 lowered 0 count",
            "2024-02 moved 0 count",
            "2024-02 reopened 2 count",
            "2024-02 won -2 count",
        ],
    );
    // 300 USD leave discovery for the proposal, where they become 250; 280 come back into the negotiation.
    let february = |kpi: &str| Request { from: Some(day("2024-02-01")), sparse: true, ..by(kpi, "stage") };
    story.tells(&plain(), &february("pipeline_moved"), &["all Discovery -300 USD", "all Proposal 300 USD"]);
    story.tells(&plain(), &february("pipeline_won"), &["all Negotiation -280 USD", "all Proposal -250 USD"]);
    story.tells(
        &plain(),
        &february("pipeline_movements"),
        &["all Discovery -300 USD", "all Negotiation 0 USD", "all Proposal 150 USD"],
    );
    // Of deals of 260 and more, R3 goes out by being lowered and comes back by being opened again.
    let large = |kpi: &str| Request { filters: vec!["amount >= 260".to_owned()], ..moved(kpi) };
    story.tells(
        &plain(),
        &large("pipeline_movements"),
        &[
            "2024-01 opened 300 USD",
            "2024-02 lowered -300 USD",
            "2024-02 moved 0 USD",
            "2024-02 reopened 280 USD",
            "2024-02 won -280 USD",
        ],
    );
    // On 10 February R3 stands open with 280, and R1 is lost.
    let then = as_of("2024-02-10");
    story.tells(&then, &monthly("open_pipeline_value"), &["2024-01 300 USD", "2024-02 280 USD"]);
    story.tells(&then, &monthly("pipeline_movements"), &["2024-01 300 USD", "2024-02 -20 USD"]);
    story.tells(&then, &monthly("pipeline_won"), &["2024-02 -250 USD"]);
}

#[test]
fn a_deal_that_came_and_went_in_a_day_never_stood_in_the_pipeline() {
    let mut world = World::new("2024-03-31");
    for (id, status, closed) in [(1, "won", "2024-01-10"), (2, "lost", "2024-01-12"), (3, "open", "2024-06-01")] {
        world.add("deals", &format!("deal_id={id} name=x stage=s status={status} amount=100 currency=USD created_date=2024-01-10 close_date={closed}"));
    }
    // An amount that was given, and one that was taken away; both of a deal that stays open.
    for (number, at, before, after) in [(1, "2024-02-01", "", "amount=70"), (2, "2024-03-01", "from_amount=70", "")] {
        world.add("stage_changes", &format!("change_id={number} deal_id=4 changed_at={at} changed_date={at} from_stage=s stage=s status=open {before} {after} currency=USD origin=history"));
    }
    world.add(
        "deals",
        "deal_id=4 name=x stage=s status=open currency=USD created_date=2024-01-20 close_date=2024-06-01",
    );
    let story = Story::of(&world);
    // Before its first change deal 4 stood as that change says.
    story.tells(&plain(), &ask("pipeline_created"), &["all 300 USD"]);
    story.tells(&plain(), &monthly("pipeline_opened"), &["2024-01 270 USD"]);
    story.tells(&plain(), &monthly("pipeline_opened_count"), &["2024-01 3 count"]);
    story.tells(&plain(), &monthly("pipeline_lost"), &["2024-01 -100 USD"]);
    story.tells(&plain(), &ask("pipeline_won"), &["all 0 USD"]);
    story.tells(&plain(), &monthly("pipeline_value_decrease"), &["2024-03 -70 USD"]);
    story.tells(&plain(), &ask("open_pipeline_value"), &["all 100 USD"]);
}

#[test]
fn a_history_of_stages_alone_says_nothing_of_amounts() {
    let mut world = World::new("2024-04-30");
    world.add(
        "deals",
        "deal_id=1 name=x stage=Lost status=lost amount=500 currency=EUR created_date=2024-01-06 close_date=2024-03-20",
    );
    world.add(
        "deals",
        "deal_id=2 name=x stage=a status=open amount=70 currency=EUR created_date=2024-01-06 close_date=2024-12-31",
    );
    for (number, deal, at, stage, status) in [
        (1, 1, "2024-01-06", "a", "open"),
        (2, 1, "2024-03-20", "Lost", "lost"),
        (3, 2, "2024-01-06", "a", "open"),
        (4, 2, "2024-03-10", "Lost", "lost"),
        (5, 2, "2024-04-05", "a", "open"),
    ] {
        world.add("stage_changes", &format!("change_id={number} deal_id={deal} changed_at={at} changed_date={at} stage={stage} status={status} origin=history"));
    }
    let story = Story::of(&world);
    let months = ["2024-01 570 EUR", "2024-02 570 EUR", "2024-03 0 EUR", "2024-04 70 EUR"];
    story.tells(&plain(), &monthly("open_pipeline_value"), &months);
    story.tells(&plain(), &monthly("pipeline_lost"), &["2024-03 -570 EUR"]);
    story.tells(&plain(), &monthly("pipeline_reopened"), &["2024-04 70 EUR"]);
}

/// One row for each field that changed, as some vendors keep their history.
#[test]
fn a_field_that_a_row_does_not_name_is_as_it_was() {
    let mut world = World::new("2024-05-31");
    world.add(
        "deals",
        "deal_id=1 name=x stage=Won status=won amount=300 currency=USD created_date=2024-01-01 close_date=2024-05-10",
    );
    for (number, at, fields) in [
        (1, "2024-01-01", ""),
        (2, "2024-01-20", "amount=100"),
        (3, "2024-02-10", "from_stage=Discovery stage=Proposal from_status=open status=open"),
        (4, "2024-03-10", "from_amount=100 amount=300"),
        (5, "2024-04-10", "from_stage=Proposal stage=Lost from_status=open status=lost"),
        // A correction of what was lost does not open it.
        (6, "2024-04-12", "from_amount=300 amount=250"),
        (7, "2024-04-20", "from_stage=Lost stage=Talks from_status=lost status=open"),
        (8, "2024-04-25", "from_amount=250"),
        (9, "2024-05-10", "from_stage=Talks stage=Won from_status=open status=won"),
    ] {
        world.add(
            "stage_changes",
            &format!("change_id={number} deal_id=1 changed_at={at} changed_date={at} {fields} origin=field_history"),
        );
    }
    let story = Story::of(&world);
    let value = |date: &str, expected: &[&str]| {
        story.tells(&as_of(date), &Request { sparse: true, ..by("open_pipeline_value", "stage") }, expected);
    };
    // It had no amount before it was given one.
    value("2024-01-19", &[]);
    value("2024-01-31", &["all Discovery 100 USD"]);
    value("2024-02-29", &["all Discovery 0 USD", "all Proposal 100 USD"]);
    value("2024-03-31", &["all Discovery 0 USD", "all Proposal 300 USD"]);
    value("2024-04-22", &["all Discovery 0 USD", "all Proposal 0 USD", "all Talks 250 USD"]);
    value("2024-04-30", &["all Discovery 0 USD", "all Proposal 0 USD", "all Talks 0 USD"]);
    story.tells(
        &plain(),
        &monthly("open_pipeline_count"),
        &["2024-01 1 count", "2024-02 1 count", "2024-03 1 count", "2024-04 1 count", "2024-05 0 count"],
    );
    story.tells(&plain(), &ask("deals_reopened"), &["all 1 count"]);
    story.tells(&plain(), &monthly("pipeline_lost"), &["2024-04 -300 USD"]);
    story.tells(
        &plain(),
        &Request { sparse: true, ..by("stage_duration_mean", "stage") },
        &["all Discovery 40 days", "all Proposal 60 days", "all Talks 20 days"],
    );
}

#[test]
fn a_reopening_told_by_two_counts_once() {
    let mut world = World::new("2024-03-31");
    world.add("deals", "deal_id=1 name=x stage=Talks status=open created_date=2024-01-01 close_date=2024-06-01");
    for (number, at, change) in [
        (1, "2024-02-10", "from_status=open stage=Lost status=lost origin=history_export"),
        // Seen between two exports, dated by the day alone; then told by the history, and seen in the evening.
        (2, "2024-02-20", "from_status=lost stage=Talks status=open origin=snapshot_diff"),
        (3, "2024-02-20+600", "from_status=lost stage=Talks status=open origin=history_export"),
        (4, "2024-02-20+900", "from_status=lost stage=Talks status=open origin=snapshot_diff"),
        // The row itself does not say what was before.
        (5, "2024-03-01", "stage=Lost status=lost origin=history_export"),
        (6, "2024-03-02", "stage=Talks status=open origin=history_export"),
    ] {
        let date = &at[..10];
        world.add(
            "stage_changes",
            &format!("change_id={number} deal_id=1 changed_at={at} changed_date={date} {change}"),
        );
    }
    let story = Story::of(&world);
    story.tells(&plain(), &monthly("deals_reopened"), &["2024-02 1 count", "2024-03 1 count"]);
}

#[test]
fn what_no_change_names_was_as_it_is_now() {
    let mut world = World::new("2024-06-30");
    for deal in [
        // Its amount alone was changed.
        "deal_id=1 name=x stage=Talks status=open created_date=2024-01-10 close_date=2024-09-01 currency=USD amount=300 probability=0.5",
        // Nothing was.
        "deal_id=2 name=y stage=Talks status=open created_date=2024-02-10 close_date=2024-09-01 currency=USD amount=50 probability=0.2",
        // One that moved, and one that was closed while nobody looked.
        "deal_id=3 name=z stage=Won status=won created_date=2024-01-05 close_date=2024-03-20 currency=USD amount=70 probability=1",
        "deal_id=4 name=v stage=Won status=won created_date=2024-01-05 close_date=2024-01-20 currency=USD amount=10 probability=1",
    ] {
        world.add("deals", deal);
    }
    for (number, deal, at, fields) in [
        (1, 1, "2024-03-05", "from_amount=100 amount=300"),
        (2, 3, "2024-02-01", "from_stage=Talks stage=Offer from_status=open status=open"),
        (3, 3, "2024-03-20", "from_stage=Offer stage=Won from_status=open status=won"),
    ] {
        world.add(
            "stage_changes",
            &format!(
                "change_id={number} deal_id={deal} changed_at={at} changed_date={at} {fields} origin=field_history"
            ),
        );
    }
    let story = Story::of(&world);
    let at = |date: &str, kpi: &str, expected: &[&str]| {
        story.tells(&as_of(date), &Request { sparse: true, ..by(kpi, "stage") }, expected);
    };
    at("2024-01-31", "open_pipeline_value", &["all Talks 170 USD", "all - 0 USD"]);
    at("2024-02-29", "open_pipeline_value", &["all Offer 70 USD", "all Talks 150 USD", "all - 0 USD"]);
    at("2024-04-30", "open_pipeline_value", &["all Offer 0 USD", "all Talks 350 USD", "all - 0 USD"]);
    at("2024-01-31", "weighted_pipeline", &["all Talks 120 USD", "all - 0 USD"]);
    at("2024-04-30", "weighted_pipeline", &["all Offer 0 USD", "all Talks 160 USD", "all - 0 USD"]);
    // Of three deals in Talks one moved on.
    story.tells(
        &plain(),
        &Request { sparse: true, ..by("stage_entry_conversion", "stage") },
        &["all Offer 1 ratio", "all Talks 0.333333333333 ratio"],
    );
    story.tells(
        &plain(),
        &Request { sparse: true, ..by("stages_reached", "stage") },
        &["all Offer 1 count", "all Talks 3 count"],
    );
}

#[test]
fn a_difference_of_two_exports_tells_what_was_before() {
    let mut world = World::new("2024-06-30");
    world.add(
        "deals",
        "deal_id=1 name=x stage=Offer status=open created_date=2024-01-10 close_date=2024-09-01 currency=USD amount=90",
    );
    for change in [
        // The history and the difference of two exports, at the same instant; what the history tells is not in the other.
        "change_id=a deal_id=1 changed_at=2024-03-05 changed_date=2024-03-05 amount=90 origin=snapshot_diff",
        "change_id=b deal_id=1 changed_at=2024-03-05 changed_date=2024-03-05 from_stage=Talks stage=Offer from_status=open \
         status=open origin=field_history",
    ] {
        world.add("stage_changes", change);
    }
    let story = Story::of(&world);
    let at = |date: &str, expected: &[&str]| {
        story.tells(&as_of(date), &Request { sparse: true, ..by("open_pipeline_value", "stage") }, expected);
    };
    // Without an amount then.
    at("2024-02-29", &[]);
    at("2024-03-31", &["all Offer 90 USD"]);
    story.tells(&plain(), &Request { sparse: true, ..by("stage_duration_mean", "stage") }, &["all Talks 55 days"]);
}

#[test]
fn what_happens_on_the_first_day_opens_a_deal_once() {
    let mut world = World::new("2024-06-30");
    world.add(
        "deals",
        "deal_id=1 name=x stage=Talks status=open created_date=2024-01-10 close_date=2024-09-01 currency=USD amount=90",
    );
    // Nobody knows when this one was created, nor how long it had been in its stage.
    world.add("deals", "deal_id=2 name=y stage=Won status=won close_date=2024-03-20 currency=USD amount=20");
    for (number, deal, at, fields) in [
        (1, 1, "2024-01-10+60", "from_stage=Talks stage=Lost from_status=open status=lost"),
        (2, 1, "2024-01-10+90", "from_stage=Lost stage=Talks from_status=lost status=open"),
        (3, 2, "2024-03-10", "from_stage=Talks stage=Offer from_status=open status=open"),
        (4, 2, "2024-03-20", "from_stage=Offer stage=Won from_status=open status=won"),
    ] {
        let date = &at[..10];
        world.add(
            "stage_changes",
            &format!(
                "change_id={number} deal_id={deal} changed_at={at} changed_date={date} {fields} origin=history_export"
            ),
        );
    }
    let story = Story::of(&world);
    story.tells(&plain(), &monthly("pipeline_opened_count"), &["2024-01 1 count", "2024-03 1 count"]);
    story.tells(&plain(), &Request { sparse: true, ..by("stage_duration_mean", "stage") }, &["all Offer 10 days"]);
}

#[test]
fn a_bridge_starts_where_the_range_does() {
    let mut world = World::new("2024-03-31");
    for (deal, created) in [(1, "2024-01-10"), (2, "2024-02-05"), (3, "2024-02-20")] {
        world.add(
            "deals",
            &format!("deal_id={deal} name=x stage=s status=open amount=10{deal} currency=USD created_date={created} close_date=2024-06-01"),
        );
    }
    let story = Story::of(&world);
    let from = |kpi: &str| Request { from: Some(day("2024-02-10")), ..monthly(kpi) };
    // Deal 2 was there on the first day of the range, though not on the first day of the month.
    story.tells(&plain(), &from("pipeline_at_start"), &["2024-02 203 USD", "2024-03 306 USD"]);
    story.tells(&plain(), &from("pipeline_movements"), &["2024-02 103 USD"]);
    story.tells(&plain(), &from("pipeline_net_change"), &["2024-02 103 USD", "2024-03 0 USD"]);
    story.tells(&plain(), &from("open_pipeline_value"), &["2024-02 306 USD", "2024-03 306 USD"]);
}

#[test]
fn a_closing_that_was_undone_within_the_day_is_none() {
    let mut world = World::new("2024-03-31");
    for (deal, status, changes) in [
        // Won and lost on the same day; won and opened again on the same day; won, and opened on the next.
        ("1", "lost", &["10+480 Proposal open", "20+540 Won won", "20+600 Lost lost"][..]),
        ("2", "open", &["10+480 Proposal open", "20+540 Won won", "20+600 Proposal open"]),
        ("3", "open", &["10+480 Proposal open", "20+540 Won won", "21+600 Proposal open"]),
    ] {
        for (number, change) in changes.iter().enumerate() {
            let [at, stage, status] = change.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let date = &at[..2];
            world.add("stage_changes", &format!("change_id={deal}-{number} deal_id={deal} changed_at=2024-02-{at} changed_date=2024-02-{date} stage={stage} status={status} origin=history_export"));
        }
        let (stage, closed) = if status == "open" { ("Proposal", "2024-06-01") } else { ("Lost", "2024-02-20") };
        world.add(
            "deals",
            &format!("deal_id={deal} name=x stage={stage} status={status} created_date=2024-02-10 close_date={closed}"),
        );
    }
    let story = Story::of(&world);
    for kpi in ["stage_reached_conversion", "stage_entry_conversion"] {
        story.tells(&plain(), &Request { sparse: true, ..by(kpi, "stage") }, &["all Proposal 0.333333333333 ratio"]);
    }
    story.tells(&plain(), &ask("pipeline_reopened_count"), &["all 1 count"]);
}

#[test]
fn a_pipeline_in_another_currency_moves_with_the_rates_as_well() {
    let mut world = World::new("2024-02-29");
    world.add(
        "deals",
        "deal_id=1 name=x stage=s status=open amount=100 currency=EUR created_date=2024-01-10 close_date=2024-06-01",
    );
    with_rate(&mut world)
        .add("fx_rates", "rate_id=2 from_currency=EUR to_currency=USD rate_date=2024-02-01 rate=3 kind=spot");
    let story = Story::of(&world);
    let dollars = in_currency("USD");
    story.tells(&dollars, &monthly("pipeline_movements"), &["2024-01 200 USD"]);
    story.tells(&dollars, &monthly("open_pipeline_value"), &["2024-01 200 USD", "2024-02 300 USD"]);
    // Its net change is that of the two values, 100 USD of which no deal moved.
    story.tells(&dollars, &monthly("pipeline_net_change"), &["2024-01 200 USD", "2024-02 100 USD"]);
    story.tells(&plain(), &monthly("pipeline_net_change"), &["2024-01 100 EUR", "2024-02 0 EUR"]);
}

#[test]
fn who_has_not_had_the_days_yet_is_no_failure() {
    let mut world = World::new("2024-03-31");
    // After 4 and 45 days; after 10, 30 and 31 days, and never; after 30 days, the last of them today; too young.
    for (id, created, converted) in [
        (1, "2023-12-01", "2023-12-05"),
        (2, "2023-12-01", "2024-01-15"),
        (3, "2024-01-10", "2024-01-20"),
        (4, "2024-01-10", "2024-02-09"),
        (5, "2024-01-10", "2024-02-10"),
        (6, "2024-01-15", ""),
        (7, "2024-03-01", "2024-03-31"),
        (8, "2024-03-02", "2024-03-05"),
    ] {
        let converted = match converted {
            "" => String::new(),
            day => format!("is_converted=true converted_date={day} converted_deal_id={id}"),
        };
        world.add("leads", &format!("lead_id={id} kind=lead created_date={created} {converted}"));
    }
    // Closed 90 and 91 days after their lead; lost; won, but not yet 90 days old.
    for (id, status, created, closed) in [
        (1, "won", "2023-12-05", "2024-02-29"),
        (2, "won", "2023-12-10", "2024-03-01"),
        (20, "lost", "2023-12-20", "2024-01-02"),
        (21, "won", "2024-01-02", "2024-01-03"),
    ] {
        world.add(
            "deals",
            &format!("deal_id={id} name=x stage=s status={status} created_date={created} close_date={closed}"),
        );
    }
    let story = Story::of(&world);
    let leads = monthly("lead_conversion_within_30_days");
    story.tells(&plain(), &leads, &["2023-12 0.5 ratio", "2024-01 0.5 ratio", "2024-03 1 ratio"]);
    story.tells(&plain(), &ask("lead_conversion_within_30_days"), &["all 0.571428571429 ratio"]);
    // The leads of 10 January have had their days on 9 February, that of the 15th on the 14th; then nothing changes.
    story.tells(&as_of("2024-02-08"), &leads, &["2023-12 0.5 ratio"]);
    story.tells(&as_of("2024-02-09"), &leads, &["2023-12 0.5 ratio", "2024-01 0.666666666667 ratio"]);
    story.tells(&as_of("2024-02-14"), &leads, &["2023-12 0.5 ratio", "2024-01 0.5 ratio"]);
    story.tells(&plain(), &monthly("lead_to_won_rate_within_90_days"), &["2023-12 0.5 ratio"]);
    story.tells(&plain(), &monthly("win_rate_created_within_90_days"), &["2023-12 0.666666666667 ratio"]);
    story.tells(&as_of("2024-02-27"), &ask("win_rate_created_within_90_days"), &["all null ratio"]);
    let young = Request { from: Some(day("2024-03-20")), ..ask("lead_conversion_within_30_days") };
    story.tells(&plain(), &young, &["all null ratio"]);
}

#[test]
fn a_stage_that_was_jumped_over_is_passed_or_not_by_rule() {
    let mut world = World::new("2024-03-31");
    for (deal, status, closed, changes) in [
        (
            "1",
            "won",
            "2024-02-20",
            &[
                ("2024-01-01", "Discovery"),
                ("2024-01-05", "Proposal"),
                ("2024-01-20", "Negotiation"),
                ("2024-02-20", "Won"),
            ][..],
        ),
        ("2", "open", "2024-06-01", &[("2024-01-01", "Discovery"), ("2024-01-11", "Negotiation")]),
        ("3", "lost", "2024-02-20", &[("2024-01-02", "Discovery"), ("2024-02-10", "Proposal"), ("2024-02-20", "Lost")]),
        ("4", "open", "2024-06-01", &[("2024-01-03", "Proposal"), ("2024-01-04", "Discovery")]),
    ] {
        for (number, (at, stage)) in changes.iter().enumerate() {
            let status = if matches!(*stage, "Won" | "Lost") { status } else { "open" };
            let from = number.checked_sub(1).map(|before| format!("from_stage={} from_status=open", changes[before].1));
            world.add("stage_changes", &format!("change_id={deal}-{number} deal_id={deal} changed_at={at} changed_date={at} {} stage={stage} status={status} origin=history", from.unwrap_or_default()));
        }
        let ((created, _), (_, stage)) = (changes[0], changes[changes.len() - 1]);
        world.add(
            "deals",
            &format!("deal_id={deal} name=x stage={stage} status={status} created_date={created} close_date={closed}"),
        );
    }
    let story = Story::of(&world);
    let staged = |kpi: &str| Request { sparse: true, ..by(kpi, "stage") };
    let shares = |settings: &Settings, kpi: &str, [discovery, negotiation, proposal]: [&str; 3]| {
        let [first, second, third] = [("Discovery", discovery), ("Negotiation", negotiation), ("Proposal", proposal)]
            .map(|(stage, value)| format!("all {stage} {value} ratio"));
        story.tells(settings, &staged(kpi), &[&first, &second, &third]);
    };
    // Deal 2 jumps over the proposal, deal 4 begins there and goes back.
    story.tells(
        &plain(),
        &staged("stages_reached"),
        &["all Discovery 4 count", "all Negotiation 2 count", "all Proposal 4 count"],
    );
    shares(&plain(), "stage_reached_conversion", ["1", "0.5", "0.5"]);
    shares(&plain(), "stage_entry_conversion", ["0.75", "0.5", "0.666666666667"]);
    shares(&plain(), "stage_skip_share", ["0.25", "0", "0.25"]);
    // Deal 3 takes 39 days to the proposal, deal 1 31 days to be won.
    shares(&plain(), "stage_reached_conversion_within_30_days", ["0.75", "0", "0.5"]);
    shares(&plain(), "stage_entry_conversion_within_30_days", ["0.5", "0", "0.666666666667"]);
    // In January deal 3 has not left discovery, and deal 1 is not won.
    shares(&as_of("2024-01-31"), "stage_reached_conversion", ["0.75", "0", "0.666666666667"]);
}

#[test]
fn a_ticket_resolved_later_was_open() {
    let mut world = World::new("2024-03-31");
    world
        .add(
            "tickets",
            "ticket_id=1 is_closed=true created_date=2024-01-10 resolved_date=2024-01-12 resolution_minutes=2880",
        )
        .add(
            "tickets",
            "ticket_id=2 is_closed=true created_date=2024-01-10 resolved_date=2024-02-12 resolution_minutes=40000",
        );
    let story = Story::of(&world);
    story.tells(&plain(), &ask("resolution_rate"), &["all 1 ratio"]);
    story.tells(&as_of("2024-02-01"), &ask("resolution_rate"), &["all 0.5 ratio"]);
    story.tells(&as_of("2024-02-01"), &ask("ticket_backlog"), &["all 1 count"]);
    story.tells(&as_of("2024-02-01"), &ask("resolution_time_p90"), &["all 2880 minutes"]);
}

#[test]
fn the_name_of_a_scope_says_whose_target_it_is() {
    let mut world = World::new("2024-02-29");
    world
        .add("users", "user_id=u name=Ann team=North")
        .add("deals", "deal_id=1 name=x owner_id=u status=won stage=s amount=15000 currency=USD close_date=2024-02-15");
    for (scope, name, value) in
        [("team", "North", 10_000), ("team", "South", 5_000), ("owner", "Ann", 30_000), ("region", "East", 1)]
    {
        world.add("targets", &format!("target_id={scope}{name} scope={scope} scope_name={name} metric=revenue period_start=2024-02-01 period_end=2024-02-29 target_value={value} currency=USD"));
    }
    let story = Story::of(&world);
    story.tells(&plain(), &by("revenue_attainment", "team"), &["all North 1.5 ratio", "all South 0 ratio"]);
    story.tells(&plain(), &by("revenue_attainment", "owner"), &["all Ann 0.5 ratio"]);
    story.tells(&plain(), &by("revenue_target", "region"), &["all East 1 USD"]);
    let filtered = Request { filters: vec!["industry = 'Energy'".to_owned()], ..ask("revenue_attainment") };
    let error = story.frame(plain(), &filtered).unwrap_err();
    assert!(error.to_string().contains("`targets` has no column or segment `industry`"), "{error}");
    assert!(error.hint().unwrap().contains("targets are set for"), "{:?}", error.hint());
}

#[test]
fn means_of_two_days_are_shown_as_such_and_sums_are_divided_once() {
    let mut world = World::new("2024-03-31");
    for (id, hired, left) in [("a", "2023-01-01", ""), ("b", "2023-01-01", "2024-02-10"), ("c", "2023-01-01", "")] {
        let left = if left.is_empty() { String::new() } else { format!(" left_date={left}") };
        world.add("users", &format!("user_id={id} name={id} hired_date={hired}{left}"));
    }
    for (id, close) in [(1, "2024-01-05"), (2, "2024-03-05")] {
        world.add(
            "deals",
            &format!(
                "deal_id={id} account_id=a{id} name=x status=won stage=s amount=5000 currency=USD close_date={close}"
            ),
        );
        world.add("spend", &format!("spend_id={id} kind=sales amount=250.25 currency=USD spend_date={close}"));
    }
    let story = Story::of(&world);
    let request =
        Request { from: Some(day("2024-02-01")), to: Some(day("2024-03-01")), ..monthly("revenue_per_headcount") };
    let frame = Engine::open(&story.lake, plain()).unwrap().run(&[request]).unwrap().remove(0);
    // Three at the start of February, two at its end.
    assert_eq!(frame.rows[0].denominator.map(Number::plain).as_deref(), Some("2.5"));
    let march = Request { from: Some(day("2024-03-01")), ..monthly("cac_rolling") };
    story.tells(&plain(), &march, &["2024-03 250.25 USD"]);
}

#[test]
fn a_score_has_no_interval_beyond_its_scale() {
    let mut world = World::new("2024-02-29");
    for (id, score) in [(1, 10), (2, 0)] {
        world.add("surveys", &format!("response_id={id} kind=nps score={score} response_date=2024-02-01"));
    }
    let request = Request { interval: true, ..ask("nps") };
    let frame = Engine::open(&Story::of(&world).lake, plain()).unwrap().run(&[request]).unwrap().remove(0);
    let interval = frame.interval(0);
    let bounds = [interval.low, interval.high].map(|bound| bound.map(Number::plain));
    assert_eq!(bounds.map(|bound| bound.unwrap()), ["-100", "100"]);
}

#[test]
fn a_folder_of_definitions_that_cannot_be_read_is_called_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("own.yaml"), [0xff, 0xfe]).unwrap();
    for path in [folder.path().to_owned(), folder.path().join("nowhere")] {
        let error = dealframe_query::Catalogue::load(Some(&path)).err().unwrap();
        assert!(error.hint().unwrap().contains("--kpis") && error.is_user_fault(), "{error}");
    }
}

#[test]
fn what_still_runs_is_neither_left_out_nor_over() {
    let mut world = World::new("2024-03-31");
    // Created on 1 January, 90 days before the newest day: decided after 10, 20 and 60 days, one still open.
    let deals = [("won", "2024-01-11"), ("lost", "2024-01-21"), ("won", "2024-03-01"), ("open", "2024-02-15")];
    for (id, (status, close)) in deals.iter().enumerate() {
        world.add(
            "deals",
            &format!(
                "deal_id={id} account_id=a name=x status={status} stage=s close_date={close} created_date=2024-01-01"
            ),
        );
    }
    // Of the two of March only one is decided, after 10 days.
    for (id, status, close) in [(8, "won", "2024-03-11"), (9, "open", "2024-06-30")] {
        world.add(
            "deals",
            &format!(
                "deal_id={id} account_id=a name=x status={status} stage=s close_date={close} created_date=2024-03-01"
            ),
        );
    }
    let story = Story::of(&world);
    // 3/4, 1/2 and 1/4 are left after 10, 20 and 60 days; a half that is exactly a half counts.
    let median = ["2024-01 20 days", "2024-03 10 days"];
    story.tells(&plain(), &monthly("sales_cycle_closed_median_censored"), &median);
    story.tells(&plain(), &monthly("sales_cycle_closed_p90_censored"), &["2024-01 null days", "2024-03 null days"]);
    // 10 + 10 x 3/4 + 40 x 1/2 + 30 x 1/4, and 10 + 20 x 1/2.
    story.tells(&plain(), &monthly("sales_cycle_closed_mean_censored"), &["2024-01 45 days", "2024-03 20 days"]);
    // The lost one is never won: 3/4 are not won after 10 days, 1/2 after 60.
    let won = ["2024-01 60 days", "2024-03 10 days"];
    story.tells(&plain(), &monthly("sales_cycle_won_median_censored"), &won);
    // All six together, for 90 or for 30 days: 4/6 are left after 10, 3/6 after 20 days, whoever is watched no longer.
    story.tells(&plain(), &ask("sales_cycle_closed_median_censored"), &["all 20 days"]);
    // On 20 January one was decided after 10 days and three had been open for 19; the lost one was lost a day later.
    let early = as_of("2024-01-20");
    story.tells(&early, &monthly("sales_cycle_closed_median_censored"), &["2024-01 null days"]);
    // 10 + 9 x 3/4.
    story.tells(&early, &monthly("sales_cycle_closed_mean_censored"), &["2024-01 16.75 days"]);
    // On 5 January none had been decided.
    for kpi in ["sales_cycle_closed_median_censored", "sales_cycle_closed_mean_censored"] {
        story.tells(&as_of("2024-01-05"), &monthly(kpi), &["2024-01 null days"]);
    }
    // The readings that drop: 10 and 60 days of the won ones, by their close.
    story.tells(&plain(), &monthly("sales_cycle_median"), &["2024-01 10 days", "2024-03 35 days"]);
}

#[test]
fn times_in_minutes_are_watched_for_whole_days() {
    let mut world = World::new("2024-03-03");
    for (id, minutes, closed, created) in [
        (1, " resolution_minutes=30", "true", "2024-03-01"),
        (2, " resolution_minutes=2880", "true", "2024-03-01"),
        (3, "", "false", "2024-03-01"),
        // Its time is unknown: not counted.
        (4, "", "true", "2024-03-01"),
        // Created today: nothing is known of it yet, whatever it took.
        (5, " resolution_minutes=5", "true", "2024-03-03"),
    ] {
        world.add("tickets", &format!("ticket_id={id} is_closed={closed} created_date={created}{minutes}"));
    }
    let story = Story::of(&world);
    let daily = |kpi: &str| Request { grains: vec![Grain::Day], sparse: true, ..ask(kpi) };
    let median = ["2024-03-01 2880 minutes", "2024-03-03 null minutes"];
    story.tells(&plain(), &daily("resolution_time_median_censored"), &median);
    // 30 + 2850 x 2/3.
    let mean = ["2024-03-01 1930 minutes", "2024-03-03 null minutes"];
    story.tells(&plain(), &daily("resolution_time_mean_censored"), &mean);
}

#[test]
fn a_survival_of_the_users_own_is_checked_and_answered() {
    let folder = tempfile::tempdir().unwrap();
    let good = "id: own\nname: n\nfamily: own\nunit: hours\nbetter: lower\ncompute:\n  kind: survival\n  survival:\n    \
                table: deals\n    date: created_date\n    of: 24 * days_between(created_date, close_date)\n    \
                ended: status = 'lost'\n    show: median\nwhat: w\nformula: f\nwhy: w\npopulation: p\ncaveats: c\n\
                example: e\ninventory: [X]\nrelated: []\n";
    let path = folder.path().join("own.yaml");
    for (from, to, complaint) in [
        ("unit: hours", "unit: count", "not in count"),
        ("show: median", "show: mode", "median, p90, mean"),
        ("status = 'lost'", "nothing = 'lost'", "no column or segment `nothing`"),
        ("date: created_date", "date: status", "no date"),
    ] {
        fs::write(&path, good.replace(from, to)).unwrap();
        let error = dealframe_query::Catalogue::load(Some(folder.path())).err().unwrap().to_string();
        assert!(error.contains(complaint) && error.contains("own.yaml"), "{error}");
    }
    fs::write(&path, good).unwrap();
    let mut world = World::new("2024-03-31");
    world.add(
        "deals",
        "deal_id=1 account_id=a name=x status=lost stage=s close_date=2024-01-11 created_date=2024-01-01",
    );
    let settings = Settings { kpis: Some(folder.path().to_owned()), ..plain() };
    Story::of(&world).tells(&settings, &ask("own"), &["all 240 hours"]);
}

#[test]
fn a_target_is_spread_by_its_own_season() {
    let mut world = World::new("2024-02-29");
    // A year ago the first quarter brought 100, 100 and 200, this one 60 and 120 so far.
    for (id, amount, close) in [
        (1, 100, "2023-01-15"),
        (2, 100, "2023-02-15"),
        (3, 200, "2023-03-15"),
        (4, 60, "2024-01-15"),
        (5, 120, "2024-02-15"),
    ] {
        world.add("deals", &format!("deal_id={id} account_id=a name=x region=East status=won stage=s amount={amount} currency=USD close_date={close}"));
    }
    for (id, scope, value) in
        [("c", "company", "400.01"), ("e", "region region=East", "80"), ("w", "region region=West", "91")]
    {
        world.add("targets", &format!("target_id={id} scope={scope} metric=revenue period_start=2024-01-01 period_end=2024-03-31 target_value={value} currency=USD"));
    }
    let story = Story::of(&world);
    let of_quarter = |kpi: &str| Request { from: Some(day("2024-01-01")), to: Some(day("2024-04-01")), ..monthly(kpi) };
    // 400.01 x 1/4 = 100.0025, x 2/4 = 200.005: totals of 100.00, 200.01 and 400.01.
    let target = ["2024-01 100 USD", "2024-02 100.01 USD", "2024-03 200 USD"];
    story.tells(&plain(), &of_quarter("revenue_target_paced"), &target);
    let quarter = |kpi: &str| Request { grains: vec![Grain::Quarter], ..of_quarter(kpi) };
    story.tells(&plain(), &quarter("revenue_target_paced"), &["2024-Q1 400.01 USD"]);
    // 180 of the 200.01 that are due by the end of February.
    story.tells(&plain(), &quarter("revenue_gap_paced"), &["2024-Q1 -20.01 USD"]);
    story.tells(&plain(), &quarter("revenue_pace"), &["2024-Q1 0.89995500225 ratio"]);
    // East has the season, West has none: 31, 29 and 31 of 91 days.
    let by_region = Request { by: vec!["region".to_owned()], ..of_quarter("revenue_target_paced") };
    let regions = [
        "2024-01 East 20 USD",
        "2024-01 West 31 USD",
        "2024-02 East 20 USD",
        "2024-02 West 29 USD",
        "2024-03 East 40 USD",
        "2024-03 West 31 USD",
    ];
    story.tells(&plain(), &by_region, &regions);
    // On 10 January a third of its days were due: 10/31 of 100, to the cent, and nothing was reached.
    story.tells(&as_of("2024-01-10"), &of_quarter("revenue_gap_paced"), &["2024-01 -32.26 USD"]);
    // In 2022 there was nothing, and of the quarter after the running one nothing is known: by days.
    world.add("targets", "target_id=n scope=company metric=revenue period_start=2025-01-01 period_end=2025-02-28 target_value=59 currency=USD");
    let next =
        Request { from: Some(day("2025-01-01")), to: Some(day("2025-03-01")), ..monthly("revenue_target_paced") };
    // 100 : 100 of 2023, though two of 2024 are known as well: 160 : 220.
    let spread = ["2025-01 24.84 USD", "2025-02 34.16 USD"];
    Story::of(&world).tells(&plain(), &next, &spread);
    Story::of(&world).tells(&as_of("2023-02-10"), &next, &["2025-01 31 USD", "2025-02 28 USD"]);
}
