//! One deal by its index: where it stands, how it came there, and what a later night changes.
//!
//! The path through the stages is made together with the outcome, so history and deal always
//! agree. How a deal is spelt in an export is the business of `salesforce` and `hubspot`; what
//! the deals add up to is counted in `truth`.

use dealframe_model::date;

use crate::options::Vendor;
use crate::random::{Draw, Subject};
use crate::text::DAY;
use crate::vocabulary::{
    CAMPAIGNS, CLOSED_LOST, CLOSED_WON, LOSS_REASONS, PRODUCTS, Pipeline, REGIONS, SOURCES, pipelines,
};
use crate::world::{World, pick_source};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Open,
    Won,
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DealType {
    New,
    Existing,
    Renewal,
}

impl DealType {
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "New Business",
            Self::Existing => "Existing Business",
            Self::Renewal => "Renewal",
        }
    }
}

/// Where a deal stands: in an open stage of its pipeline, or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Open(u8),
    Won,
    Lost,
}

/// The state of a deal from an instant on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub at: i64,
    pub stage: Stage,
    pub amount: Option<i64>,
    pub close_day: i32,
}

const NO_STEP: Step = Step { at: 0, stage: Stage::Open(0), amount: None, close_day: 0 };
/// Six open stages, two for one step back, the closing, and one night.
pub const MOST_STEPS: usize = 10;

/// One deal. Amounts are hundredths of its currency.
#[derive(Debug, Clone, PartialEq)]
pub struct Deal {
    pub index: u64,
    pub deal_type: DealType,
    pub account: Option<u64>,
    pub owner: u64,
    pub region: u8,
    pub product: u8,
    pub source: u8,
    pub campaign: Option<u8>,
    pub currency: u8,
    pub created_at: i64,
    pub created_day: i32,
    pub stage: Stage,
    pub amount: Option<i64>,
    pub cost: Option<i64>,
    pub close_day: i32,
    pub loss_reason: Option<u8>,
    pub next_step: Option<u8>,
    pub modified_at: i64,
    pub deleted: bool,
    steps: [Step; MOST_STEPS],
    step_count: usize,
}

impl Deal {
    pub fn status(&self) -> Status {
        match self.stage {
            Stage::Open(_) => Status::Open,
            Stage::Won => Status::Won,
            Stage::Lost => Status::Lost,
        }
    }

    /// The states of the deal in order of time; the last one is the deal as it stands.
    pub fn steps(&self) -> &[Step] {
        &self.steps[..self.step_count]
    }

    pub fn pipeline(&self, vendor: Vendor) -> &'static Pipeline {
        &pipelines(vendor)[usize::from(self.deal_type == DealType::Renewal)]
    }

    /// Name and probability in per cent of a stage.
    pub fn stage_facts(&self, vendor: Vendor, stage: Stage) -> (&'static str, i64) {
        match stage {
            Stage::Open(number) => self.pipeline(vendor).stages[usize::from(number)],
            Stage::Won => (CLOSED_WON, 100),
            Stage::Lost => (CLOSED_LOST, 0),
        }
    }

    fn push_step(&mut self, at: i64, stage: Stage, amount: Option<i64>, close_day: i32) {
        if let Some(slot) = self.steps.get_mut(self.step_count) {
            *slot = Step { at, stage, amount, close_day };
            self.step_count += 1;
        }
    }

    /// Makes the last step the state of the deal, so that both can never disagree.
    fn settle(&mut self) {
        if let Some(last) = self.steps().last().copied() {
            (self.stage, self.amount, self.close_day) = (last.stage, last.amount, last.close_day);
        }
    }
}

