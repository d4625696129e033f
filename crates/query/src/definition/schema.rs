//! The JSON Schema of definition files, published for editors and held against broken files here.
//!
//! The schema comes from the types in `dealframe_model::kpi`, with the names of the tables put
//! in. [`fits`] walks a file along the schema and says where it first departs from it, in words
//! for people; it knows the few parts of JSON Schema that occur in ours. Whether columns and
//! references exist is not a matter of structure: `check`.

use dealframe_model::kpi::Definition;
use dealframe_model::spelling::one_of;
use dealframe_model::table::TABLES;
use serde_json::{Map, Value as Json, json};

use super::Fault;
use super::outline::{Node, Place, Value};
use crate::facts::derived::DERIVED;

/// The schema of a definition file.
pub(crate) fn schema() -> Json {
    let mut schema = schemars::schema_for!(Definition).to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), json!("KPI definition of dealframe"));
    }
    let tables: Vec<&str> = TABLES.iter().map(|table| table.name).chain(DERIVED).collect();
    for kind in ["Measure", "Stock", "Retention", "Survival"] {
        if let Some(table) =
            schema.pointer_mut(&format!("/$defs/{kind}/properties/table")).and_then(Json::as_object_mut)
        {
            table.insert("enum".to_owned(), json!(tables));
        }
    }
    without_null(&mut schema);
    schema
}

/// A field that may be left out is not one that may be left empty: `pacing:` with nothing behind it was meant to say something.
fn without_null(schema: &mut Json) {
    match schema {
        Json::Object(fields) => {
            if let Some(Json::Array(kinds)) = fields.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [only] = kinds.as_slice() {
                    let only = only.clone();
                    fields.insert("type".to_owned(), only);
                }
            }
            if let Some(Json::Array(options)) = fields.get_mut("anyOf") {
                options.retain(|option| option.get("type").is_none_or(|kind| kind != "null"));
                if let [Json::Object(only)] = options.as_slice() {
                    let only = only.clone();
                    fields.shift_remove("anyOf");
                    fields.extend(only);
                }
            }
            fields.values_mut().for_each(without_null);
        }
        Json::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// The schema as the text that is published.
pub(crate) fn text() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).unwrap_or_default();
    text.push('\n');
    text
}

/// Whether a file has the structure of a definition; else the place and the fault.
pub(super) fn fits(node: &Node) -> Found {
    let root = schema();
    Walk { root: &root }.fits(node, node.place, &root, "")
}

struct Walk<'a> {
    root: &'a Json,
}

/// What is known of the fields of a map once all references are followed.
#[derive(Default)]
struct Fields<'a> {
    known: Vec<(&'a str, &'a Json)>,
    required: Vec<&'a str>,
    closed: bool,
}

pub(super) type Found = Result<(), (Place, Fault)>;

