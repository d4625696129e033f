//! The `dealframe` program as its users run it: arguments in, files, figures and exit codes out.
//!
//! `program` runs it and reads its answers, `lake` says what a lake holds and whether it changed. The
//! other modules are the promises, one module each. Tests on real exports run where
//! `DEALFRAME_REAL_DATA` names their folder and say so where they are skipped. Nothing here calls the
//! product's libraries for an answer that it checks; only names of tables and columns come from the model.

mod lake;
mod program;

mod bad_input;
mod conservation;
mod definitions;
mod demonstration;
mod determinism;
mod formats;
mod full_disk;
mod hints;
mod interval;
mod killed;
mod known_answers;
mod nights;
mod reports;
mod truth;
mod variants;
