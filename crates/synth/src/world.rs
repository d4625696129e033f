//! The invented company as a whole: who sells, which accounts exist on which day, how busy each day is.
//!
//! Built once per run from the options; it takes a few kilobytes whatever the number of deals,
//! because accounts and users are computed from their index. Single deals are made in `deal`.

use dealframe_model::date;

use crate::options::{SynthOptions, Vendor};
use crate::random::{Draw, Subject, scramble};
use crate::vocabulary::{REGIONS, SOURCES};

/// Sales representatives in a team.
pub const TEAM_SIZE: u64 = 8;

/// The frame all rows are generated in.
pub struct World {
    pub seed: u64,
    pub vendor: Vendor,
    pub deals: u64,
    pub accounts: u64,
    pub leads: u64,
    pub activities: u64,
    pub teams: u64,
    pub start: i32,
    pub end: i32,
    pub currencies: bool,
    pub history: bool,
    /// Running total of the weights of the days from `start` on.
    running: Vec<u64>,
}

impl World {
    pub fn new(options: &SynthOptions) -> Self {
        let end = options.end_date;
        let start = date::add_months(end, -12 * options.years as i32) + 1;
        let mut total = 0;
        let running = (start..=end)
            .map(|day| {
                total += weight(day, start, end);
                total
            })
            .collect();
        Self {
            seed: options.seed,
            vendor: options.vendor,
            deals: options.deals,
            accounts: (options.deals / 8).max(1),
            leads: (options.deals * 3 / 5).max(1),
            activities: (options.deals / 2).max(1),
            teams: (options.deals / 12_000).clamp(6, 300),
            start,
            end,
            currencies: options.currencies,
            history: options.history,
            running,
        }
    }

    pub fn reps(&self) -> u64 {
        self.teams * TEAM_SIZE
    }

    /// Representatives, one manager for each team, and the head of sales.
    pub fn users(&self) -> u64 {
        self.reps() + self.teams + 1
    }

    /// Day of row `index` of `count` rows that come in order of time, with the growth and seasons of the company.
    pub fn day_at(&self, index: u64, count: u64) -> i32 {
        let total = self.running.last().copied().unwrap_or(1);
        let target = (u128::from(total) * (2 * u128::from(index) + 1) / (2 * u128::from(count.max(1)))) as u64;
        let offset = self.running.partition_point(|sum| *sum <= target);
        (self.start + offset as i32).min(self.end)
    }

    /// Share of the business of the whole run, in millionths, that falls between two days.
    pub fn share_between(&self, first: i32, last: i32) -> i64 {
        let upto = |day: i32| -> u64 {
            if day < self.start { 0 } else { self.running[((day - self.start) as usize).min(self.running.len() - 1)] }
        };
        let total = self.running.last().copied().unwrap_or(1).max(1);
        ((upto(last) - upto(first - 1)) as i128 * 1_000_000 / i128::from(total)) as i64
    }

    fn first_account_day(&self) -> i64 {
        i64::from(self.start) - 365
    }

    /// Day an account was created: accounts are numbered in order of creation, from a year before the first deal.
    pub fn account_day(&self, account: u64) -> i32 {
        let span = i64::from(self.end) - self.first_account_day();
        (self.first_account_day() + (i128::from(account) * i128::from(span) / i128::from(self.accounts)) as i64) as i32
    }

    /// Number of accounts that exist at the end of a day.
    pub fn accounts_by(&self, day: i32) -> u64 {
        let span = (i64::from(self.end) - self.first_account_day()) as u64;
        let elapsed = (i64::from(day) - self.first_account_day()).max(0) as u64;
        let last = ((u128::from(elapsed) + 1) * u128::from(self.accounts) - 1) / u128::from(span);
        (last as u64 + 1).clamp(1, self.accounts)
    }

    pub fn account_region(&self, account: u64) -> u8 {
        let roll = scramble(self.seed ^ scramble(account ^ 0xACC0)) % 100;
        match roll {
            0..30 => 0,
            30..52 => 1,
            52..70 => 2,
            70..83 => 3,
            83..93 => 4,
            _ => 5,
        }
    }

    /// Region a team sells in.
    pub fn team_region(&self, team: u64) -> u8 {
        (team % REGIONS.len() as u64) as u8
    }

