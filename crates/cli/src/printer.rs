//! The only place that writes to standard output and standard error.

use std::io::{IsTerminal as _, Write as _};

/// Writes data to standard output.
pub(crate) fn data(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Says something to people. Nobody listening is no error.
pub(crate) fn talk(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Whether people, not programs, read the data.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}
