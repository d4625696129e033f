"""Runs one task of one contestant, in a process of its own: `child.py CONTESTANT TASK.json`."""

import json
import sys

from contestants import module

if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as file:
        task = json.load(file)
    module(sys.argv[1]).run(task)
