//! The known answers: what the generated rows add up to, counted while they are written.
//!
//! Sums are integers (hundredths, and ten-thousandths for weighted amounts), so neither order
//! nor threads matter. Nothing here is shared with the crates that compute KPIs, not even the
//! division: an error would have to be made twice to stay unseen. Deleted rows are left out by
//! the callers. Amounts in different currencies are never added up.

use std::fmt::Write as _;

use dealframe_model::date;

use crate::deal::{Deal, Status};
use crate::options::{SynthFile, SynthOptions, Vendor};
use crate::vocabulary::CURRENCIES;
use crate::world::World;

/// Sums of money in one currency.
#[derive(Debug, Default, Clone)]
struct Money {
    revenue: i128,
    won_with_amount: i128,
    lost_amount: i128,
    margin: i128,
    margin_base: i128,
    open: i128,
    weighted: i128,
}

/// Counts of one chunk of rows.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    money: [Money; 3],
    pub created: i128,
    pub won: i128,
    pub lost: i128,
    pub open: i128,
    cycles: Vec<u32>,
    buyers: Vec<u64>,
    sellers: Vec<(u8, u64)>,
    pub leads: i128,
    pub qualified: i128,
    pub converted: i128,
    pub activities: i128,
    pub calls: i128,
    pub call_seconds: i128,
    pub meetings: i128,
    pub meeting_seconds: i128,
    pub answers: i128,
    pub promoters: i128,
    pub detractors: i128,
    pub tickets: i128,
    pub complaints: i128,
}

impl Tally {
    /// Counts a deal that is not deleted.
    pub fn deal(&mut self, deal: &Deal, vendor: Vendor) {
        let money = &mut self.money[usize::from(deal.currency)];
        let amount = i128::from(deal.amount.unwrap_or(0));
        self.created += 1;
        match deal.status() {
            Status::Won => {
                self.won += 1;
                money.revenue += amount;
                money.won_with_amount += i128::from(deal.amount.is_some());
                if let (Some(_), Some(cost)) = (deal.amount, deal.cost) {
                    money.margin += amount - i128::from(cost);
                    money.margin_base += amount;
                }
                self.cycles.push((deal.close_day - deal.created_day).unsigned_abs());
                self.buyers.extend(deal.account);
                self.sellers.push((deal.currency, deal.owner));
            }
            Status::Lost => {
                self.lost += 1;
                money.lost_amount += amount;
            }
            Status::Open => {
                self.open += 1;
                money.open += amount;
                money.weighted += amount * i128::from(deal.stage_facts(vendor, deal.stage).1);
            }
        }
    }
}

/// A set of small numbers: one bit each.
#[derive(Debug, Default)]
struct Bits {
    words: Vec<u64>,
    count: i128,
}

