"""What the figures were measured on: the machine, and the version of every contestant."""

import datetime
import hashlib
import os
import platform
import subprocess

import contestants
from contestants import duckdb_command


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _memory():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


def _dealframe(binary):
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    with open(binary, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:12]
    return f"{version} (binary sha256 {digest}, {os.path.getsize(binary) / (1 << 20):.0f} MiB)"


def facts(binary, names):
    """Lines of a Markdown list."""
    lines = [
        f"measured on {datetime.date.today()}",
        f"{cores()} cores ({_processor()}), {_memory():.0f} GiB of memory, {platform.system()} {platform.release()}",
        f"load average of the machine at the start: {os.getloadavg()[0]:.1f}; above 0.5, somebody else uses it",
        _dealframe(binary),
        f"Python {platform.python_version()}",
    ]
    for name in names:
        version = contestants.version(name)
        title = contestants.module(name).TITLE
        skipped = f"{title}: skipped, the Python package {name} is not installed"
        lines.append(f"{title} {version}" if version else skipped)
    if "duckdb" in names and contestants.version("duckdb"):
        found = duckdb_command.version()
        skipped = "DuckDB command line: skipped, no `duckdb` on the path"
        lines.append(f"DuckDB command line {found}" if found else skipped)
    return [f"- {line}" for line in lines]
