"""Starting up: what a contestant needs before it does anything for anybody."""

import markdown
from measure import Entry, in_turn
from work import Section


def measure(context):
    entries = [
        Entry("dealframe --version", [context.binary, "--version"]),
        Entry("dealframe kpis (reads and prints the whole catalogue)", [context.binary, "kpis"]),
    ]
    for peer in context.peers:
        command, _ = context.task(peer, "startup", lambda folder, peer=peer: peer.start())
        entries.append(Entry(f"Python, importing {peer.PACKAGE} and connecting", command))
    in_turn(entries, context.short_runs, context.talk)
    rows = [[entry.name, markdown.milliseconds(entry.percentile(50)), markdown.milliseconds(entry.percentile(95)),
             f"{entry.peak():,.0f}"] for entry in entries]
    return Section("Starting up", [
        f"Whole processes, {context.short_runs} runs each.",
        markdown.table(["process", "p50 ms", "p95 ms", "peak MiB"], rows),
    ])
