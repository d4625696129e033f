"""DuckDB's command line, where there is one: of the Python package duckdb-cli, or on the path."""

import importlib.util
import os
import shutil
import subprocess


def path():
    # The binary itself: what lies on the path may be a script that takes longer to start than DuckDB does.
    package = importlib.util.find_spec("duckdb_cli")
    own = os.path.join(os.path.dirname(package.origin), "duckdb") if package and package.origin else ""
    return own if os.access(own, os.X_OK) else shutil.which("duckdb")


def version():
    if not path():
        return None
    return subprocess.run([path(), "--version"], capture_output=True, text=True, check=True).stdout.strip()
