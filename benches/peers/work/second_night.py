"""The second night: 1 % of the deals changed, and the same report is wanted again.

On a copy of the lake as right after its ingest: the first report (which derives the fact files), the ingest of the
changed deals, and the report again, in this order, as often as asked. The revenue must move by exactly what the changes
say, and exactly the changed deals must be updated.
"""

import csv
import os
import statistics
from decimal import Decimal

import dealframe
import markdown
from fail import Failed
from measure import Entry, run
from work import Section, empty
from work.nightly import report

NOTES = """\
Every step is a process of its own. "First night" is the report right after an ingest, the derivation of the fact
files included; the times of the section on the nightly report are without it. The changed deals got another amount,
stage or close date, in turn. There is no peer in this table: none of them keeps anything from one night to the
next, so theirs is the time of the first night again."""


def measure(context):
    changes = context.data.changed_night()
    export = os.path.join(context.data.night, "Opportunity.csv")
    lake = os.path.join(context.folder("second night"), "lake")
    out = context.folder("second night report")
    steps = [
        Entry("first night: report, fact files derived", report(context, lake, out)),
        Entry("first night: report again, nothing changed", report(context, lake, out)),
        Entry("second night: ingest of the changed deals", [context.binary, "ingest", export, "--lake", lake]),
        Entry("second night: report", report(context, lake, out)),
        Entry("second night: report again, nothing changed", report(context, lake, out)),
    ]
    for number in range(1, context.runs + 1):
        context.data.copy_of_lake(lake)
        revenue = []
        for step in steps:
            if "report" in step.name:
                empty(out)
            step.samples.append(run(step.command))
            context.talk(f"run {number} of {context.runs}: {step.name}: {step.samples[-1].seconds:.3f} s")
            if "report" in step.name:
                revenue.append(_revenue(os.path.join(out, "nightly", "total.csv")))
        _refuse_wrong(context, lake, changes, revenue)
    empty(os.path.dirname(lake))
    return _section(context, changes, steps)


def _revenue(path):
    with open(path, newline="", encoding="utf-8") as file:
        return sum(Decimal(row["value"] or 0) for row in csv.DictReader(file)
                   if row["kpi"] == "revenue" and row["grain"] == "year")


def _refuse_wrong(context, lake, changes, revenue):
    first, first_again, second, second_again = revenue
    expected = first + Decimal(changes["revenue"])
    if (first_again, second, second_again) != (first, expected, expected):
        raise Failed(f"revenue of the second night is {second}, expected {expected} ({first} and the changes)",
                     "the times mean nothing until that is settled")
    rows = dealframe.rows(dealframe.call([context.binary, "tables", "--lake", lake, "--format", "csv"])[0])
    deals = next((int(row["rows"]) for row in rows if row["table"] == "deals"), 0)
    if deals != context.data.deals:
        raise Failed(f"{deals:,} deals after the second night, expected {context.data.deals:,}",
                     "changed deals must replace what was there")


def _section(context, changes, steps):
    base = steps[0].median()
    rows = [[step.name, markdown.seconds(step.median()), f"{step.median() / base:.1%}",
             markdown.seconds(step.processor()), f"{step.peak():,.0f}", markdown.runs(step)] for step in steps]
    both = statistics.median(
        ingest.seconds + again.seconds for ingest, again in zip(steps[2].samples, steps[3].samples, strict=True))
    rows.append(["second night: ingest and report together", markdown.seconds(both), f"{both / base:.1%}", "", "", ""])
    section = Section(f"Second night, {context.data.deals:,} deals", [
        f"{changes['deals']:,} deals changed. The revenue moved by {changes['revenue']}, as the changes say.",
        markdown.table(["step", "median s", "of the first night's report", "processors s", "peak MiB", "runs s"], rows),
        NOTES,
    ])
    section.medians = {step.name: step.median() for step in steps}
    return section
