//! The KPI catalogue: the definitions in the binary, and those of the user.
//!
//! A definition is read when somebody asks for it, so that a command that needs one KPI does
//! not read a hundred. [`Catalogue::validate`] reads them all and checks each against the
//! tables; a test runs it, and `--kpis DIR` runs it over the user's own files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{OnceLock, PoisonError, RwLock};

use dealframe_model::expression::Expression;
use dealframe_model::kpi::{Compute, Definition};
use hashbrown::HashMap;

use crate::definition::{self, Fault, Placed, check, parts, unit};
use crate::error::{QueryError, nearest};
use crate::evaluate::pacing;
use crate::parse;

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/definitions.rs"));
}

struct Entry {
    file: String,
    /// In the binary, and not a file of the user's.
    is_built_in: bool,
    text: String,
    definition: OnceLock<Definition>,
}

/// All definitions, by id.
pub struct Catalogue {
    entries: BTreeMap<String, Entry>,
    order: Vec<String>,
    /// Expressions that were read before: every segment set and grain asks for the same ones.
    read: RwLock<HashMap<String, Expression>>,
}

fn at(file: &str, placed: Placed) -> QueryError {
    let file = placed.place.map_or_else(|| file.to_owned(), |place| format!("{file}:{}:{}", place.line, place.column));
    QueryError::Definition { file, reason: placed.reason, hint: placed.hint }
}

/// What is wrong with an id that another file has, and what to do about it.
fn taken(id: &str, known: &Entry, is_taken: impl Fn(&str) -> bool) -> (String, String) {
    if !known.is_built_in {
        let reason = format!("the id `{id}` is taken by {}", known.file);
        let hint = "choose another id for one of the two: an id is the name of the file without its ending, and stands \
                    behind `id:` in it as well";
        return (reason, hint.to_owned());
    }
    let names = (1_u32..).map(|number| if number == 1 { format!("own_{id}") } else { format!("own_{id}_{number}") });
    let free = names.into_iter().find(|name| !is_taken(name)).unwrap_or_default();
    let reason = format!("the id `{id}` is taken by {}, which is built in", known.file);
    let hint = format!(
        "choose another id: name the file {free}.yaml, say, and write `id: {free}` in it; `dealframe kpis {id}` shows the \
         KPI that has this one"
    );
    (reason, hint)
}

