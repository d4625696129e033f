//! Rows around the deals, each by its index: accounts, leads, activities, surveys and tickets.
//!
//! Whoever refers to a deal generates that deal again, so that references always resolve and
//! dates always fit. Formatting is left to `salesforce`, `hubspot` and `plain`.

use crate::deal::{Status, deal};
use crate::options::Vendor;
use crate::random::{Draw, Subject};
use crate::text::DAY;
use crate::vocabulary::{self, CAMPAIGNS, REGIONS};
use crate::world::{World, pick_source};

/// A company.
pub struct Account {
    pub index: u64,
    pub name: String,
    pub domain: String,
    pub region: u8,
    pub country: &'static str,
    pub city: &'static str,
    pub postal_code: String,
    pub industry: &'static str,
    pub segment: u8,
    pub employees: u64,
    /// Hundredths.
    pub annual_revenue: i64,
    pub owner: u64,
    pub source: u8,
    pub created_at: i64,
}

pub fn account(world: &World, index: u64) -> Account {
    let draw = &mut world.draw(Subject::Account, index);
    let region = world.account_region(index);
    let place = &REGIONS[usize::from(region)];
    let spot = draw.below(3) as usize;
    let segment = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2][draw.below(10) as usize];
    let employees = [(3, 49), (50, 499), (500, 9_000)][usize::from(segment)];
    let employees = draw.between(employees.0, employees.1) as u64;
    let mut name = String::new();
    vocabulary::push_company(&mut name, index);
    Account {
        index,
        name,
        domain: format!("company{index}.example"),
        region,
        country: place.countries[spot],
        city: place.cities[spot],
        postal_code: format!("{:05}", draw.below(99_999)),
        industry: draw.pick(&vocabulary::INDUSTRIES),
        segment,
        employees,
        annual_revenue: employees as i64 * draw.between(6_000_000, 24_000_000),
        owner: world.pick_owner(region, draw),
        source: pick_source(draw),
        created_at: i64::from(world.account_day(index)) * DAY + draw.between(6 * 3_600, 7 * 3_600),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeadStatus {
    New,
    Working,
    Qualified,
    Unqualified,
    Converted,
}

/// What became of a converted lead.
#[derive(Debug, Clone, Copy)]
pub struct Conversion {
    pub deal: u64,
    pub account: Option<u64>,
    pub day: i32,
}

/// A person who showed interest.
pub struct Lead {
    pub index: u64,
    pub first_name: &'static str,
    pub last_name: &'static str,
    pub region: u8,
    pub country: &'static str,
    pub source: u8,
    pub campaign: Option<u8>,
    pub device: &'static str,
    pub status: LeadStatus,
    pub owner: u64,
    pub created_at: i64,
    pub conversion: Option<Conversion>,
    pub modified_at: i64,
    pub deleted: bool,
}

impl Lead {
    pub fn is_qualified(&self) -> bool {
        matches!(self.status, LeadStatus::Qualified | LeadStatus::Converted)
    }
}

pub fn lead(world: &World, index: u64) -> Lead {
    let draw = &mut world.draw(Subject::Lead, index);
    let created_day = world.day_at(index, world.leads);
    let (first_name, last_name) = vocabulary::person(draw.below(1 << 32));
    // Leads and deals both come in order of time: a deal a little further on is one of the days after.
    let years = ((world.end - world.start) / 365).max(1) as u64;
    let target =
        (u128::from(index) * u128::from(world.deals) / u128::from(world.leads)) as u64 + world.deals / (years * 73);
    let converts = draw.chance(280) && target < world.deals;
    let origin = converts.then(|| deal(world, target)).filter(|deal| !deal.deleted && deal.created_day >= created_day);
    let region = origin.as_ref().map_or_else(|| draw.below(6) as u8, |deal| deal.region);
    let source = origin.as_ref().map_or_else(|| pick_source(draw), |deal| deal.source);
    let campaign = match &origin {
        Some(deal) => deal.campaign,
        None => CAMPAIGNS
            .iter()
            .position(|campaign| campaign.source == source)
            .map(|first| first as u8 + draw.below(2) as u8),
    };
    let status = match (&origin, draw.below(100)) {
        (Some(_), _) => LeadStatus::Converted,
        (None, 0..22) => LeadStatus::New,
        (None, 22..50) => LeadStatus::Working,
        (None, 50..68) => LeadStatus::Qualified,
        (None, _) => LeadStatus::Unqualified,
    };
    let created_at = i64::from(created_day) * DAY + draw.between(6 * 3_600, 7 * 3_600 - 1);
    let conversion =
        origin.as_ref().map(|deal| Conversion { deal: deal.index, account: deal.account, day: deal.created_day });
    let latest = i64::from(world.end) * DAY + 20 * 3_600;
    let touched = match &origin {
        Some(deal) => deal.created_at,
        None => (created_at + draw.between(0, 20 * DAY)).min(latest),
    };
    Lead {
        index,
        first_name,
        last_name,
        region,
        country: REGIONS[usize::from(region)].countries[draw.below(3) as usize],
        source,
        campaign,
        device: vocabulary::DEVICES[[0, 0, 0, 1, 1, 1, 1, 2][draw.below(8) as usize]],
        status,
        owner: origin.as_ref().map_or_else(|| world.pick_owner(region, draw), |deal| deal.owner),
        created_at,
        conversion,
        modified_at: touched,
        deleted: world.vendor == Vendor::Salesforce && draw.chance(2),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityType {
    Call,
    Email,
    Task,
    Meeting,
}

/// A call, e-mail, task or meeting, on a deal or on a lead.
pub struct Activity {
    pub index: u64,
    pub activity_type: ActivityType,
    pub deal: Option<u64>,
    pub account: Option<u64>,
    pub lead: Option<u64>,
    pub owner: u64,
    pub outbound: bool,
    pub answered: bool,
    pub started_at: i64,
    pub seconds: Option<i64>,
    pub deleted: bool,
}

pub fn activity(world: &World, index: u64) -> Activity {
    let draw = &mut world.draw(Subject::Activity, index);
    let activity_type = match draw.below(100) {
        0..35 => ActivityType::Call,
        35..60 => ActivityType::Email,
        60..70 => ActivityType::Task,
        _ => ActivityType::Meeting,
    };
    let (deal, account, lead, owner, from, until) = if draw.chance(200) {
        let lead = lead(world, draw.below(world.leads));
        // The first contact: most within a day, some after weeks.
        let wait = (draw.log_normal(1.6) * 5_400.0) as i64;
        (None, None, Some(lead.index), lead.owner, lead.created_at + wait, lead.created_at + wait)
    } else {
        let deal = deal(world, draw.below(world.deals));
        let until = if deal.status() == Status::Open { world.end } else { deal.close_day };
        (Some(deal.index), deal.account, None, deal.owner, deal.created_at, i64::from(until) * DAY + 46_800)
    };
    let latest = i64::from(world.end) * DAY + 18 * 3_600;
    let drawn = draw.between(from, until.max(from));
    // Deals are created in the morning, so an afternoon is never before its deal. A first contact keeps its minute.
    let afternoon = drawn.div_euclid(DAY) * DAY + draw.between(13 * 3_600, 17 * 3_600 + 1_800);
    let started_at = if deal.is_some() { afternoon } else { drawn }.min(latest);
    let seconds = match activity_type {
        ActivityType::Call => (!draw.chance(80)).then(|| ((240.0 * draw.log_normal(0.9)) as i64).clamp(5, 7_200)),
        ActivityType::Meeting => (!draw.chance(30)).then(|| draw.between(1, 8) * 900),
        ActivityType::Email | ActivityType::Task => None,
    };
    Activity {
        index,
        activity_type,
        deal,
        account,
        lead,
        owner,
        outbound: draw.chance(720),
        answered: draw.chance(610),
        started_at,
        seconds,
        deleted: world.vendor == Vendor::Salesforce && draw.chance(2),
    }
}

/// An answer to a survey.
pub struct Survey {
    pub index: u64,
    pub is_nps: bool,
    pub account: u64,
    pub owner: u64,
    pub score: u64,
    pub comment: Option<&'static str>,
    pub responded_at: i64,
    pub day: i32,
}

/// Number of survey answers.
pub fn survey_count(world: &World) -> u64 {
    (world.deals / 12).max(1)
}

pub fn survey(world: &World, index: u64) -> Survey {
    let draw = &mut world.draw(Subject::Survey, index);
    let day = world.day_at(index, survey_count(world));
    let account = draw.below(world.accounts_by(day));
    let owner = world.pick_owner(world.account_region(account), draw);
    let is_nps = draw.chance(700);
    let content = (5 + world.owner_skill(owner) / 45) as u64;
    let score = match (is_nps, draw.below(10) < content + 2) {
        (true, true) => 8 + draw.below(3),
        (true, false) => draw.below(9),
        (false, true) => 4 + draw.below(2),
        (false, false) => 1 + draw.below(4),
    };
    Survey {
        index,
        is_nps,
        account,
        owner,
        score,
        comment: draw.chance(350).then(|| draw.pick(&vocabulary::COMMENTS)),
        responded_at: i64::from(day) * DAY + draw.between(8 * 3_600, 20 * 3_600),
        day,
    }
}

/// A service ticket.
pub struct Ticket {
    pub index: u64,
    pub ticket_type: &'static str,
    pub account: u64,
    pub owner: u64,
    pub priority: &'static str,
    pub channel: &'static str,
    pub created_at: i64,
    pub first_response_at: Option<i64>,
    pub resolved_at: Option<i64>,
}

/// Number of tickets.
pub fn ticket_count(world: &World) -> u64 {
    (world.deals / 10).max(1)
}

pub fn ticket(world: &World, index: u64) -> Ticket {
    let draw: &mut Draw = &mut world.draw(Subject::Ticket, index);
    let day = world.day_at(index, ticket_count(world));
    let account = draw.below(world.accounts_by(day));
    let created_at = i64::from(day) * DAY + draw.between(6 * 3_600, 20 * 3_600);
    let first = created_at + ((draw.log_normal(1.1) * 95.0) as i64).max(1) * 60;
    let resolved = first + ((draw.log_normal(1.2) * 1_500.0) as i64).max(1) * 60;
    let known_until = (i64::from(world.end) + 1) * DAY;
    Ticket {
        index,
        ticket_type: ["complaint", "complaint", "return", "request", "request", "request", "question", "question"]
            [draw.below(8) as usize],
        account,
        owner: world.pick_owner(world.account_region(account), draw),
        priority: draw.pick(&["Low", "Medium", "Medium", "High"]),
        channel: draw.pick(&["Email", "Phone", "Chat", "Form"]),
        created_at,
        first_response_at: Some(first).filter(|at| *at < known_until),
        resolved_at: Some(resolved).filter(|at| *at < known_until && !draw.chance(30)),
    }
}
