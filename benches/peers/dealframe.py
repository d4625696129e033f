"""The dealframe binary: how it is found, called, and what it answers."""

import csv
import io
import os
import shutil
import subprocess

from fail import Failed

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def find(given):
    """The binary given, else the one of the release build, else the one on the path."""
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    for candidate in [given] if given else [os.path.join(target, "release", "dealframe"), shutil.which("dealframe")]:
        if candidate and os.access(candidate, os.X_OK):
            return os.path.abspath(candidate)
    raise Failed("no dealframe binary was found", "cargo build --release, or give --dealframe PATH")


def call(command):
    """Standard output and standard error of a call that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"exit code {done.returncode} of: {' '.join(command)}\n{done.stderr.strip()[-1500:]}",
                     "run it by hand")
    return done.stdout, done.stderr


def rows(text):
    """A CSV answer as dictionaries."""
    return list(csv.DictReader(io.StringIO(text)))


def forget_aggregates(lake):
    """Deletes what an earlier report left for the next one: the state of a first night."""
    folder = os.path.join(lake, "_facts")
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        shutil.rmtree(os.path.join(folder, name, "aggregates"), ignore_errors=True)


def forget_facts(lake):
    """Deletes everything that is derived: the state right after an ingest."""
    shutil.rmtree(os.path.join(lake, "_facts"), ignore_errors=True)
