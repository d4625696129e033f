//! Recognising an export by its header, and finding the header below a title.
//!
//! A profile fits when the file has all headers of one of its fingerprints and something to
//! fill every required column with. Among those that fit, the one that finds a home for most
//! columns wins; a mapping given by the user wins always. Nothing fits: the nearest profile
//! and what it misses are named, and the file is not loaded.

use std::sync::Arc;

use super::Profile;
use super::header::Headers;
use super::plan::{Feed, Plan};

/// A profile that fits, and the record that is the header.
#[derive(Debug, Clone)]
pub struct Match {
    pub profile: Arc<Profile>,
    pub header_record: usize,
    pub headers: Headers,
}

/// The profile that came closest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    pub profile: String,
    pub missing: Vec<String>,
    /// Why it does not fit although it has all headers that it needs.
    pub obstacle: Option<String>,
}

/// Finds the header among the first records of a file, and the profile that fits it best.
///
/// # Errors
/// With the nearest profile, if there is one that shares a header at all.
pub fn choose(profiles: &[Arc<Profile>], own: usize, records: &[Vec<String>]) -> Result<Match, Option<Nearest>> {
    for (header_record, cells) in records.iter().enumerate() {
        if cells.iter().filter(|cell| !cell.trim().is_empty()).count() == 0 {
            continue;
        }
        let headers = Headers::new(cells);
        let best = profiles
            .iter()
            .enumerate()
            .filter_map(|(index, profile)| score(profile, &headers, index < own).map(|score| (score, index, profile)))
            .max_by_key(|(score, index, _)| (*score, std::cmp::Reverse(*index)));
        if let Some((_, _, profile)) = best {
            return Ok(Match { profile: Arc::clone(profile), header_record, headers });
        }
    }
    Err(records.iter().find_map(|cells| nearest(profiles, &Headers::new(cells))))
}

fn score(profile: &Arc<Profile>, headers: &Headers, own: bool) -> Option<usize> {
    let fingerprint = profile
        .fingerprints
        .iter()
        .filter(|needed| needed.iter().all(|alias| headers.find(alias, &profile.strip_prefixes).is_some()))
        .map(Vec::len)
        .max()?;
    if is_other(profile, headers) {
        return None;
    }
    let priority = if own { 1_000_000 } else { 0 };
    if profile.skip.is_some() {
        return Some(priority + 100_000 + fingerprint);
    }
    let table = profile.table()?;
    let plan = Plan::new(profile, table, headers, "");
    if unfilled(&plan).next().is_some() {
        return None;
    }
    let homes = headers.names.len() - plan.extra.len();
    // A stray `account_id` does not make a plain CSV of accounts: most of its headers must be canonical.
    if profile.canonical && homes * 2 < headers.names.len() {
        return None;
    }
    Some(priority + homes * 100 + fingerprint * 2 + usize::from(!profile.canonical))
}

/// Whether the file has headers by which it is something else.
fn is_other(profile: &Profile, headers: &Headers) -> bool {
    let has_all = |list: &Vec<String>| list.iter().all(|alias| headers.find(alias, &profile.strip_prefixes).is_some());
    profile.absent.iter().any(has_all)
}

/// Required columns that nothing in the file feeds.
fn unfilled(plan: &Plan) -> impl Iterator<Item = &'static str> {
    let required = plan.columns.iter().filter(|planned| planned.column.required);
    required
        .filter(|planned| matches!(planned.feed, Feed::Nothing) && planned.default.is_none())
        .map(|planned| planned.column.name)
}

/// Why a profile whose headers are all there does not fit.
fn obstacle(profile: &Arc<Profile>, headers: &Headers) -> Option<String> {
    let plan = Plan::new(profile, profile.table()?, headers, "");
    if let Some(column) = unfilled(&plan).next() {
        let headers = profile.columns.get(column).map(|mapping| mapping.from.join(", ")).unwrap_or_default();
        return Some(format!("nothing fills its required column {column} (headers that would: {headers})"));
    }
    if profile.canonical && !plan.extra.is_empty() {
        return Some(format!("most of the headers are none of its columns: {}", plan.unmapped().join(", ")));
    }
    None
}

fn nearest(profiles: &[Arc<Profile>], headers: &Headers) -> Option<Nearest> {
    let mut best: Option<(f64, Nearest)> = None;
    for profile in profiles.iter().filter(|profile| profile.skip.is_none() && !is_other(profile, headers)) {
        for needed in &profile.fingerprints {
            let missing: Vec<String> =
                needed.iter().filter(|alias| headers.find(alias, &profile.strip_prefixes).is_none()).cloned().collect();
            let share = 1.0 - missing.len() as f64 / needed.len() as f64;
            if share > 0.0 && best.as_ref().is_none_or(|(other, _)| share > *other) {
                let obstacle = if missing.is_empty() { obstacle(profile, headers) } else { None };
                best = Some((share, Nearest { profile: profile.name(), missing, obstacle }));
            }
        }
    }
    best.map(|(_, nearest)| nearest)
}
