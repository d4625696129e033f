//! The KPI catalogue: the definitions in the binary, and those of the user.
//!
//! A definition is read when somebody asks for it, so that a command that needs one KPI does
//! not read a hundred. [`Catalogue::validate`] reads them all and checks each against the
//! tables; a test runs it, and `--kpis DIR` runs it over the user's own files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use dealframe_model::kpi::{Compute, Definition, Derived, Measure, Operation, Part, Stock};

use crate::error::{QueryError, nearest};
use crate::parse;
use crate::plan::is_table;

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/definitions.rs"));
}

struct Entry {
    file: String,
    text: String,
    definition: OnceLock<Definition>,
}

/// All definitions, by id.
pub struct Catalogue {
    entries: BTreeMap<String, Entry>,
    order: Vec<String>,
}

impl Catalogue {
    /// The definitions in the binary, and those in the files `*.yaml` of a directory of the user's.
    ///
    /// # Errors
    /// When the directory cannot be read, a file is no valid definition, or an id is taken.
    pub fn load(user: Option<&Path>) -> Result<Self, QueryError> {
        let mut catalogue = Self { entries: BTreeMap::new(), order: Vec::new() };
        for (id, file, text) in embedded::FILES {
            catalogue.insert(id, file, (*text).to_owned())?;
        }
        if let Some(directory) = user {
            let before: Vec<String> = catalogue.order.clone();
            catalogue.load_directory(directory)?;
            let own: Vec<String> = catalogue.order.iter().filter(|id| !before.contains(id)).cloned().collect();
            for id in own {
                catalogue.validate_one(&id)?;
            }
        }
        Ok(catalogue)
    }

    fn load_directory(&mut self, directory: &Path) -> Result<(), QueryError> {
        let io = |source| QueryError::Io { path: directory.to_owned(), source };
        let mut paths: Vec<_> =
            fs::read_dir(directory).map_err(io)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                self.load_directory(&path)?;
            } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
                let text = fs::read_to_string(&path).map_err(|source| QueryError::Io { path: path.clone(), source })?;
                let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
                self.insert(&id, &path.display().to_string(), text)?;
            }
        }
        Ok(())
    }

    fn insert(&mut self, id: &str, file: &str, text: String) -> Result<(), QueryError> {
        if self.entries.contains_key(id) {
            return Err(QueryError::Definition { file: file.to_owned(), reason: format!("the id `{id}` is taken") });
        }
        self.order.push(id.to_owned());
        self.entries.insert(id.to_owned(), Entry { file: file.to_owned(), text, definition: OnceLock::new() });
        Ok(())
    }

    /// Ids in the order of families, then of names.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }

    /// One definition.
    ///
    /// # Errors
    /// When there is none of that id (with the nearest ones), or its file is invalid.
    pub fn get(&self, id: &str) -> Result<&Definition, QueryError> {
        let entry = self
            .entries
            .get(id)
            .ok_or_else(|| QueryError::UnknownKpi { name: id.to_owned(), nearest: nearest(id, self.ids()) })?;
        if let Some(definition) = entry.definition.get() {
            return Ok(definition);
        }
        let fail = |reason: String| QueryError::Definition { file: entry.file.clone(), reason };
        let definition: Definition = serde_saphyr::from_str(&entry.text).map_err(|error| fail(error.to_string()))?;
        if definition.id != id {
            return Err(fail(format!("the id is `{}`, the file is named `{id}`", definition.id)));
        }
        Ok(entry.definition.get_or_init(|| definition))
    }

    /// The text of a definition, as it stands in its file.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn source(&self, id: &str) -> Result<(&str, &str), QueryError> {
        self.get(id)?;
        self.entries
            .get(id)
            .map(|entry| (entry.file.as_str(), entry.text.as_str()))
            .ok_or_else(|| QueryError::UnknownKpi { name: id.to_owned(), nearest: Vec::new() })
    }

    /// Every definition that can be read, in order.
    pub fn all(&self) -> impl Iterator<Item = &Definition> {
        self.order.iter().filter_map(|id| self.get(id).ok())
    }

    /// Definitions that speak of every word of a text.
    pub fn search(&self, text: &str) -> Vec<&Definition> {
        let words: Vec<String> = text.to_lowercase().split_whitespace().map(str::to_owned).collect();
        self.all()
            .filter(|definition| {
                let hay = format!(
                    "{} {} {} {} {} {} {}",
                    definition.id,
                    definition.name,
                    definition.family,
                    definition.what,
                    definition.formula,
                    definition.why,
                    definition.concept.as_deref().unwrap_or_default()
                )
                .to_lowercase();
                words.iter().all(|word| hay.contains(word))
            })
            .collect()
    }

    /// The other readings of the same idea.
    pub fn siblings(&self, id: &str) -> Vec<&Definition> {
        let Ok(definition) = self.get(id) else { return Vec::new() };
        let Some(concept) = &definition.concept else { return Vec::new() };
        self.all().filter(|other| other.id != id && other.concept.as_ref() == Some(concept)).collect()
    }

    /// Reads and checks every definition; all that is wrong, not only the first thing.
    pub fn validate(&self) -> Vec<QueryError> {
        self.order.iter().filter_map(|id| self.validate_one(id).err()).collect()
    }

    fn validate_one(&self, id: &str) -> Result<(), QueryError> {
        let definition = self.get(id)?;
        let file = self.entries.get(id).map(|entry| entry.file.clone()).unwrap_or_default();
        let fail = |reason: String| QueryError::Definition { file: file.clone(), reason };
        let named = [
            ("name", &definition.name),
            ("what", &definition.what),
            ("formula", &definition.formula),
            ("why", &definition.why),
            ("population", &definition.population),
            ("caveats", &definition.caveats),
            ("example", &definition.example),
            ("family", &definition.family),
        ];
        for (field, text) in named {
            if text.trim().is_empty() {
                return Err(fail(format!("`{field}` is empty")));
            }
        }
        for related in &definition.related {
            if !self.entries.contains_key(related) {
                return Err(fail(format!("`related` names `{related}`, which is no KPI")));
            }
        }
        for id in references(&definition.compute) {
            let target = self.get(&id).map_err(|_| fail(format!("it uses `{id}`, which is no KPI")))?;
            let mut seen = vec![definition.id.clone()];
            self.check_cycle(target, &mut seen).map_err(&fail)?;
        }
        check_compute(&definition.compute).map_err(fail)
    }

    fn check_cycle(&self, definition: &Definition, seen: &mut Vec<String>) -> Result<(), String> {
        if seen.contains(&definition.id) {
            return Err(format!("it uses itself: {}", seen.join(" -> ")));
        }
        seen.push(definition.id.clone());
        for id in references(&definition.compute) {
            let target = self.get(&id).map_err(|_| format!("it uses `{id}`, which is no KPI"))?;
            self.check_cycle(target, seen)?;
        }
        seen.pop();
        Ok(())
    }
}

