"""Loading the deals: one CSV file of the export to typed, compressed Parquet.

The same file for everybody, with every column typed. What dealframe does beyond that is said in the notes.
"""

import os

import dealframe
import markdown
from facts import column
from fail import Failed
from measure import Entry, in_turn
from work import Section, empty

NOTES = """Fairness: the peers are told the type of every column and write one Parquet file, zstd at level 1 as dealframe's.
dealframe finds out by itself what the file is and what its columns mean. It refuses nothing silently (every record is loaded,
rejected with its place, or a duplicate), finds records that come twice, hashes the file to recognise it, sorts rows by date
into buckets by key, keeps unknown columns and the line of every row, and makes files and log durable with fsync; the peers
write to the page cache. Peak memory is that of the process, as the operating system counts it."""


def measure(context):
    export = context.data.opportunities
    with open(export, "rb") as file:
        while file.read(1 << 22):
            pass
    lake = os.path.join(context.folder("dealframe ingest"), "lake")
    entries = [Entry("dealframe", [context.binary, "ingest", export, "--lake", lake],
                     before=lambda: empty(lake), check=lambda: _check_own(context, lake))]
    for peer in context.peers:
        command, folder = context.task(peer, "ingest", lambda folder, peer=peer: peer.ingest(export, folder))

        def check(peer=peer, folder=folder):
            _check_peer(context, peer, os.path.join(folder, "deals.parquet"))

        entries.append(Entry(peer.TITLE, command, before=lambda folder=folder: empty(folder), check=check))
    in_turn(entries, context.runs, context.talk)
    for entry in entries:
        entry.before()
    return _section(context, export, entries)


def _check_own(context, lake):
    rows = dealframe.rows(dealframe.call([context.binary, "tables", "--lake", lake, "--format", "csv"])[0])
    loaded = next((int(row["rows"]) for row in rows if row["table"] == "deals"), 0)
    _refuse_other_count("dealframe", loaded, context.data.deals)


def _check_peer(context, peer, path):
    _refuse_other_count(peer.TITLE, len(column(path, "IsDeleted")), context.data.deals)


def _refuse_other_count(name, found, expected):
    if found != expected:
        raise Failed(f"{name} loaded {found:,} of {expected:,} deals", "its time means nothing until that is settled")


def _section(context, export, entries):
    base = entries[0].median()
    size = os.path.getsize(export)
    rows = [
        [entry.name, markdown.seconds(entry.median()), markdown.ratio(entry.median(), base),
         f"{size / entry.median() / 1e6:,.0f}", f"{entry.peak():,.0f}", markdown.runs(entry)]
        for entry in entries
    ]
    section = Section(f"Loading the deals, {context.data.deals:,} records", [
        f"`Opportunity.csv`, {size / 1e6:,.0f} MB, to Parquet; every contestant loaded all records.",
        markdown.table(["contestant", "median s", "of dealframe's", "MB/s", "peak MiB", "runs s"], rows),
        NOTES,
    ])
    section.medians = {entry.name: entry.median() for entry in entries}
    return section
