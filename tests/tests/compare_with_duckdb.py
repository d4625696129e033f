"""Runs the statements of a file of cases in DuckDB and compares the lines with the answers beside them (see answers.py)."""

import multiprocessing
import sys

import duckdb

import answers


def compared(case):
    try:
        result = CONNECTION.execute(case["sql"])
        columns = [column[0] for column in result.description]
        return case, answers.differences(case, columns, result.fetchall())
    except duckdb.Error as error:
        return case, [f"DuckDB refuses: {str(error)[:600]}"]


def connect():
    global CONNECTION
    CONNECTION = duckdb.connect()
    CONNECTION.execute("SET threads = 1")


def main():
    # Processes and not threads: a statement takes longer to plan than to run.
    with multiprocessing.Pool(initializer=connect) as pool:
        equal = answers.report("duckdb", pool.imap(compared, answers.cases(sys.argv[1]), chunksize=16))
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
