"""Runs the statements of a file of cases in DuckDB and compares the lines with the answers beside them.

One case a line: name, sql, columns, rows. A number with the mark `~` is a quotient and may differ
by one part in a thousand million; every other number must be the same decimal. Order counts.
"""

import datetime
import decimal
import json
import multiprocessing
import sys

import duckdb

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


def differences(case):
    try:
        result = CONNECTION.execute(case["sql"])
        columns = [column[0] for column in result.description]
        rows = result.fetchall()
    except duckdb.Error as error:
        return [f"DuckDB refuses: {str(error)[:600]}"]
    found = []
    if columns != case["columns"]:
        found.append(f"columns {columns}, expected {case['columns']}")
    if len(rows) != len(case["rows"]):
        found.append(f"{len(rows)} lines, expected {len(case['rows'])}")
    for number, (expected, row) in enumerate(zip(case["rows"], rows)):
        if len(expected) != len(row) or not all(map(same, expected, row)):
            found.append(f"line {number + 1}: {[str(cell) for cell in row]}, expected {expected}")
    return found


def compared(line):
    case = json.loads(line)
    return case["name"], case["kpis"], len(case["rows"]), differences(case)


def connect():
    global CONNECTION
    CONNECTION = duckdb.connect()
    CONNECTION.execute("SET threads = 1")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = file.read().splitlines()
    kpis, unequal, failed, lines = set(), set(), 0, 0
    # Processes and not threads: a statement takes longer to plan than to run.
    with multiprocessing.Pool(initializer=connect) as pool:
        for name, ids, count, found in pool.imap(compared, cases, chunksize=16):
            kpis.update(ids)
            lines += count
            if found:
                failed += 1
                unequal.update(ids)
                print(f"{name}: {len(found)} differences")
                for text in found[:SHOWN]:
                    print(f"  {text}")
    print(f"{len(kpis - unequal)} of {len(kpis)} KPIs are equal in every statement")
    print(f"{len(cases) - failed} of {len(cases)} statements are equal ({lines} lines)")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