    /// A representative of a region; some carry more deals than others.
    pub fn pick_owner(&self, region: u8, draw: &mut Draw) -> u64 {
        let regions = REGIONS.len() as u64;
        let in_region = (self.teams - u64::from(region)).div_ceil(regions);
        let team = u64::from(region) + regions * draw.below(in_region);
        let slot = if draw.chance(250) { draw.below(3) } else { draw.below(TEAM_SIZE) };
        team * TEAM_SIZE + slot
    }

    /// Per-mille a representative adds to the chance to win.
    pub fn owner_skill(&self, owner: u64) -> i64 {
        (scramble(self.seed ^ scramble(owner ^ 0x5E11)) % 181) as i64 - 90
    }

    pub fn team_of(&self, user: u64) -> Option<u64> {
        if user < self.reps() {
            Some(user / TEAM_SIZE)
        } else {
            (user < self.reps() + self.teams).then(|| user - self.reps())
        }
    }

    /// Manager of a team, as a user.
    pub fn manager_of(&self, team: u64) -> u64 {
        self.reps() + team
    }

    pub fn head_of_sales(&self) -> u64 {
        self.reps() + self.teams
    }

    /// Name of a team, unique by its number.
    pub fn team_name(&self, team: u64) -> String {
        let regions = REGIONS.len() as u64;
        format!("{} {}", REGIONS[usize::from(self.team_region(team))].name, team / regions + 1)
    }

    pub fn currency(&self, region: u8) -> u8 {
        if self.currencies { REGIONS[usize::from(region)].currency } else { 0 }
    }

    /// A generator for a row of this world.
    pub fn draw(&self, subject: Subject, index: u64) -> Draw {
        Draw::new(self.seed, subject, index)
    }
}

/// A channel, by its share.
pub fn pick_source(draw: &mut Draw) -> u8 {
    let mut roll = draw.below(100);
    for (index, source) in SOURCES.iter().enumerate() {
        if roll < source.share {
            return index as u8;
        }
        roll -= source.share;
    }
    0
}

/// How busy a day is: the company grows, rests at weekends and in August, and starts slowly in January.
fn weight(day: i32, start: i32, end: i32) -> u64 {
    let growth = 1000 + 700 * (day - start) as u64 / ((end - start).max(1) as u64);
    let (_, month, _) = date::to_civil(day);
    let season = match month {
        8 => 55,
        12 => 80,
        1 => 85,
        3 | 6 | 9 | 10 => 112,
        _ => 100,
    };
    let weekday = if date::weekday(day) >= 5 { 8 } else { 100 };
    growth * season * weekday
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn accounts_by_day_counts_account_days() {
        for deals in [1, 100, 12_345] {
            let world = World::new(&SynthOptions::new(deals, 1, Vendor::Salesforce, ""));
            for day in world.start..=world.end {
                let counted = (0..world.accounts).filter(|account| world.account_day(*account) <= day).count() as u64;
                assert_eq!(world.accounts_by(day), counted.max(1), "{deals} deals, day {day}");
            }
        }
    }

    #[test]
    fn days_follow_the_weights() {
        let world = World::new(&SynthOptions::new(50_000, 1, Vendor::Salesforce, ""));
        assert_eq!(world.start, date::from_civil(2022, 1, 1));
        let days: Vec<i32> = (0..50_000).map(|index| world.day_at(index, 50_000)).collect();
        assert!(days.is_sorted() && days[0] >= world.start && days[49_999] <= world.end);
        let in_month = |month| days.iter().filter(|day| date::to_civil(**day).1 == month).count();
        assert!(in_month(8) * 3 < in_month(9) * 2, "August is quiet: {} against {}", in_month(8), in_month(9));
        let in_year = |year| days.iter().filter(|day| date::to_civil(**day).0 == year).count();
        assert!(in_year(2025) > in_year(2022) * 13 / 10, "the company grows");
    }

    #[test]
    fn owners_stay_in_their_region() {
        let world = World::new(&SynthOptions::new(200_000, 1, Vendor::Salesforce, ""));
        for index in 0..5_000 {
            let mut draw = world.draw(Subject::User, index);
            let region = (index % 6) as u8;
            let owner = world.pick_owner(region, &mut draw);
            assert!(owner < world.reps());
            assert_eq!(world.team_of(owner).map(|team| world.team_region(team)), Some(region));
        }
    }
}
