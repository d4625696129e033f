#!/usr/bin/env python3
"""The nightly report against DuckDB on the same Parquet files, in one run.

    python3 benches/peers/nightly.py --lake LAKE [--runs 3] [--dealframe PATH]

LAKE holds deals, accounts, users and products (`dealframe synth --no-history`, then `dealframe ingest`). Every
contestant writes CSV files: 24 KPIs x month, quarter, year x 6 segment sets. DuckDB reads dealframe's own fact files,
so that both have the same layout; its segments are integer codes, which favours it. It is run three ways: a query per
output, one GROUPING SETS query per date, and roll-ups by hand from two temporary tables. Derived KPIs (growth,
cumulative, moving average) are left out for DuckDB, which favours it as well. Whole processes, medians, ratios.

Needs `pip install duckdb`.
"""

import argparse
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SETS = [[], ["region"], ["product"], ["lead_source"], ["region", "product"], ["team"]]
GRAINS = ["month", "quarter", "year"]

# Base measures by date; ratios are made of them. `won` and `lost` are dictionary codes of the fact table.
CLOSED = {
    "revenue": "sum(amount) filter (status = {won})",
    "deals_won": "count(*) filter (status = {won})",
    "deals_lost": "count(*) filter (status = {lost})",
    "won_with_amount": "count(amount) filter (status = {won})",
    "margin": "sum(amount - cost_amount) filter (status = {won})",
    "margin_base": "sum(amount) filter (status = {won} and cost_amount is not null)",
    "closed_value": "sum(amount) filter (status in ({won}, {lost}))",
    "lost_value": "sum(amount) filter (status = {lost})",
    "cycle_won": "sum(close_date - created_date) filter (status = {won})",
    "cycle_lost": "sum(close_date - created_date) filter (status = {lost})",
    "cycle_won_rows": "count(created_date) filter (status = {won})",
    "cycle_lost_rows": "count(created_date) filter (status = {lost})",
    "new_customers": "count(*) filter (is_first_won)",
    "upsell": "sum(amount) filter (status = {won} and deal_type = 1)",
    "renewal": "sum(amount) filter (status = {won} and deal_type = 2)",
    "with_reason": "count(*) filter (status = {lost} and loss_reason <> 0)",
}
CREATED = {
    "deals_created": "count(*)",
    "created_won": "count(*) filter (status = {won})",
    "created_value": "sum(amount)",
    "created_won_value": "sum(amount) filter (status = {won})",
}
RATIOS = """
    revenue / nullif(won_with_amount, 0) as average_deal_size, margin / nullif(margin_base, 0) as margin_rate,
    deals_won / nullif(deals_won + deals_lost, 0) as win_rate, revenue / nullif(closed_value, 0) as win_rate_by_value,
    cycle_won / nullif(cycle_won_rows, 0) as sales_cycle_mean, cycle_lost / nullif(cycle_lost_rows, 0) as cycle_lost_mean,
    (cycle_won + cycle_lost) / nullif(cycle_won_rows + cycle_lost_rows, 0) as cycle_closed_mean,
    with_reason / nullif(deals_lost, 0) as loss_reason_coverage"""


def fact_files(lake):
    folder = max(glob.glob(os.path.join(lake, "_facts", "deals-*")), key=os.path.getmtime)
    return sorted(glob.glob(os.path.join(folder, "part-*.parquet")))[:], folder


DUCKDB = r"""
import duckdb, json, sys, time
task = json.load(open(sys.argv[1]))
connection = duckdb.connect()
connection.execute("set threads to 2")
for statement in task["statements"]:
    connection.execute(statement)
"""


def label_code(folder, domain, label):
    import duckdb
    rows = duckdb.sql(f"select label from '{folder}/{domain}.dictionary.parquet'").fetchall()
    return [row[0] for row in rows].index(label) + 1


