"""The nightly report: 24 KPIs by month, quarter and year for 6 segment sets, written as CSV by whole processes.

Peers read dealframe's own fact files. dealframe is timed twice: as on a first night, with everything forgotten that an
earlier report left for the next one, and again over the same state.
"""

import os
from dataclasses import dataclass

import dealframe
import markdown
from facts import Facts
from measure import Entry, in_turn, run
from work import Section, agreement, empty

SPEC = os.path.join(dealframe.HERE, "work", "nightly.yaml")
FIRST = "dealframe"
AGAIN = "dealframe, again (nothing changed)"
NOTES = """Fairness:

- Every contestant reads the same Parquet files: dealframe's derived fact files, sorted and with integer codes for
  segments and integers for money. That favours the peers, which would read texts and decimals from the tables
  themselves, and they are spared the labels: dealframe writes names, they write codes.
- Peers leave out the five KPIs that are made of others (growth, cumulative, year to date, moving average); dealframe
  computes and writes them. dealframe writes one row for each KPI, with numerator, denominator and row count, and the
  empty periods too; the peers write one row for each cell.
- "by hand" is what an expert writes who knows dealframe's plan: two small tables for each date by the month numbers
  in the fact files, and every output rolled up from them. The other ways are what the documentation of the peer
  teaches.
- A first night deletes `<lake>/_facts/*/aggregates` before each run. Deriving the fact files themselves is not in
  these times; the section on the second night has it.
- "Less start-up" takes off what the contestant needs to start and do nothing, measured in turn with the rest.
  "Processors" is user and system time of all threads; where others use the machine, it is the steadier figure.
- All files were read once before, so all contestants find them in the page cache."""


@dataclass(frozen=True)
class Line:
    """A line of the table."""

    entry: Entry
    # The same contestant starting up and doing nothing.
    start: Entry
    # own, peer or read
    kind: str


def report(context, lake, out):
    return [context.binary, "report", SPEC, "--lake", lake, "--out", out]


def measure(context):
    lake = context.data.lake
    out = context.folder("dealframe nightly")
    context.talk("nightly: deriving the fact files and reading them once")
    run(report(context, lake, out))
    facts = Facts(lake)
    facts.read_once()
    own = agreement.of_dealframe(os.path.join(out, "nightly"))
    lines = _own(context, lake, out, own)
    for peer in context.peers:
        lines += _peer(context, peer, facts, own)
    # Not one after the other: who finds the memory of its own kind just released has an advantage on some machines.
    lines.append(lines.pop(1))
    starts = list({id(line.start): line.start for line in lines}.values())
    in_turn([line.entry for line in lines] + starts, context.runs, context.talk)
    return _section(context, facts, own, lines)


def _own(context, lake, out, own):
    def forget():
        dealframe.forget_aggregates(lake)
        empty(out)

    def same():
        agreement.refuse_difference("an earlier run", own, agreement.of_dealframe(os.path.join(out, "nightly")))

    start = Entry("dealframe, starting up", [context.binary, "kpis"])
    command = report(context, lake, out)
    return [
        Line(Entry(FIRST, command, before=forget, check=same), start, "own"),
        Line(Entry(AGAIN, command, before=lambda: empty(out), check=same), start, "own"),
    ]


def _peer(context, peer, facts, own):
    command, _ = context.task(peer, "start", lambda folder: peer.start())
    start = Entry(f"{peer.TITLE}, starting up", command)
    lines = []
    for way in peer.nightly(facts, ""):
        command, folder = context.task(peer, way, lambda folder, way=way: peer.nightly(facts, folder)[way])
        name = f"{peer.TITLE}, {way}"

        def check(name=name, folder=folder):
            agreement.refuse_difference(name, own, agreement.of_peer(folder, facts))

        entry = Entry(name, command, before=lambda folder=folder: empty(folder), check=check)
        lines.append(Line(entry, start, "peer"))
    command, _ = context.task(peer, "scan", lambda folder: peer.scan(facts))
    lines.append(Line(Entry(f"{peer.TITLE}, merely reading the columns", command), start, "read"))
    return lines


def _section(context, facts, own, lines):
    base = lines[0].entry.median()
    own_lines = [line for line in lines if line.kind == "own"]
    ordered = own_lines + sorted(
        (line for line in lines if line.kind != "own"), key=lambda line: (line.kind, line.entry.median()))
    rows = [
        [line.entry.name, markdown.seconds(line.entry.median()), markdown.ratio(line.entry.median(), base),
         markdown.seconds(line.entry.median() - line.start.median()), markdown.seconds(line.entry.processor()),
         f"{line.entry.peak():,.0f}", markdown.runs(line.entry)]
        for line in ordered
    ]
    section = Section(f"Nightly report, {context.data.deals:,} deals", [
        f"24 KPIs x 3 grains x 6 segment sets; {facts.bytes() / (1 << 20):,.0f} MiB in {len(facts.files)} fact files. "
        f"{len(own):,} figures of every contestant were compared with dealframe's and are equal.",
        markdown.table(
            ["contestant", "median s", "of dealframe's", "less start-up s", "processors s", "peak MiB", "runs s"],
            rows),
        _summary(lines),
        NOTES,
    ])
    section.medians = {line.entry.name: line.entry.median() for line in ordered}
    return section


def _summary(lines):
    first, again = (line.entry.median() for line in lines if line.kind == "own")
    text = [f"- The report again, with nothing changed, takes {again / first:.2f} of the time of a first night."]
    for kind, words in [("peer", "The fastest peer"), ("read", "Merely reading the columns, at its fastest")]:
        entries = [line.entry for line in lines if line.kind == kind]
        if entries:
            best = min(entries, key=Entry.median)
            text.append(f"- {words} ({best.name}): {best.median() / first:.2f} of dealframe's first night, "
                        f"which takes {first / best.median():.2f} of its time.")
    return "\n".join(text)
