"""Planning: how long dealframe thinks before it reads, as `query --explain` prints it.

80 KPIs of the catalogue x 4 grains x 20 segment sets. `query` takes one segment set, so it is asked once for each; a
report plans all its sections together, which the Rust benches of this folder time. The KPIs are the first of the
catalogue that know all the segments asked for; which ones, is found out by asking.
"""

import itertools
import re
import statistics
import subprocess

import dealframe
import markdown
from fail import Failed
from work import Section

KPIS = 80
# Without a segment, KPIs that are a breakdown would bring their own.
SEGMENTS = ["region", "country", "industry", "account_type", "team", "manager"]
SETS = 20
GRAINS = "month,quarter,year,all"


def measure(context):
    command = [context.binary, "query", "--lake", context.data.lake]
    kpis = _kpis(context, command)
    sets = list(itertools.islice(
        itertools.chain.from_iterable(itertools.combinations(SEGMENTS, size) for size in (1, 2)), SETS))
    times = []
    for segments in sets:
        for _ in range(context.runs):
            told = dealframe.call([*command, *kpis, "--by", ",".join(segments), "--grain", GRAINS, "--explain"])[0]
            found = re.search(r"planned in ([0-9.]+) ms", told)
            if not found:
                raise Failed("`query --explain` does not say how long it planned", "look at what it prints")
            times.append((segments, float(found.group(1))))
        context.talk(f"planning: {' x '.join(segments)}: {times[-1][1]:.1f} ms")
    medians = [statistics.median(time for other, time in times if other == segments) for segments in sets]
    return Section(f"Planning, {context.data.deals:,} deals", [
        f"{len(kpis)} KPIs x 4 grains, by {len(sets)} segment sets of up to two segments, each asked by itself with "
        f"`query --explain`, {context.runs} runs each.",
        markdown.table(["", "ms"], [
            ["median of the sets", f"{statistics.median(medians):.1f}"],
            ["slowest set", f"{max(medians):.1f}"],
            ["all sets together", f"{sum(medians):.1f}"],
        ]),
    ])


def _kpis(context, command):
    """KPIs that can be asked by every segment."""
    context.talk("planning: looking for KPIs that know all segments")
    listed = dealframe.rows(dealframe.call([context.binary, "kpis", "--format", "csv"])[0])
    found = []
    for row in listed:
        # The statement for another engine is made without reading data, and refuses what a question would refuse.
        asked = [[*command, row["id"], "--by", segment, "--sql", "duckdb"] for segment in SEGMENTS]
        if all(subprocess.run(one, capture_output=True).returncode == 0 for one in asked):
            found.append(row["id"])
        if len(found) == KPIS:
            break
    return found