def statements(way, files, folder, out):
    codes = {"won": label_code(folder, "status", "won"), "lost": label_code(folder, "status", "lost")}
    source = "read_parquet(" + json.dumps(files).replace('"', "'") + ")"
    closed = {name: text.format(**codes) for name, text in CLOSED.items()}
    created = {name: text.format(**codes) for name, text in CREATED.items()}

    def bucket(grain, date):
        return f"date_trunc('{grain}', {date})"

    def copy(query, name):
        return f"copy ({query}) to '{out}/{name}.csv' (header)"

    def group(measures, keys):
        select = ", ".join(keys + [f"{text} as {name}" for name, text in measures.items()])
        return select

    result = []
    if way == "query per output":
        for segments in SETS:
            for grain in GRAINS:
                name = "-".join(["total"] + segments + [grain])
                keys = segments + [f"{bucket(grain, 'close_date')} as period"]
                inner = f"select {group(closed, keys)} from {source} where close_date is not null group by all"
                result.append(copy(f"select *, {RATIOS} from ({inner})", name))
                keys = segments + [f"{bucket(grain, 'created_date')} as period"]
                result.append(copy(f"select {group(created, keys)} from {source} where created_date is not null group by all",
                                   name + "-created"))
    elif way == "grouping sets":
        for date, measures in [("close_date", closed), ("created_date", created)]:
            sets = ", ".join("(" + ", ".join(segments + [grain]) + ")" for segments in SETS for grain in GRAINS)
            times = ", ".join(f"{bucket(grain, date)} as {grain}" for grain in GRAINS)
            columns = sorted({name for segments in SETS for name in segments})
            inner = f"select *, {times} from {source} where {date} is not null"
            query = (f"select grouping({', '.join(columns + GRAINS)}) as node, {group(measures, columns + GRAINS)} "
                     f"from ({inner}) group by grouping sets ({sets})")
            result.append(copy(query, date))
    else:
        for date, measures in [("close_date", closed), ("created_date", created)]:
            for number, base in enumerate([["region", "product", "lead_source"], ["team"]]):
                keys = base + [f"{bucket('month', date)} as period"]
                result.append(f"create temp table {date}{number} as select {group(measures, keys)} from {source} "
                              f"where {date} is not null group by all")
            for segments in SETS:
                table = f"{date}1" if segments == ["team"] else f"{date}0"
                for grain in GRAINS:
                    sums = ", ".join(f"sum({name}) as {name}" for name in measures)
                    keys = ", ".join(segments + [f"date_trunc('{grain}', period) as period"])
                    query = f"select {keys}, {sums} from {table} group by all"
                    if date == "close_date":
                        query = f"select *, {RATIOS} from ({query})"
                    result.append(copy(query, "-".join(["total"] + segments + [grain, date])))
    return result


def timed(command, environment=None):
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lake", required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--dealframe", default="dealframe")
    arguments = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    work = tempfile.mkdtemp()
    # Makes the fact tables, so that every contestant finds them.
    report = [arguments.dealframe, "report", os.path.join(here, "nightly.yaml"), "--lake", arguments.lake, "--out", work + "/warm"]
    timed(report)
    files, folder = fact_files(arguments.lake)
    script = os.path.join(work, "duck.py")
    open(script, "w").write(DUCKDB)
    scan = os.path.join(work, "scan.json")
    columns = "close_date, created_date, status, amount, cost_amount, region, product, lead_source, team, is_first_won, deal_type, loss_reason"
    source = "read_parquet(" + json.dumps(files).replace('"', "'") + ")"
    sums = ", ".join(f"max({name.strip()})" for name in columns.split(","))
    json.dump({"statements": [f"select {sums} from {source}"]}, open(scan, "w"))
    contestants = {"DuckDB merely reading the columns": [sys.executable, script, scan]}
    for way in ["query per output", "grouping sets", "roll-ups by hand"]:
        out = os.path.join(work, way.replace(" ", "-"))
        os.makedirs(out)
        task = out + ".json"
        json.dump({"statements": statements(way, files, folder, out)}, open(task, "w"))
        contestants[f"DuckDB, {way}"] = [sys.executable, script, task]
    contestants["dealframe, the whole report"] = report[:-1] + [work + "/report"]
    times = {name: [] for name in contestants}
    for _ in range(arguments.runs):
        for name, command in contestants.items():
            times[name].append(timed(command))
    own = statistics.median(times["dealframe, the whole report"])
    print("| contestant | median seconds | runs | of dealframe's time |\n|---|---|---|---|")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"| {name} | {median:.2f} | {', '.join(f'{value:.2f}' for value in seconds)} | {median / own:.2f} x |")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
