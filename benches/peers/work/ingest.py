"""Loading the deals: one CSV file of the export to typed, compressed Parquet.

The same file for everybody, with every column typed. What dealframe does beyond that is said in the notes.
"""

import os
import shutil
from decimal import Decimal

import dealframe
import markdown
import parquet
from fail import Failed
from measure import Entry, in_turn
from work import Section, empty

NOTES = """\
Fairness: the peers are told the type of every column and write one Parquet file, zstd at level 1 as dealframe's
(which leaves columns of packed differences uncompressed where that saves nothing). dealframe finds out by itself what the file is and what its columns mean. It refuses nothing silently (every record
is loaded, rejected with its place, or a duplicate), finds records that come twice, hashes the file to recognise it,
sorts rows by date into buckets by key, keeps unknown columns and the line of every row, and makes files and log
durable with fsync; the peers write to the page cache. Peak memory is that of the process, as the operating system
counts it."""


def measure(context):
    export = context.data.opportunities
    with open(export, "rb") as file:
        while file.read(1 << 22):
            pass
    lake = os.path.join(context.folder("dealframe ingest"), "lake")
    expected, sizes = [], {}

    def check_own():
        expected.append(_own(context, lake))
        sizes["dealframe"] = _mebibytes(lake)
        if expected[0][0] != context.data.deals:
            raise Failed(f"dealframe loaded {expected[0][0]:,} of {context.data.deals:,} deals", "look at its rejects")

    entries = [Entry("dealframe", [context.binary, "ingest", export, "--lake", lake],
                     before=lambda: shutil.rmtree(lake, ignore_errors=True), check=check_own)]
    for peer in context.peers:
        command, folder = context.task(peer, "ingest", lambda folder, peer=peer: peer.ingest(export, folder))

        def check(peer=peer, folder=folder):
            sizes[peer.TITLE] = _mebibytes(folder)
            found = parquet.count_and_sum(os.path.join(folder, "deals.parquet"), "Amount")
            _refuse_difference(peer.TITLE, found, expected[0])

        entries.append(Entry(peer.TITLE, command, before=lambda folder=folder: empty(folder), check=check))
    in_turn(entries, context.runs, context.talk)
    for entry in entries:
        entry.before()
    return _section(context, export, entries, sizes)


def _own(context, lake):
    """Number of deals and sum of their amounts, as dealframe loaded them."""
    statement = "SELECT count(*) AS deals, sum(amount) AS amount FROM deals"
    answer = dealframe.call([context.binary, "sql", statement, "--lake", lake, "--format", "csv"])[0]
    row = dealframe.rows(answer)[0]
    return int(row["deals"]), Decimal(row["amount"])


def _refuse_difference(name, found, expected):
    if found != expected:
        raise Failed(f"{name} loaded {found[0]:,} deals worth {found[1]}, expected {expected[0]:,} worth {expected[1]}",
                     "its time means nothing until that is settled")


def _mebibytes(folder):
    return sum(os.path.getsize(os.path.join(place, name))
               for place, _, names in os.walk(folder) for name in names) / (1 << 20)


def _section(context, export, entries, sizes):
    base = entries[0].median()
    size = os.path.getsize(export)
    rows = [
        [entry.name, markdown.seconds(entry.median()), markdown.ratio(entry.median(), base),
         markdown.seconds(entry.processor()), f"{size / entry.median() / 1e6:,.0f}", f"{entry.peak():,.0f}",
         f"{sizes[entry.name]:,.0f}", markdown.runs(entry)]
        for entry in entries
    ]
    section = Section(f"Loading the deals, {context.data.deals:,} records", [
        f"`Opportunity.csv`, {size / 1e6:,.0f} MB, to Parquet; every contestant loaded the same number of records and the "
        "same total amount.",
        markdown.table(
            ["contestant", "median s", "of dealframe's", "processors s", "MB/s", "peak MiB", "written MiB", "runs s"],
            rows),
        NOTES,
    ])
    section.medians = {entry.name: entry.median() for entry in entries}
    return section
