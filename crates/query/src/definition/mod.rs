//! Reading a definition file: its structure, then its meaning, every complaint with its line.
//!
//! serde reads a good file; where it refuses one, `outline` keeps the text with its lines and
//! `schema` finds the place that does not fit. `check` holds a definition against the tables,
//! whose columns `columns` lists, so that a mistake in a user's file is found when it is
//! loaded and not when it is first asked for. The catalogue keeps the files, nothing here does.

pub(crate) mod check;
pub(crate) mod columns;
mod outline;
pub(crate) mod schema;

use dealframe_model::kpi::Definition;

use outline::Node;

/// Something wrong with a definition, at a place such as `compute.numerator.measure.where`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub path: String,
    pub reason: String,
}

impl Fault {
    pub(crate) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }
}

/// A fault with the line of the file in which it stands.
pub(crate) struct Placed {
    pub line: Option<u64>,
    pub reason: String,
}

/// Reads a definition.
pub(crate) fn read(text: &str) -> Result<Definition, Placed> {
    let refused = match serde_saphyr::from_str::<Definition>(text) {
        Ok(definition) => return Ok(definition),
        Err(error) => error,
    };
    if let Ok(node) = serde_saphyr::from_str::<Node>(text)
        && let Err((line, fault)) = schema::fits(&node)
    {
        return Err(Placed { line: Some(line), reason: fault.reason });
    }
    // No YAML at all, or something that only serde minds: its own words, without its drawing of the place.
    let message = refused.to_string();
    let reason = message.lines().next().unwrap_or_default();
    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
    let reason = match reason.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest,
        _ => reason,
    };
    Err(Placed { line: refused.location().map(|location| location.line()), reason: reason.to_owned() })
}

/// The line in which a fault stands, or the nearest line above it in the structure.
pub(crate) fn placed(text: &str, fault: Fault) -> Placed {
    let line = serde_saphyr::from_str::<Node>(text).ok().map(|node| node.line_of(&fault.path));
    Placed { line, reason: fault.reason }
}
