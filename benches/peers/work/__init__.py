"""The kinds of work: one module each, with `measure(context)` that answers with a `Section`.

`agreement` is no work of its own: it refuses contestants that computed something else than dealframe did.
"""

import importlib
import json
import os
import shutil
import sys
from dataclasses import dataclass, field

import contestants
import dealframe

NAMES = ["nightly", "adhoc", "startup", "planning", "ingest", "second-night"]
CHILD = os.path.join(dealframe.HERE, "child.py")


def module(name):
    return importlib.import_module(f"work.{name.replace('-', '_')}")


@dataclass
class Section:
    """What a kind of work has to say: text and tables, and the medians that the table of growth takes up."""

    title: str
    parts: list = field(default_factory=list)
    # Contestant to median seconds, in the order of the table.
    medians: dict = field(default_factory=dict)

    def text(self):
        return "\n\n".join([f"### {self.title}", *self.parts])


@dataclass
class Context:
    """What every kind of work needs."""

    binary: str
    data: object
    peers: list
    runs: int
    short_runs: int
    scratch: str
    talk: object

    def task(self, peer, label, build):
        """The command that runs a task in a process of its own, and its empty folder for results."""
        folder = self.folder(f"{contestants.NAMES.index(peer.PACKAGE)}-{label}")
        task = os.path.join(self.scratch, os.path.basename(folder) + ".json")
        with open(task, "w", encoding="utf-8") as file:
            json.dump(build(folder), file)
        return [sys.executable, CHILD, peer.PACKAGE, task], folder

    def folder(self, label):
        folder = os.path.join(self.scratch, "".join(letter if letter.isalnum() else "-" for letter in label))
        empty(folder)
        return folder


def empty(folder):
    """Makes a folder, or makes it empty."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