/// Generates the deal `index`. Deals beyond the number asked for are created on the day after the end.
pub fn deal(world: &World, index: u64) -> Deal {
    let draw = &mut world.draw(Subject::Deal, index);
    let mut deal = origin(world, index, draw);
    let product = &PRODUCTS[usize::from(deal.product)];
    let horizon = world.end.max(deal.created_day);
    let planned = planned_days(&deal, draw);
    let slip = if draw.chance(300) { draw.between(3, 45) as i32 } else { 0 };
    let closing = closing_day(deal.created_day, planned + slip, draw);
    let open_stages = deal.pipeline(world.vendor).stages.len() as u64;
    let (status, reached) = if closing > horizon {
        let elapsed = u64::from((horizon - deal.created_day) as u32);
        let reached = elapsed * open_stages / (planned + slip).max(1) as u64 + draw.below(2);
        (Status::Open, if elapsed == 0 { 0 } else { reached.min(open_stages - 1) })
    } else if draw.chance(win_chance(world, &deal)) {
        (Status::Won, open_stages - 1)
    } else {
        (Status::Lost, draw.below(open_stages).max(draw.below(open_stages)))
    };
    let nominal = (product.price as f64 * draw.log_normal(0.75)) as i64;
    let nominal = (nominal * REGIONS[usize::from(deal.region)].price / 100).max(100);
    let amount = (!draw.chance(unpriced(status, reached))).then_some(nominal);
    let cost_share = product.cost + draw.between(-8, 9);
    deal.cost = amount.filter(|_| !draw.chance(30)).map(|amount| amount * cost_share / 100);
    let close_day = match status {
        Status::Open if draw.chance(120) => (horizon - draw.between(1, 30) as i32).max(deal.created_day),
        Status::Open => horizon + draw.between(1, 120) as i32,
        Status::Won | Status::Lost => closing,
    };
    let plan = (close_day - slip).max(deal.created_day);
    walk(world, &mut deal, Outcome { status, reached, amount, close_day, plan, horizon }, draw);
    if status == Status::Lost && !draw.chance(150) {
        // Two draws, so that the first reasons are the frequent ones.
        let count = LOSS_REASONS.len() as u64;
        deal.loss_reason = Some(draw.below(count).min(draw.below(count)) as u8);
    }
    deal.next_step = (status == Status::Open && draw.chance(600)).then(|| draw.below(5) as u8);
    let last = deal.steps().last().map_or(deal.created_at, |step| step.at);
    let touched = if status == Status::Open { 0 } else { draw.between(0, 2) * DAY + draw.between(0, 3_600) };
    deal.modified_at = (last + touched).min((i64::from(horizon) * DAY + DAY - 1).max(last));
    deal.deleted = world.vendor == Vendor::Salesforce && draw.chance(3);
    deal
}

/// Who buys what from whom, and when the deal was created.
fn origin(world: &World, index: u64, draw: &mut Draw) -> Deal {
    let created_day = if index < world.deals { world.day_at(index, world.deals) } else { world.end + 1 };
    let deal_type = match draw.below(100) {
        0..56 => DealType::New,
        56..80 => DealType::Existing,
        _ => DealType::Renewal,
    };
    let account =
        (deal_type != DealType::New || !draw.chance(60)).then(|| pick_account(world, created_day, deal_type, draw));
    let region = match account {
        Some(account) => world.account_region(account),
        None => draw.below(REGIONS.len() as u64) as u8,
    };
    let source = pick_source(draw);
    let on_channel = |campaign: &u64| CAMPAIGNS[*campaign as usize].source == source;
    // A channel's campaigns are neighbours, so the first one and a coin are enough.
    let campaign = (0..CAMPAIGNS.len() as u64).find(on_channel).filter(|_| draw.chance(700));
    Deal {
        index,
        deal_type,
        account,
        owner: world.pick_owner(region, draw),
        region,
        product: draw.below(PRODUCTS.len() as u64) as u8,
        source,
        campaign: campaign.map(|first| (first + draw.below(2)) as u8),
        currency: world.currency(region),
        created_at: i64::from(created_day) * DAY + draw.between(7 * 3_600, 12 * 3_600 + 1_800),
        created_day,
        stage: Stage::Open(0),
        amount: None,
        cost: None,
        close_day: created_day,
        loss_reason: None,
        next_step: None,
        modified_at: 0,
        deleted: false,
        steps: [NO_STEP; MOST_STEPS],
        step_count: 0,
    }
}

/// New business comes from young accounts; what follows comes from old ones, most of it from few.
fn pick_account(world: &World, day: i32, deal_type: DealType, draw: &mut Draw) -> u64 {
    let known = world.accounts_by(day);
    if deal_type == DealType::New {
        known - 1 - draw.below(known / 10 + 1)
    } else {
        (u128::from(draw.below(known)) * u128::from(draw.below(known) + 1) / u128::from(known)) as u64
    }
}

fn win_chance(world: &World, deal: &Deal) -> u64 {
    let by_type = match deal.deal_type {
        DealType::New => 0,
        DealType::Existing => 90,
        DealType::Renewal => 280,
    };
    let sum = 400
        + REGIONS[usize::from(deal.region)].skill
        + PRODUCTS[usize::from(deal.product)].appeal
        + SOURCES[usize::from(deal.source)].quality
        + world.owner_skill(deal.owner)
        + by_type;
    sum.clamp(50, 930) as u64
}

/// Per-mille of deals without an amount: early ones, and now and then a closed one.
fn unpriced(status: Status, reached: u64) -> u64 {
    match status {
        Status::Won => 2,
        Status::Lost => 10,
        Status::Open if reached <= 1 => 250,
        Status::Open => 0,
    }
}

