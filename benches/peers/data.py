"""The data of a size: the export, the lake, and the export of a later night. Made when absent, kept for the next time.

Everything is made beside its place and renamed, so that a run that was stopped leaves nothing half-made behind.
"""

import csv
import datetime
import json
import os
import shutil
from decimal import Decimal

import dealframe
from fail import Failed

# One record in this many changes in the later night.
CHANGED_EVERY = 100


class Data:
    """Where the data of one size lies."""

    def __init__(self, folder, deals, binary, talk):
        self.deals, self.binary, self.talk = deals, binary, talk
        self.folder = os.path.abspath(folder)
        self.csv = os.path.join(self.folder, f"csv-{deals}")
        self.opportunities = os.path.join(self.csv, "Opportunity.csv")
        self.lake = os.path.join(self.folder, f"lake-{deals}")
        self.night = os.path.join(self.folder, f"night-{deals}")

    def make(self):
        """The export and the lake."""
        os.makedirs(self.folder, exist_ok=True)
        if not os.path.exists(self.opportunities):
            self.talk(f"making the export of {self.deals:,} deals")
            self._make(self.csv, lambda place: [
                "synth", "--deals", str(self.deals), "--seed", "1", "--source", "salesforce", "--no-history",
                "--out", place])
        if not os.path.isdir(self.lake):
            self.talk("loading it into a lake")
            self._make(self.lake, lambda place: ["ingest", self.csv, "--lake", place])

    def _make(self, place, arguments):
        partial = place + ".partial"
        shutil.rmtree(partial, ignore_errors=True)
        dealframe.call([self.binary, *arguments(partial)])
        os.rename(partial, place)

    def copy_of_lake(self, place):
        """A lake to write to, as right after the ingest. Data files never change, so they are linked."""
        shutil.rmtree(place, ignore_errors=True)

        def copy(source, target):
            if source.endswith(".parquet"):
                try:
                    os.link(source, target)
                    return
                except OSError:
                    pass
            shutil.copy2(source, target)

        # A linked data folder may itself be a symbolic link.
        shutil.copytree(os.path.realpath(self.lake), place, copy_function=copy, ignore=shutil.ignore_patterns("_facts"))

    def changed_night(self):
        """An export of the deals that changed since, and what their change does to the revenue."""
        facts = os.path.join(self.night, "changes.json")
        if not os.path.exists(facts):
            self.talk("making the export of a later night")
            partial = self.night + ".partial"
            shutil.rmtree(partial, ignore_errors=True)
            os.makedirs(partial)
            _write_changes(self.opportunities, partial)
            os.rename(partial, self.night)
        with open(facts, encoding="utf-8") as file:
            return json.load(file)


def _write_changes(source, folder):
    with open(source, newline="", encoding="utf-8") as file:
        records = csv.reader(file)
        header = next(records)
        picked = [dict(zip(header, record, strict=True))
                  for number, record in enumerate(records) if number % CHANGED_EVERY == 0]
    if not picked:
        raise Failed(f"{source} has no records", "remove its folder, so that it is made anew")
    # One day after the newest change that was seen: a newer version of each record.
    newest = max(record["SystemModstamp"] for record in picked)
    day = datetime.date.fromisoformat(newest[:10])
    modified = f"{day + datetime.timedelta(days=1)}T04:00:00.000Z"
    delta = Decimal(0)
    with open(os.path.join(folder, "Opportunity.csv"), "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for number, record in enumerate(picked):
            before = _revenue(record)
            _change(record, number % 3, day)
            record["SystemModstamp"] = modified
            delta += _revenue(record) - before
            writer.writerow(record.values())
    with open(os.path.join(folder, "changes.json"), "w", encoding="utf-8") as file:
        json.dump({"deals": len(picked), "revenue": str(delta)}, file)


def _revenue(record):
    counts = record["IsWon"] == "true" and record["IsDeleted"] == "false" and record["Amount"]
    return Decimal(record["Amount"]) if counts else Decimal(0)


def _change(record, kind, day):
    """Amount, stage or close date, in turn; a deal that is closed keeps its stage and gets a new amount instead."""
    closed = record["IsClosed"] == "true"
    close = datetime.date.fromisoformat(record["CloseDate"])
    if kind == 2:
        record["CloseDate"] = str(close + datetime.timedelta(days=-1 if closed else 30))
    elif kind == 1 and not closed:
        record.update(StageName="Closed Won", IsClosed="true", IsWon="true", Probability="100",
                      ForecastCategory="Closed", CloseDate=str(day))
    else:
        record["Amount"] = str((Decimal(record["Amount"] or 1000) * Decimal("1.05")).quantize(Decimal("0.01")))
