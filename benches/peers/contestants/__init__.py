"""The peers: one module each, and what they share.

A contestant's module states the name of its Python package and what it does for each kind of work. The parent builds a
task (a small JSON file) and `child.py` runs it in a process of its own, where the package is imported for the first
time; nothing here is imported by the parent beyond the standard library. `nightly_sql` writes the statements of the
three SQL engines, `opportunity` the types of the export.
"""

import importlib
import importlib.metadata

NAMES = ["duckdb", "polars", "datafusion", "chdb"]


def version(package):
    """Version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def module(name):
    return importlib.import_module(f"contestants.{name}")


def present(wanted):
    """The modules of the wanted contestants that are installed, and the names of those that are not."""
    found = [module(name) for name in wanted if version(name)]
    return found, [name for name in wanted if not version(name)]
