"""One question at the prompt: revenue by region and month of the last 12 months, whole process, many runs.

The range is the one that dealframe answers, so that every contestant is asked the same. Peers read the fact files; they
are shown with and without what they need to start up.
"""

import csv
import datetime
import os
from dataclasses import dataclass
from decimal import Decimal

import dealframe
import markdown
from contestants import duckdb, duckdb_command
from facts import Facts
from fail import Failed
from measure import Entry, in_turn
from work import Section, empty

NOTES = """\
Fairness: peers read dealframe's fact files, whose date statistics let all of them skip files and row groups, and
write codes instead of the names of the regions. DuckDB's command line is another release than its Python package
where the package index has no newer one. p50 and p95 are measured times, by nearest rank."""


@dataclass(frozen=True)
class Question:
    """The range: first day, and first day after it."""

    first: str
    end: str

    def sql(self, dialect, facts):
        bucket = dialect.bucket("month", "close_date")
        return (f"select region, {bucket} as month, sum(amount) as revenue from {dialect.source(facts.files)} "
                f"where status = {facts.codes()['won']} and close_date >= '{self.first}' and close_date < '{self.end}' "
                f"group by region, {bucket}")


def measure(context):
    lake = context.data.lake
    command = [context.binary, "query", "revenue", "--by", "region", "--grain", "month", "--period", "last 12 months",
               "--lake", lake]
    context.talk("ad hoc: asking dealframe for the range")
    answer = dealframe.rows(dealframe.call([*command, "--format", "csv"])[0])
    months = sorted({row["period_start"] for row in answer})
    last = datetime.date.fromisoformat(months[-1])
    question = Question(months[0], str((last.replace(day=28) + datetime.timedelta(days=4)).replace(day=1)))
    facts = Facts(lake)
    facts.read_once()
    own = {(row["region"], row["period_start"]): int(Decimal(row["value"]) * 10_000)
           for row in answer if Decimal(row["value"] or 0)}
    out = os.path.join(context.folder("dealframe adhoc"), "adhoc.csv")
    # As for the peers: nothing that an earlier question left is used.
    entries = [Entry("dealframe", [*command, "--out", out], before=lambda: dealframe.forget_aggregates(lake))]
    for peer in context.peers:
        entries += _peer(context, peer, facts, question, own)
    entries.append(Entry("dealframe, again (nothing changed)", [*command, "--out", out]))
    in_turn(entries, context.short_runs, context.talk)
    return _section(context, entries)


def _peer(context, peer, facts, question, own):
    start, _ = context.task(peer, "adhoc start", lambda folder: peer.start())
    command, folder = context.task(peer, "adhoc", lambda folder: peer.adhoc(facts, question, folder))

    def check(name=peer.TITLE, folder=folder):
        _refuse_difference(name, own, os.path.join(folder, "adhoc.csv"), facts)

    entries = [
        Entry(peer.TITLE, command, before=lambda: empty(folder), check=check),
        Entry(f"{peer.TITLE}, importing it and connecting alone", start),
    ]
    if peer is duckdb and duckdb_command.path():
        cli = context.folder("duckdb command line adhoc")
        statement = peer.adhoc(facts, question, cli)["statements"][0]
        entries += [
            Entry("DuckDB command line", [duckdb_command.path(), "-c", statement], before=lambda: empty(cli),
                  check=lambda: check("DuckDB command line", cli)),
            Entry("DuckDB command line, starting alone", [duckdb_command.path(), "-c", "select 1"]),
        ]
    return entries


def _refuse_difference(name, own, path, facts):
    with open(path, newline="", encoding="utf-8") as file:
        found = {(facts.label("region", int(row["region"])), row["month"][:10]): int(row["revenue"])
                 for row in csv.DictReader(file) if int(row["revenue"] or 0)}
    if found != own:
        raise Failed(f"{name} and dealframe disagree on the revenue by region and month",
                     f"compare {path} with the answer of dealframe")


def _section(context, entries):
    base = entries[0].percentile(50)
    rows = [
        [entry.name, markdown.milliseconds(entry.percentile(50)), markdown.milliseconds(entry.percentile(95)),
         markdown.ratio(entry.percentile(50), base), markdown.milliseconds(entry.processor()), f"{entry.peak():,.0f}"]
        for entry in [entries[0], entries[-1], *entries[1:-1]]
    ]
    section = Section(f"One question, {context.data.deals:,} deals", [
        f"Revenue by region and month, last 12 months, {context.short_runs} runs each; the answers are equal.",
        markdown.table(["contestant", "p50 ms", "p95 ms", "of dealframe's", "processors ms", "peak MiB"], rows),
        NOTES,
    ])
    section.medians = {entry.name: entry.percentile(50) for entry in entries if "alone" not in entry.name}
    return section
