"""Runs the statements of a file of cases in Spark and compares the lines with the answers beside them (see answers.py).

The statements are small and many, so what Spark does for large ones is off: partitions, adaptive plans, broadcasts,
generated code for whole stages. The rules of the language are Spark's defaults. A session that has planned some hundred
statements of this size runs out of memory, so every few dozen of them get a process of their own.
"""

import concurrent.futures
import json
import os
import subprocess
import sys

import answers

SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Plans of finished statements are kept for pages that nobody looks at, and would fill the memory.
    "spark.ui.retainedJobs": "1",
    "spark.ui.retainedStages": "1",
    "spark.sql.ui.retainedExecutions": "1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "3g",
    "spark.log.level": "ERROR",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "1000000",
}
# Statements to a process.
PART = 40


def compared(cases):
    """Every case with its differences."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(f"local[{os.cpu_count()}]").appName("dealframe")
    builder = builder.config("spark.sql.warehouse.dir", os.path.join(os.path.dirname(sys.argv[1]), "warehouse"))
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()

    def one(case):
        try:
            frame = spark.sql(case["sql"])
            return answers.differences(case, frame.columns, [tuple(row) for row in frame.collect()])
        except (PySparkException, Py4JJavaError) as error:
            return [f"Spark refuses: {str(error)[:900]}"]

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(one, cases)
    spark.stop()


def in_parts(path):
    cases = answers.cases(path)
    for start in range(0, len(cases), PART):
        part = cases[start:start + PART]
        told = subprocess.run([sys.executable, __file__, path, str(start)], stdout=subprocess.PIPE, text=True)
        lines = told.stdout.splitlines()
        if told.returncode != 0 or len(lines) != len(part):
            lines += [json.dumps(["Spark broke down"])] * (len(part) - len(lines))
        print(f"{start + len(part)} of {len(cases)} statements", file=sys.stderr, flush=True)
        yield from zip(part, map(json.loads, lines))


def main():
    path = sys.argv[1]
    if len(sys.argv) > 2:
        start = int(sys.argv[2])
        for found in compared(answers.cases(path)[start:start + PART]):
            print(json.dumps(found), flush=True)
        return 0
    return 0 if answers.report("spark", in_parts(path)) else 1


if __name__ == "__main__":
    sys.exit(main())
