"""What the scripts that hold another engine against this product's answers have in common.

A case is a line of JSON: name, kpis, sql, columns, rows. A number with the mark `~` is a quotient
and may differ by one part in a thousand million; every other number must be the same decimal.
Order counts.
"""

import collections
import csv
import datetime
import decimal
import json
import os

TOLERANCE = 1e-9
SHOWN = 4


def same(expected, found):
    if expected is None or found is None:
        return expected is None and found is None
    if isinstance(found, datetime.date):
        return expected == found.isoformat()
    if isinstance(found, decimal.Decimal):
        if expected.startswith("~"):
            wanted = float(expected[1:])
            return abs(wanted - float(found)) <= TOLERANCE * max(1.0, abs(wanted))
        return decimal.Decimal(expected) == found
    return expected == found


def differences(case, columns, rows):
    found = []
    if columns != case["columns"]:
        found.append(f"columns {columns}, expected {case['columns']}")
    if len(rows) != len(case["rows"]):
        found.append(f"{len(rows)} lines, expected {len(case['rows'])}")
    for number, (expected, row) in enumerate(zip(case["rows"], rows)):
        if len(expected) != len(row) or not all(map(same, expected, row)):
            found.append(f"line {number + 1}: {[str(cell) for cell in row]}, expected {expected}")
    return found


def cases(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def report(engine, outcomes):
    """Prints every difference and the totals; whether there was something to compare and all of it was equal.

    An outcome is a case and its differences. Where DEALFRAME_ENGINE_REPORT names a folder, the
    numbers of statements and of equal ones by KPI are written to a file of the engine's name in it.
    """
    asked, equal, lines = collections.Counter(), collections.Counter(), 0
    failed, total = 0, 0
    for case, found in outcomes:
        total += 1
        lines += len(case["rows"])
        asked.update(case["kpis"])
        if not found:
            equal.update(case["kpis"])
            continue
        failed += 1
        print(f"{case['name']}: {len(found)} differences", flush=True)
        for text in found[:SHOWN]:
            print(f"  {text}")
    same_in_all = sum(equal[kpi] == count for kpi, count in asked.items())
    print(f"{same_in_all} of {len(asked)} KPIs are equal in every statement")
    print(f"{total - failed} of {total} statements are equal ({lines} lines)")
    folder = os.environ.get("DEALFRAME_ENGINE_REPORT")
    if folder:
        with open(os.path.join(folder, f"{engine}.csv"), "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([kpi, count, equal[kpi]] for kpi, count in sorted(asked.items()))
    return total > 0 and failed == 0
