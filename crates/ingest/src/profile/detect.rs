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
    let has_all = |list: &Vec<String>| list.iter().all(|alias| headers.find(alias, &profile.strip_prefixes).is_some());
    if profile.absent.iter().any(has_all) {
        return None;
    }
    let priority = if own { 1_000_000 } else { 0 };
    if profile.skip.is_some() {
        return Some(priority + 100_000 + fingerprint);
    }
    let table = profile.table()?;
    let plan = Plan::new(profile, table, headers, "");
    let fillable = plan
        .columns
        .iter()
        .filter(|planned| planned.column.required)
        .all(|planned| !matches!(planned.feed, Feed::Nothing) || planned.default.is_some());
    if !fillable {
        return None;
    }
    let homes = headers.names.len() - plan.extra.len();
    // A stray `account_id` does not make a plain CSV of accounts: most of its headers must be canonical.
    if profile.canonical && homes * 2 < headers.names.len() {
        return None;
    }
    Some(priority + homes * 100 + fingerprint * 2 + usize::from(!profile.canonical))
}

fn nearest(profiles: &[Arc<Profile>], headers: &Headers) -> Option<Nearest> {
    let mut best: Option<(f64, Nearest)> = None;
    for profile in profiles.iter().filter(|profile| profile.skip.is_none()) {
        for needed in &profile.fingerprints {
            let missing: Vec<String> =
                needed.iter().filter(|alias| headers.find(alias, &profile.strip_prefixes).is_none()).cloned().collect();
            let share = 1.0 - missing.len() as f64 / needed.len() as f64;
            if share > 0.0 && best.as_ref().is_none_or(|(other, _)| share > *other) {
                best = Some((share, Nearest { profile: profile.name(), missing }));
            }
        }
    }
    best.map(|(_, nearest)| nearest)
}