impl Catalogue {
    /// An expression of a definition, read once.
    ///
    /// # Errors
    /// As [`parse::expression`].
    pub(crate) fn expression(&self, text: &str) -> Result<Expression, QueryError> {
        if let Some(known) = self.read.read().unwrap_or_else(PoisonError::into_inner).get(text) {
            return Ok(known.clone());
        }
        let expression = parse::expression(text)?;
        self.read.write().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned(), expression.clone());
        Ok(expression)
    }

    /// The definitions in the binary, and those in the files `*.yaml` of a directory of the user's.
    ///
    /// # Errors
    /// When the directory cannot be read, a file is no valid definition, or an id is taken.
    pub fn load(user: Option<&Path>) -> Result<Self, QueryError> {
        let mut catalogue = Self { entries: BTreeMap::new(), order: Vec::new(), read: RwLock::default() };
        for (id, file, text) in embedded::FILES {
            catalogue.insert(id, file, (*text).to_owned(), true)?;
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
        let unread = |path: &Path, error: std::io::Error| {
            let reason = match error.kind() {
                std::io::ErrorKind::InvalidData => "it is no text in UTF-8".to_owned(),
                _ => error.to_string(),
            };
            QueryError::Kpis { path: path.to_owned(), reason }
        };
        let io = |error| unread(directory, error);
        let mut paths: Vec<_> =
            fs::read_dir(directory).map_err(io)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                self.load_directory(&path)?;
            } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
                let text = fs::read_to_string(&path).map_err(|error| unread(&path, error))?;
                let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
                self.insert(&id, &path.display().to_string(), text, false)?;
            }
        }
        Ok(())
    }

    fn insert(&mut self, id: &str, file: &str, text: String, is_built_in: bool) -> Result<(), QueryError> {
        if let Some(known) = self.entries.get(id) {
            let (reason, hint) = taken(id, known, |id| self.entries.contains_key(id));
            return Err(at(file, definition::placed(&text, Fault::new("id", reason).with_hint(hint))));
        }
        self.order.push(id.to_owned());
        let entry = Entry { file: file.to_owned(), is_built_in, text, definition: OnceLock::new() };
        self.entries.insert(id.to_owned(), entry);
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
        let definition = definition::read(&entry.text).map_err(|placed| at(&entry.file, placed))?;
        if definition.id != id {
            let reason = format!("the id is `{}`, the file is named `{id}`", definition.id);
            return Err(at(&entry.file, definition::placed(&entry.text, Fault::new("id", reason))));
        }
        Ok(entry.definition.get_or_init(|| definition))
    }

    /// The JSON Schema of definition files, for editors.
    pub fn schema() -> String {
        definition::schema::text()
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
        if let Some(entry) = self.entries.get(id) {
            definition::structure(&entry.text).map_err(|placed| at(&entry.file, placed))?;
        }
        let definition = self.get(id)?;
        self.faultless(definition).map_err(|fault| match self.entries.get(id) {
            Some(entry) => at(&entry.file, definition::placed(&entry.text, fault)),
            None => QueryError::Definition { file: id.to_owned(), reason: fault.reason, hint: fault.hint },
        })
    }

    fn faultless(&self, definition: &Definition) -> Result<(), Fault> {
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
                return Err(Fault::new(field, format!("`{field}` is empty")));
            }
        }
        let no_kpi = |path: String, verb: &str, id: &str| {
            let likely = nearest(id, self.ids());
            let hint = likely.first().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            Fault::new(path, format!("{verb} `{id}`, which is no KPI{hint}"))
        };
        for (position, related) in definition.related.iter().enumerate() {
            if !self.entries.contains_key(related) {
                return Err(no_kpi(format!("related.{position}"), "`related` names", related));
            }
        }
        for (path, id) in check::references(&definition.compute) {
            if !self.entries.contains_key(&id) {
                return Err(no_kpi(path, "it uses", &id));
            }
            // A broken definition says itself what is wrong with it.
            let Ok(target) = self.get(&id) else { continue };
            let is_windowed = matches!(&definition.compute, Compute::Ratio { within: Some(_), .. });
            if is_windowed && !matches!(&target.compute, Compute::Flow { measure } if !measure.ahead) {
                let reason = format!("`{id}` is no count of what happened: below the line `within` needs a flow");
                return Err(Fault::new(path, reason));
            }
            let mut seen = vec![definition.id.clone()];
            self.check_cycle(target, &mut seen).map_err(|reason| Fault::new(path, reason))?;
        }
        check::meaning(&definition.compute)?;
        parts::together(definition, &|id| self.get(id).ok())?;
        if let Compute::Attainment { actual, pacing: Some(_), .. } = &definition.compute
            && let Ok(target) = self.get(actual)
            && !pacing::has_season(&target.compute)
        {
            let (reason, hint) = pacing::no_season(actual);
            return Err(Fault::new("compute.actual", reason).with_hint(hint));
        }
        unit::check(definition, &|id| self.get(id).ok().map(|definition| definition.unit))
    }

    fn check_cycle(&self, definition: &Definition, seen: &mut Vec<String>) -> Result<(), String> {
        if seen.first() == Some(&definition.id) {
            return Err(format!("it uses itself: {} -> {}", seen.join(" -> "), definition.id));
        }
        // A circle that this one is not part of is told where it is.
        if seen.contains(&definition.id) {
            return Ok(());
        }
        seen.push(definition.id.clone());
        for id in references(&definition.compute) {
            if let Ok(target) = self.get(&id) {
                self.check_cycle(target, seen)?;
            }
        }
        seen.pop();
        Ok(())
    }
}

/// Ids of the KPIs that a computation refers to.
pub(crate) fn references(compute: &Compute) -> Vec<String> {
    check::references(compute).into_iter().map(|(_, id)| id).collect()
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