impl<'a> Walk<'a> {
    fn resolved(&self, schema: &'a Json) -> Option<&'a Json> {
        let reference = schema.get("$ref")?.as_str()?;
        self.root.pointer(reference.strip_prefix('#')?)
    }

    /// `place` is where a fault of the node as a whole is told.
    fn fits(&self, node: &Node, place: Place, schema: &'a Json, path: &str) -> Found {
        match &node.value {
            Value::Map(_) if self.allows(schema, "object") => self.map(node, schema, path),
            Value::List(items) if self.allows(schema, "array") => {
                let item = self.items(schema);
                items.iter().enumerate().try_for_each(|(position, node)| {
                    item.map_or(Ok(()), |schema| {
                        self.fits(node, node.place, schema, &join(path, &position.to_string()))
                    })
                })
            }
            _ => self.scalar(node, place, schema, path),
        }
    }

    /// Every schema that may hold at a place: the schema, what it refers to, and its alternatives.
    fn alternatives(&self, schema: &'a Json) -> Vec<&'a Json> {
        let mut all = vec![schema];
        all.extend(self.resolved(schema).into_iter().flat_map(|target| self.alternatives(target)));
        for word in ["oneOf", "anyOf"] {
            let options = schema.get(word).and_then(Json::as_array).into_iter().flatten();
            all.extend(options.flat_map(|option| self.alternatives(option)));
        }
        all
    }

    fn allows(&self, schema: &'a Json, kind: &str) -> bool {
        self.alternatives(schema).iter().any(|one| match one.get("type") {
            Some(Json::String(own)) => own == kind,
            Some(Json::Array(all)) => all.iter().any(|own| own == kind),
            _ => false,
        })
    }

    fn items(&self, schema: &'a Json) -> Option<&'a Json> {
        self.alternatives(schema).into_iter().find_map(|one| one.get("items"))
    }

    /// The least and the greatest number that may stand at a place.
    fn range(&self, schema: &'a Json) -> (Option<i64>, Option<i64>) {
        let all = self.alternatives(schema);
        let bound = |word: &str| all.iter().find_map(|one| one.get(word)?.as_i64());
        (bound("minimum"), bound("maximum"))
    }

    fn scalar(&self, node: &Node, place: Place, schema: &'a Json, path: &str) -> Found {
        let kind = match &node.value {
            Value::Null => "null",
            Value::Boolean(_) => "boolean",
            Value::Integer(_) => "integer",
            Value::Float(_) => "number",
            Value::Text(_) => "string",
            Value::List(_) => "array",
            Value::Map(_) => "object",
        };
        let mut words: Vec<&str> = Vec::new();
        for one in self.alternatives(schema) {
            words.extend(one.get("const").and_then(Json::as_str));
            words.extend(one.get("enum").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str));
        }
        // A text that looks like a number or a truth value is a text where one is asked for, but not below `compute`:
        // there serde looks ahead for the kind, and a number has become one by then.
        let is_bare = matches!(kind, "integer" | "number" | "boolean") && self.allows(schema, "string");
        let fits = (is_bare && !path.starts_with("compute"))
            || self.allows(schema, kind)
            || (kind == "integer" && self.allows(schema, "number"));
        let among = words.is_empty() || matches!(&node.value, Value::Text(text) if words.contains(&text.as_str()));
        let (least, most) = self.range(schema);
        let in_range = match &node.value {
            Value::Integer(value) => {
                least.is_none_or(|least| i128::from(least) <= *value)
                    && most.is_none_or(|most| *value <= i128::from(most))
            }
            _ => true,
        };
        if fits && among && in_range {
            return Ok(());
        }
        let wanted = if !words.is_empty() {
            one_of(&node.shown(), &words)
        } else {
            let kinds = [
                ("object", "a block of fields"),
                ("array", "a list"),
                ("string", "a text"),
                ("integer", "a whole number"),
                ("boolean", "true or false"),
            ];
            let fitting: Vec<&str> =
                kinds.into_iter().filter(|(kind, _)| self.allows(schema, kind)).map(|(_, name)| name).collect();
            let bounds = match (least, most) {
                (Some(least), Some(most)) => format!(" from {least} to {most}"),
                (Some(least), None) => format!(" of at least {least}"),
                (None, Some(most)) => format!(" of at most {most}"),
                (None, None) => String::new(),
            };
            format!("{}{bounds}", fitting.join(" or "))
        };
        let name = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
        let found = fault(place, path, format!("{name} is {}, expected {wanted}", node.shown()));
        let last = path.rsplit('.').next().unwrap_or(path);
        Err(match node.value {
            Value::Null if words.contains(&"null") => {
                (found.0, found.1.with_hint("write 'null' in quotes: bare, it says nothing"))
            }
            Value::Null if !path.is_empty() => (found.0, found.1.with_hint(empty_hint(last))),
            Value::Text(ref text) if text.trim().parse::<f64>().is_ok() && !self.allows(schema, "string") => {
                (found.0, found.1.with_hint("leave out the quotes: a number in quotes is a text"))
            }
            _ if is_bare && words.is_empty() => (found.0, found.1.with_hint("put it in quotes, so that it is a text")),
            _ => found,
        })
    }

    fn map(&self, node: &Node, schema: &'a Json, path: &str) -> Found {
        let mut fields = Fields::default();
        self.collect(node, schema, path, &mut fields)?;
        let Value::Map(entries) = &node.value else { return Ok(()) };
        let names: Vec<&str> = fields.known.iter().map(|(name, _)| *name).collect();
        for entry in entries {
            let own = join(path, &entry.key);
            match fields.known.iter().find(|(name, _)| *name == entry.key) {
                Some((_, schema)) => self.fits(&entry.node, entry.at(), schema, &own)?,
                None if fields.closed => {
                    let place = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
                    let wanted = one_of(&format!("`{}`", entry.key), &names);
                    let reason = format!("unknown field `{}`{place}, expected {wanted}", entry.key);
                    return Err(fault(entry.place, &own, reason));
                }
                None => {}
            }
        }
        match fields.required.iter().find(|name| node.entry(name).is_none()) {
            None => Ok(()),
            Some(missing) if path.is_empty() => {
                Err(fault(node.place, path, format!("the field `{missing}` is missing")))
            }
            Some(missing) => Err(fault(node.place, path, format!("`{path}` lacks the field `{missing}`"))),
        }
    }

    /// Fields of a map: its own, those of what it refers to, and those of the alternative that its tag chooses.
    fn collect(&self, node: &Node, schema: &'a Json, path: &str, fields: &mut Fields<'a>) -> Found {
        let named = schema.get("properties").and_then(Json::as_object);
        fields.known.extend(named.into_iter().flat_map(Map::iter).map(|(name, schema)| (name.as_str(), schema)));
        let required = schema.get("required").and_then(Json::as_array);
        fields.required.extend(required.into_iter().flatten().filter_map(Json::as_str));
        fields.closed |= ["additionalProperties", "unevaluatedProperties"]
            .iter()
            .any(|word| schema.get(word).and_then(Json::as_bool) == Some(false));
        if let Some(target) = self.resolved(schema) {
            self.collect(node, target, path, fields)?;
        }
        for word in ["oneOf", "anyOf"] {
            if let Some(options) = schema.get(word).and_then(Json::as_array)
                && let Some(option) = self.chosen(node, options, path)?
            {
                self.collect(node, option, path, fields)?;
            }
        }
        Ok(())
    }

    fn chosen(&self, node: &Node, options: &'a [Json], path: &str) -> Result<Option<&'a Json>, (Place, Fault)> {
        let tag = |option: &'a Json| -> Option<(&'a str, &'a str)> {
            let named = option.get("properties")?.as_object()?;
            named.iter().find_map(|(name, schema)| Some((name.as_str(), schema.get("const")?.as_str()?)))
        };
        let tags: Vec<(&str, &str)> = options.iter().filter_map(tag).collect();
        let Some((name, _)) = tags.first().filter(|_| tags.len() == options.len()) else {
            return Ok(options.iter().find(|option| self.allows(option, "object")));
        };
        let Some(entry) = node.entry(name) else {
            return Err(fault(node.place, path, format!("`{path}` lacks the field `{name}`")));
        };
        let chosen = options
            .iter()
            .zip(&tags)
            .find(|(_, (_, value))| matches!(&entry.node.value, Value::Text(text) if text == value));
        match chosen {
            Some((option, _)) => Ok(Some(option)),
            None => {
                let words: Vec<&str> = tags.iter().map(|(_, value)| *value).collect();
                let shown = entry.node.shown();
                let own = join(path, name);
                let reason = format!("`{own}` is {shown}, expected {}", one_of(&shown, &words));
                Err(fault(entry.at(), &own, reason))
            }
        }
    }
}

fn fault(place: Place, path: &str, reason: String) -> (Place, Fault) {
    (place, Fault::new(path, reason))
}

fn empty_hint(field: &str) -> String {
    format!(
        "give `{field}` a value behind the colon, or below it and further in; a field that is not needed is left out whole"
    )
}

fn join(path: &str, step: &str) -> String {
    if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") }
}
