//! Reading a definition file: its structure, then its meaning, every complaint with its line and column.
//!
//! serde reads a file; `outline` keeps the text with its places and `schema` finds the one that
//! does not fit, also where serde would not mind. `check` holds a definition against the tables,
//! whose columns `columns` lists, `parts` against the KPIs it names, and `unit` its unit against
//! what it measures, so that a mistake in a user's file is found when it is loaded and not when it
//! is first asked for. The catalogue keeps the files, nothing here does.

pub(crate) mod check;
pub(crate) mod columns;
pub(crate) mod outline;
pub(crate) mod parts;
pub(crate) mod schema;
pub(crate) mod unit;

use dealframe_model::kpi::Definition;
use dealframe_model::yaml::{self, Complaint};

use outline::{Node, Place};

/// Something wrong with a definition, at a place such as `compute.numerator.measure.where`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub path: String,
    pub reason: String,
    /// What to do about it, where that is more than to look at how definitions are written.
    pub hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into(), hint: None }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A fault with the place in the file where it stands.
pub(crate) struct Placed {
    pub place: Option<Place>,
    pub reason: String,
    pub hint: Option<String>,
}

/// Whether a text has the structure of a definition, as the published schema says it. What is no YAML at all is left to [`read`].
pub(crate) fn structure(text: &str) -> Result<(), Placed> {
    let Ok(node) = serde_saphyr::from_str::<Node>(text) else { return Ok(()) };
    schema::fits(&node).map_err(|(place, fault)| Placed { place: Some(place), reason: fault.reason, hint: fault.hint })
}

/// Reads a definition.
pub(crate) fn read(text: &str) -> Result<Definition, Placed> {
    let refused = match serde_saphyr::from_str::<Definition>(text) {
        Ok(definition) => return Ok(definition),
        Err(error) => error,
    };
    structure(text)?;
    // No YAML at all, or something that only serde minds.
    let Complaint { line, column, reason, hint } = yaml::complaint(&refused, text);
    Err(Placed { place: Some(Place { line, column }), reason, hint })
}

/// The place at which a fault stands, or the nearest one above it in the structure.
pub(crate) fn placed(text: &str, fault: Fault) -> Placed {
    Placed { place: outline::place_of(text, &fault.path), reason: fault.reason, hint: fault.hint }
}