/// Ids of the KPIs that a computation refers to.
pub(crate) fn references(compute: &Compute) -> Vec<String> {
    let of_part = |part: &Part| part.terms().iter().filter_map(|term| term.kpi.clone()).collect::<Vec<_>>();
    match compute {
        Compute::Ratio { numerator, denominator, .. } => [of_part(numerator), of_part(denominator)].concat(),
        Compute::Total { part } => of_part(part),
        Compute::Derived(Derived { of, .. }) => vec![of.clone()],
        Compute::Formula { formula } => crate::formula::names(formula).unwrap_or_default(),
        Compute::Attainment { actual, .. } => vec![actual.clone()],
        Compute::Flow { .. } | Compute::Stock { .. } | Compute::Retention { .. } | Compute::Recurring { .. } => {
            Vec::new()
        }
    }
}

fn check_compute(compute: &Compute) -> Result<(), String> {
    let measure = |measure: &Measure| check_source(&measure.table, measure.of.as_deref(), measure.filter.as_deref());
    let stock = |stock: &Stock| check_source(&stock.table, stock.of.as_deref(), stock.filter.as_deref());
    let part = |part: &Part| -> Result<(), String> {
        for term in part.terms() {
            match (&term.measure, &term.stock, &term.kpi) {
                (Some(source), None, None) => measure(source)?,
                (None, Some(source), None) => stock(source)?,
                (None, None, Some(_)) => {}
                _ => return Err("a term names exactly one of measure, stock and kpi".to_owned()),
            }
        }
        if part.terms().is_empty() { Err("a part has no terms".to_owned()) } else { Ok(()) }
    };
    match compute {
        Compute::Flow { measure: source } => measure(source),
        Compute::Ratio { numerator, denominator, .. } => part(numerator).and_then(|()| part(denominator)),
        Compute::Stock { stock: source } => stock(source),
        Compute::Total { part: sum } => part(sum),
        Compute::Formula { formula } => crate::formula::names(formula).map(|_| ()),
        Compute::Retention { retention } => check_source(&retention.table, None, retention.filter.as_deref()),
        Compute::Derived(Derived {
            operation: Operation::MovingAverage { periods } | Operation::Trend { periods },
            ..
        }) => {
            if *periods >= 2 {
                Ok(())
            } else {
                Err("`periods` must be at least 2".to_owned())
            }
        }
        Compute::Derived(_) | Compute::Recurring { .. } | Compute::Attainment { .. } => Ok(()),
    }
}

fn check_source(table: &str, of: Option<&str>, filter: Option<&str>) -> Result<(), String> {
    if !is_table(table) {
        return Err(format!("there is no table `{table}`"));
    }
    for text in [of, filter].into_iter().flatten() {
        parse::expression(text).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_definition_is_complete_and_consistent() {
        let catalogue = Catalogue::load(None).expect("the embedded definitions load");
        let problems: Vec<String> = catalogue.validate().iter().map(ToString::to_string).collect();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        assert!(catalogue.ids().count() >= 30);
    }

    #[test]
    fn an_unknown_kpi_names_the_nearest() {
        let catalogue = Catalogue::load(None).expect("the embedded definitions load");
        let error = catalogue.get("win_rat").expect_err("there is no such KPI");
        assert!(error.hint().unwrap().contains("win_rate"), "{:?}", error.hint());
    }
}