/// Length of the sales cycle as planned.
fn planned_days(deal: &Deal, draw: &mut Draw) -> i32 {
    let percent = match deal.deal_type {
        DealType::New => 125,
        DealType::Existing => 90,
        DealType::Renewal => 70,
    };
    let middle = PRODUCTS[usize::from(deal.product)].cycle * percent / 100;
    let stalled = if draw.chance(40) { 3.0 } else { 1.0 };
    ((middle as f64 * draw.log_normal(0.55) * stalled) as i32).clamp(1, 540)
}

/// Moves a closing to where sellers move it: out of August, into the last week of the quarter, off the weekend.
fn closing_day(created: i32, days: i32, draw: &mut Draw) -> i32 {
    let mut day = created + days;
    let (year, month, _) = date::to_civil(day);
    if month == 8 && draw.chance(450) {
        day += 31;
    } else if draw.chance(260) {
        let last_month = month.div_ceil(3) * 3;
        let quarter_end = date::from_civil(year, last_month, date::days_in_month(year, last_month));
        day = quarter_end - draw.between(0, 6) as i32;
    }
    let weekend = date::weekday(day).saturating_sub(4) as i32;
    (day - weekend).max(created)
}

/// How a deal stands at the end, before its path is known.
struct Outcome {
    status: Status,
    reached: u64,
    amount: Option<i64>,
    close_day: i32,
    plan: i32,
    horizon: i32,
}

/// Fills in the path: the open stages on the way, some skipped or taken twice, then the closing.
fn walk(world: &World, deal: &mut Deal, outcome: Outcome, draw: &mut Draw) {
    let mut path = [0u8; MOST_STEPS];
    let mut length = 0;
    let back_at = if world.vendor == Vendor::Salesforce && draw.chance(40) { draw.between(1, 3) as u64 } else { 0 };
    for stage in 0..=outcome.reached {
        let middle = stage > 0 && stage < outcome.reached;
        if middle && draw.chance(400) {
            continue;
        }
        path[length] = stage as u8;
        length += 1;
        if back_at > 0 && stage == back_at && middle {
            path[length] = stage as u8 - 1;
            path[length + 1] = stage as u8;
            length += 2;
        }
    }
    let closed_at = i64::from(outcome.close_day) * DAY + draw.between(13 * 3_600, 19 * 3_600);
    let until = match outcome.status {
        Status::Open => i64::from(outcome.horizon) * DAY + 46_800,
        Status::Won | Status::Lost => closed_at,
    };
    let span = until - deal.created_at;
    let first_amount = outcome.amount.filter(|_| !draw.chance(200)).map(|amount| amount * draw.between(75, 125) / 100);
    for (number, stage) in path[..length].iter().enumerate() {
        let late = number * 2 >= length || (outcome.status == Status::Open && number + 1 == length);
        let (amount, close_day) = if late { (outcome.amount, outcome.close_day) } else { (first_amount, outcome.plan) };
        let hundredths = number as i64 * 100 + if number == 0 { 0 } else { draw.between(0, 80) };
        deal.push_step(
            deal.created_at + span * hundredths / (length as i64 * 100),
            Stage::Open(*stage),
            amount,
            close_day,
        );
    }
    match outcome.status {
        Status::Open => {}
        Status::Won => deal.push_step(closed_at, Stage::Won, outcome.amount, outcome.close_day),
        Status::Lost => deal.push_step(closed_at, Stage::Lost, outcome.amount, outcome.close_day),
    }
    deal.settle();
}