impl Bits {
    fn insert(&mut self, number: u64) {
        let (word, mask) = ((number / 64) as usize, 1u64 << (number % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if self.words[word] & mask == 0 {
            self.words[word] |= mask;
            self.count += 1;
        }
    }
}

/// The counts of all rows so far. Its size depends on the number of accounts (one bit each) and users only.
#[derive(Debug, Default)]
pub struct Truth {
    sums: Tally,
    cycle_days: Vec<u64>,
    account_wins: i128,
    buyers: Bits,
    sellers: [Bits; 3],
    all_sellers: Bits,
}

impl Truth {
    /// Adds the counts of a chunk.
    pub fn absorb(&mut self, chunk: Tally) {
        let sums = &mut self.sums;
        for (sum, part) in sums.money.iter_mut().zip(&chunk.money) {
            sum.revenue += part.revenue;
            sum.won_with_amount += part.won_with_amount;
            sum.lost_amount += part.lost_amount;
            sum.margin += part.margin;
            sum.margin_base += part.margin_base;
            sum.open += part.open;
            sum.weighted += part.weighted;
        }
        for (sum, part) in [
            (&mut sums.created, chunk.created),
            (&mut sums.won, chunk.won),
            (&mut sums.lost, chunk.lost),
            (&mut sums.open, chunk.open),
            (&mut sums.leads, chunk.leads),
            (&mut sums.qualified, chunk.qualified),
            (&mut sums.converted, chunk.converted),
            (&mut sums.activities, chunk.activities),
            (&mut sums.calls, chunk.calls),
            (&mut sums.call_seconds, chunk.call_seconds),
            (&mut sums.meetings, chunk.meetings),
            (&mut sums.meeting_seconds, chunk.meeting_seconds),
            (&mut sums.answers, chunk.answers),
            (&mut sums.promoters, chunk.promoters),
            (&mut sums.detractors, chunk.detractors),
            (&mut sums.tickets, chunk.tickets),
            (&mut sums.complaints, chunk.complaints),
        ] {
            *sum += part;
        }
        for days in chunk.cycles {
            let days = days as usize;
            if days >= self.cycle_days.len() {
                self.cycle_days.resize(days + 1, 0);
            }
            self.cycle_days[days] += 1;
        }
        self.account_wins += chunk.buyers.len() as i128;
        for account in chunk.buyers {
            self.buyers.insert(account);
        }
        for (currency, owner) in chunk.sellers {
            self.sellers[usize::from(currency)].insert(owner);
            self.all_sellers.insert(owner);
        }
    }

    /// Twice the median of the won cycles, so that the middle of two days stays a whole number.
    fn doubled_median(&self) -> Option<i128> {
        let count: u64 = self.cycle_days.iter().sum();
        let at = |rank: u64| -> Option<i128> {
            let mut seen = 0;
            self.cycle_days
                .iter()
                .position(|number| {
                    seen += number;
                    seen > rank
                })
                .map(|days| days as i128)
        };
        Some(at(count.checked_sub(1)? / 2)? + at(count / 2)?)
    }

    fn counted(&self) -> Vec<(&'static str, String)> {
        let sums = &self.sums;
        let days: i128 =
            self.cycle_days.iter().enumerate().map(|(days, count)| days as i128 * i128::from(*count)).sum();
        let customers = self.buyers.count;
        let whole = |value: i128| decimal(value, 0);
        vec![
            ("deals_won", whole(sums.won)),
            ("deals_lost", whole(sums.lost)),
            ("deals_created", whole(sums.created)),
            ("win_rate", ratio(sums.won, sums.won + sums.lost)),
            ("win_rate_created", ratio(sums.won, sums.created)),
            ("sales_cycle_mean", ratio(days, sums.won)),
            ("sales_cycle_median", self.doubled_median().map_or_else(null, |doubled| ratio(doubled, 2))),
            ("leads", whole(sums.leads)),
            ("qualified_leads", whole(sums.qualified)),
            ("qualification_rate", ratio(sums.qualified, sums.leads)),
            ("lead_conversion", ratio(sums.converted, sums.leads)),
            ("open_pipeline_count", whole(sums.open)),
            ("new_customers", whole(customers)),
            ("customers", whole(customers)),
            ("upsell_rate", ratio(self.account_wins - customers, customers)),
            ("activities", whole(sums.activities)),
            ("call_time_mean", ratio(sums.call_seconds, sums.calls)),
            ("meeting_time_mean", ratio(sums.meeting_seconds, sums.meetings)),
            ("nps", ratio((sums.promoters - sums.detractors) * 100, sums.answers)),
            ("tickets", whole(sums.tickets)),
            ("complaints", whole(sums.complaints)),
        ]
    }

    fn valued(&self, currency: usize, sellers: i128) -> Vec<(&'static str, String)> {
        let money = &self.sums.money[currency];
        vec![
            ("revenue", decimal(money.revenue, 2)),
            ("average_deal_size", ratio(money.revenue, money.won_with_amount * 100)),
            ("gross_margin", decimal(money.margin, 2)),
            ("margin_rate", ratio(money.margin, money.margin_base)),
            ("win_rate_by_value", ratio(money.revenue, money.revenue + money.lost_amount)),
            ("open_pipeline_value", decimal(money.open, 2)),
            ("weighted_pipeline", decimal(money.weighted, 4)),
            ("revenue_per_rep", ratio(money.revenue, sellers * 100)),
        ]
    }

    /// The JSON text of `truth.json`.
    pub fn to_json(&self, options: &SynthOptions, world: &World, deals: u64, files: &[SynthFile]) -> String {
        let mut text = String::new();
        let mixed = options.currencies;
        let _ = writeln!(text, "{{\n  \"seed\": {},\n  \"deals\": {deals},", options.seed);
        let _ = writeln!(text, "  \"vendor\": \"{}\",", world.vendor.name());
        let _ = writeln!(
            text,
            "  \"from\": \"{}\",\n  \"as_of\": \"{}\",",
            date::format(world.start),
            date::format(options.as_of())
        );
        let _ = match options.changed_share {
            Some((_, night)) => writeln!(text, "  \"night\": {night},"),
            None => writeln!(text, "  \"night\": null,"),
        };
        let mut kpis = if mixed { Vec::new() } else { self.valued(0, self.all_sellers.count) };
        kpis.extend(self.counted());
        let _ = writeln!(text, "  \"kpis\": {{\n{}\n  }},", members(&kpis, "    "));
        if mixed {
            let parts: Vec<String> = CURRENCIES
                .iter()
                .enumerate()
                .map(|(index, currency)| {
                    let kpis = self.valued(index, self.sellers[index].count);
                    format!("    \"{currency}\": {{\n{}\n    }}", members(&kpis, "      "))
                })
                .collect();
            let _ = writeln!(text, "  \"by_currency\": {{\n{}\n  }},", parts.join(",\n"));
        }
        let rows: Vec<(&str, String)> = files.iter().map(|file| (file.name, file.rows.to_string())).collect();
        let _ = writeln!(text, "  \"rows\": {{\n{}\n  }}\n}}", members(&rows, "    "));
        text
    }
}

fn members(entries: &[(&str, String)], indent: &str) -> String {
    let lines: Vec<String> = entries.iter().map(|(name, value)| format!("{indent}\"{name}\": {value}")).collect();
    lines.join(",\n")
}

fn null() -> String {
    "null".to_owned()
}

/// A quotient with twelve digits after the point, rounded half away from zero; null when there is nothing to divide by.
fn ratio(numerator: i128, denominator: i128) -> String {
    if denominator == 0 {
        return null();
    }
    let scaled = numerator.unsigned_abs() * 10u128.pow(12);
    let divisor = denominator.unsigned_abs();
    let rounded = (scaled * 2 + divisor) / (divisor * 2);
    let negative = (numerator < 0) != (denominator < 0);
    decimal(if negative { -(rounded as i128) } else { rounded as i128 }, 12)
}

/// An integer scaled by 10^`scale` as a plain decimal, without trailing zeros.
fn decimal(value: i128, scale: u32) -> String {
    let unit = 10u128.pow(scale);
    let magnitude = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    let mut text = format!("{sign}{}", magnitude / unit);
    if !magnitude.is_multiple_of(unit) {
        let fraction = format!("{:0width$}", magnitude % unit, width = scale as usize);
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn numbers_are_exact() {
        assert_eq!(decimal(123_450, 2), "1234.5");
        assert_eq!(decimal(-7, 2), "-0.07");
        assert_eq!(decimal(100, 2), "1");
        assert_eq!(ratio(1, 3), "0.333333333333");
        assert_eq!(ratio(2, 3), "0.666666666667");
        assert_eq!(ratio(-200, 3), "-66.666666666667");
        assert_eq!(ratio(5, 0), "null");
    }

    #[test]
    fn medians_of_odd_and_even_counts() {
        let median = |days: &[u32]| {
            let mut truth = Truth::default();
            truth.absorb(Tally { cycles: days.to_vec(), ..Tally::default() });
            truth.doubled_median()
        };
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[4]), Some(8));
        assert_eq!(median(&[9, 1]), Some(10));
        assert_eq!(median(&[1, 2, 2, 100]), Some(4));
        assert_eq!(median(&[7, 1, 3]), Some(6));
    }
}
