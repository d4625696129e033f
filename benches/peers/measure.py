"""Times whole processes: wall time, processor time and peak memory, contestants in turn.

Run as a script it is the launcher: a process of its own, so small that the peak memory it reports is that of the
command and not of whoever started it (a child's figure begins with its parent's).
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import Callable, Optional

from fail import Failed


@dataclass
class Entry:
    """One contestant with one piece of work."""

    name: str
    command: list
    # Untimed: brings the files into the state that the work starts from.
    before: Optional[Callable[[], None]] = None
    # Untimed, after the first run: refuses a wrong result.
    check: Optional[Callable[[], None]] = None
    samples: list = field(default_factory=list)

    def seconds(self):
        return [sample.seconds for sample in self.samples]

    def median(self):
        return statistics.median(self.seconds())

    def percentile(self, percent):
        """Nearest rank: a time that was measured, not one in between."""
        ordered = sorted(self.seconds())
        return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]

    def processor(self):
        """Median of the processor time: user and system, of all threads. Others on the machine hardly change it."""
        return statistics.median(sample.processor for sample in self.samples)

    def peak(self):
        """Median of the peak memory, in MiB."""
        return statistics.median(sample.peak for sample in self.samples)


@dataclass(frozen=True)
class Sample:
    seconds: float
    processor: float
    peak: float


def run(command):
    """Runs a command to its end; a command that fails ends the comparison."""
    with tempfile.TemporaryDirectory() as folder:
        result, errors = os.path.join(folder, "result.json"), os.path.join(folder, "errors.txt")
        subprocess.run([sys.executable, "-S", os.path.abspath(__file__), result, errors, *command], check=True)
        with open(result, encoding="utf-8") as file:
            sample = json.load(file)
        if sample["code"] != 0:
            with open(errors, encoding="utf-8", errors="replace") as file:
                told = file.read().strip()[-1500:]
            raise Failed(f"exit code {sample['code']} of: {' '.join(command)}\n{told}", "run it by hand")
        return Sample(sample["seconds"], sample["processor"], sample["peak"])


def in_turn(entries, runs, talk):
    """Rounds in which every contestant runs once: what the machine does meanwhile strikes all of them.

    Each round starts with another contestant, since who runs after whom matters as well.
    """
    for number in range(1, runs + 1):
        first = (number - 1) * len(entries) // runs
        for entry in entries[first:] + entries[:first]:
            if entry.before:
                entry.before()
            sample = run(entry.command)
            entry.samples.append(sample)
            talk(f"run {number} of {runs}: {entry.name}: {sample.seconds:.3f} s, "
                 f"{sample.processor:.3f} s of processors, {sample.peak:.0f} MiB")
            if number == 1 and entry.check:
                entry.check()
    return entries


def launch(result, errors, command):
    with open(errors, "wb") as file:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    # Kibibytes, except where bytes.
    peak = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    with open(result, "w", encoding="utf-8") as file:
        json.dump({"code": process.returncode, "seconds": seconds, "processor": usage.ru_utime + usage.ru_stime,
                   "peak": peak}, file)


if __name__ == "__main__":
    launch(sys.argv[1], sys.argv[2], sys.argv[3:])
