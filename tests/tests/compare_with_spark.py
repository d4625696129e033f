"""Runs the statements of a file of cases in Spark and compares the lines with the answers beside them (see answers.py).

One local session for all statements. They are small and many, so what Spark does for large ones is off:
partitions, adaptive plans, broadcasts, generated code for whole stages. The rules of the language are Spark's defaults.
"""

import concurrent.futures
import os
import sys

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

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


def session():
    builder = SparkSession.builder.master(f"local[{os.cpu_count()}]").appName("dealframe")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def main():
    spark = session()

    def compared(case):
        try:
            frame = spark.sql(case["sql"])
            return case, answers.differences(case, frame.columns, [tuple(row) for row in frame.collect()])
        except (PySparkException, Py4JJavaError) as error:
            return case, [f"Spark refuses: {str(error)[:900]}"]

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        equal = answers.report("spark", pool.map(compared, answers.cases(sys.argv[1])))
    spark.stop()
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