/// The deal after a later night, or `None` when the night leaves it as it is.
pub fn after_night(world: &World, before: &Deal, share_per_million: u64, night: u64) -> Option<Deal> {
    let draw = &mut Draw::new(world.seed ^ crate::random::scramble(night), Subject::Night, before.index);
    // Deals of that day are new as they are.
    let is_new = before.index >= world.deals;
    if is_new || before.deleted || draw.below(1_000_000) >= share_per_million {
        return None;
    }
    let mut deal = before.clone();
    let today = world.end + 1;
    let at = i64::from(today) * DAY + draw.between(8 * 3_600, 17 * 3_600);
    let revalued = deal.amount.map(|amount| (amount * draw.between(90, 111) / 100).max(amount / 2) + 1);
    let last_open = deal.pipeline(world.vendor).stages.len() as u8 - 1;
    match (deal.stage, draw.below(100)) {
        (Stage::Open(_), 0..18) => deal.push_step(at, Stage::Won, deal.amount, today),
        (Stage::Open(_), 18..38) => {
            deal.push_step(at, Stage::Lost, deal.amount, today);
            deal.loss_reason = Some(draw.below(LOSS_REASONS.len() as u64) as u8);
        }
        (Stage::Open(stage), 38..75) if stage < last_open => {
            deal.push_step(at, Stage::Open(stage + 1), deal.amount, deal.close_day.max(today + 1));
        }
        (Stage::Open(stage), roll) => {
            let close_day = if roll % 2 == 0 { deal.close_day + 30 } else { deal.close_day };
            deal.push_step(at, Stage::Open(stage), revalued, close_day);
        }
        (closed, _) => deal.push_step(at, closed, revalued, deal.close_day),
    }
    deal.settle();
    if deal.status() != Status::Open {
        deal.next_step = None;
    }
    deal.modified_at = at;
    deal.deleted = world.vendor == Vendor::Salesforce && draw.chance(10);
    Some(deal)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::options::SynthOptions;

    fn check_path(world: &World, deal: &Deal, as_of: i32) {
        let steps = deal.steps();
        let last = steps.last().unwrap();
        assert_eq!(steps[0].at, deal.created_at);
        assert_eq!(steps[0].stage, Stage::Open(0));
        assert!(steps.windows(2).all(|pair| pair[0].at < pair[1].at), "{deal:?}");
        assert_eq!((last.stage, last.amount, last.close_day), (deal.stage, deal.amount, deal.close_day));
        assert!(deal.modified_at >= last.at && deal.modified_at < i64::from(as_of + 1) * DAY);
        assert!(deal.close_day >= deal.created_day && deal.created_day <= as_of);
        if deal.status() == Status::Open {
            assert!(steps.iter().all(|step| matches!(step.stage, Stage::Open(_))));
            assert_eq!(deal.loss_reason, None);
        } else {
            assert!(deal.close_day <= as_of);
            let closing = steps.iter().position(|step| step.stage == deal.stage).unwrap();
            assert_eq!(crate::text::day_of(steps[closing].at), deal.close_day);
        }
        if let Some(account) = deal.account {
            assert!(world.account_day(account) <= deal.created_day || account == 0);
        }
    }

    #[test]
    fn history_agrees_with_the_outcome() {
        for vendor in [Vendor::Salesforce, Vendor::Hubspot] {
            let world = World::new(&SynthOptions::new(30_000, 11, vendor, ""));
            let (mut counts, mut back, mut changed) = ([0u32; 3], 0, 0);
            for index in 0..world.deals + 100 {
                let deal = deal(&world, index);
                check_path(&world, &deal, if index < world.deals { world.end } else { world.end + 1 });
                counts[deal.status() as usize] += 1;
                back += u32::from(deal.steps().windows(2).any(
                    |pair| matches!((pair[0].stage, pair[1].stage), (Stage::Open(from), Stage::Open(to)) if to < from),
                ));
                if let Some(after) = after_night(&world, &deal, 100_000, 5) {
                    check_path(&world, &after, world.end + 1);
                    assert_eq!(after.steps().len(), deal.steps().len() + 1, "a night adds one step");
                    assert_ne!(after, deal);
                    changed += 1;
                }
            }
            assert!((2_700..3_300).contains(&changed), "{changed} changed");
            assert!(counts.iter().all(|count| *count > 900), "{counts:?}");
            assert_eq!(back > 100, vendor == Vendor::Salesforce, "{back} steps back");
        }
    }

    #[test]
    fn segments_differ_and_quarters_end_busy() {
        let world = World::new(&SynthOptions::new(60_000, 3, Vendor::Salesforce, ""));
        let deals: Vec<Deal> = (0..world.deals).map(|index| deal(&world, index)).collect();
        let rate = |keep: &dyn Fn(&Deal) -> bool| {
            let won = deals.iter().filter(|deal| keep(deal) && deal.status() == Status::Won).count();
            let lost = deals.iter().filter(|deal| keep(deal) && deal.status() == Status::Lost).count();
            won as f64 / (won + lost) as f64
        };
        assert!(
            rate(&|deal| deal.deal_type == DealType::Renewal) > rate(&|deal| deal.deal_type == DealType::New) + 0.2
        );
        assert!(rate(&|deal| deal.source == 4) > rate(&|deal| deal.source == 7) + 0.2);
        assert!(rate(&|deal| deal.region == 2) > rate(&|deal| deal.region == 5) + 0.1);
        let closing = |month: u32| {
            deals
                .iter()
                .filter(|deal| deal.status() != Status::Open && date::to_civil(deal.close_day).1 == month)
                .count()
        };
        assert!(closing(6) > closing(5) && closing(9) > closing(7), "quarters end busy");
        assert!(closing(8) * 2 < closing(9), "August is a trough");
    }
}
