#!/usr/bin/env python3
"""dealframe beside its peers: the same work, on the same machine, in the same run.

    python3 benches/peers/run.py --deals 1000000 10000000 --runs 5

Makes the data when it is absent, runs every contestant as a whole process, in turn, and writes Markdown to standard
output and progress to standard error. Exits with 1 when a contestant computed something else than dealframe.
README.md beside the folder says what is measured and what is fair about it.
"""

import argparse
import os
import sys
import tempfile

import contestants
import dealframe
import growth
import machine
import work
from data import Data
from fail import Failed

# Work whose time does not depend on the number of deals: done once, for the first size.
ONCE = ["startup", "planning"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--deals", type=int, nargs="+", default=[1_000_000], metavar="N", help="sizes")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="runs of each contestant (default 5)")
    parser.add_argument("--short-runs", type=int, default=20, metavar="N",
                        help="runs of what takes milliseconds: adhoc and startup (default 20)")
    parser.add_argument("--only", default=",".join(work.NAMES), metavar="WORK,...",
                        help=f"of {', '.join(work.NAMES)} (default: all)")
    parser.add_argument("--peers", default=",".join(contestants.NAMES), metavar="PEER,...",
                        help=f"of {', '.join(contestants.NAMES)} (default: all)")
    parser.add_argument("--dealframe", metavar="PATH", help="the binary (default: the release build)")
    parser.add_argument("--data", default=os.path.join(dealframe.ROOT, "target", "bench-data"), metavar="DIR",
                        help="where exports and lakes are kept (default: target/bench-data)")
    given = parser.parse_args()
    for option, names, known in [("only", given.only, work.NAMES), ("peers", given.peers, contestants.NAMES)]:
        wanted = [name for name in names.split(",") if name]
        unknown = [name for name in wanted if name not in known]
        if unknown:
            parser.error(f"--{option}: unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        setattr(given, option, wanted)
    return given


def talk(text):
    print(text, file=sys.stderr, flush=True)


def measure(given, scratch):
    binary = dealframe.find(given.dealframe)
    peers, absent = contestants.present(given.peers)
    for name in absent:
        talk(f"{name} is skipped: its Python package is not installed (pip install {name})")
    print("\n".join(machine.facts(binary, given.peers)), flush=True)
    sections = {}
    for position, deals in enumerate(sorted(given.deals)):
        data = Data(given.data, deals, binary, talk)
        data.make()
        context = work.Context(binary, data, peers, given.runs, given.short_runs, scratch, talk)
        for name in given.only:
            if name in ONCE and position > 0:
                continue
            talk(f"{name}, {deals:,} deals")
            section = work.module(name).measure(context)
            sections.setdefault(name, []).append((deals, section))
            print(f"\n{section.text()}", flush=True)
    for name, sized in sections.items():
        if len(sized) > 1:
            print(f"\n{growth.text(name, sized)}", flush=True)


def main():
    given = arguments()
    os.makedirs(given.data, exist_ok=True)
    try:
        # Beside the data, so that results and copies of lakes lie on the same disk.
        with tempfile.TemporaryDirectory(prefix="scratch-", dir=given.data) as scratch:
            measure(given, scratch)
    except Failed as failure:
        talk(f"error: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
