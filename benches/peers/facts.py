"""dealframe's fact files of the deals: where they lie, and what their codes mean.

Segments are codes there; a dictionary per segment lists the labels in the order of the codes, from 1 on, 0 is null.
"""

import glob
import os

import parquet
from fail import Failed


class Facts:
    """The newest fact table of the deals of a lake."""

    def __init__(self, lake):
        folders = [path for path in glob.glob(os.path.join(lake, "_facts", "deals-*")) if os.path.isdir(path)]
        if not folders:
            raise Failed(f"{lake}: no fact files of the deals", "run a dealframe report over the lake first")
        self.folder = os.path.abspath(max(folders, key=os.path.getmtime))
        self.files = sorted(glob.glob(os.path.join(self.folder, "part-*.parquet")))
        self._labels = {}

    def bytes(self):
        return sum(os.path.getsize(path) for path in self.files)

    def read_once(self):
        """Brings the files into the page cache, so that nobody pays for having been first."""
        for path in self.files:
            with open(path, "rb") as file:
                while file.read(1 << 22):
                    pass

    def labels(self, name):
        """Labels of a segment; the code of `labels[n]` is n + 1."""
        if name not in self._labels:
            self._labels[name] = parquet.column(os.path.join(self.folder, f"{name}.dictionary.parquet"), "label")
        return self._labels[name]

    def label(self, name, code):
        """The label of a code as a CSV file shows it; null is empty."""
        return "" if code == 0 else self.labels(name)[code - 1]

    def codes(self):
        """What the statements of the peers name by code."""
        code = {label: number for number, label in enumerate(self.labels("status"), 1)}
        renewal = [str(number) for number, label in enumerate(self.labels("deal_type"), 1) if "renew" in label.lower()]
        # No type of that kind: a code that does not occur.
        return {"won": code["won"], "lost": code["lost"], "renewal": ", ".join(renewal or ["4294967295"])}
