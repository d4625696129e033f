"""chDB (ClickHouse in the process): SQL over the fact files, through its Python package."""

from contestants import nightly_sql, opportunity

PACKAGE = "chdb"
TITLE = "chDB"
STARTS = {"month": "toStartOfMonth", "quarter": "toStartOfQuarter", "year": "toStartOfYear"}


def source(files):
    # One glob, because `file` takes no list; the dictionaries in the same folder do not match it.
    folder = files[0].rsplit("/", 1)[0]
    return f"file('{folder}/part-*.parquet', Parquet)"


def _copy(query, path):
    return f"insert into function file('{path}', CSVWithNames) {query}"


DIALECT = nightly_sql.Dialect(
    source=source,
    bucket=lambda grain, date: f"{STARTS[grain]}({date})",
    days="dateDiff('day', created_date, close_date)",
    copy=_copy,
    table=lambda name, query: f"create temporary table {name} as {query}",
    month_start=lambda month: f"makeDate32(intDiv({month}, 12), {month} % 12 + 1, 1)",
    double="Nullable(Float64)",
)
# Keys that are not part of a grouping set are null, as in the standard.
SETTINGS = ["set group_by_use_nulls = 1", "set engine_file_truncate_on_insert = 1"]


def nightly(facts, out):
    return {
        way: {"statements": SETTINGS + nightly_sql.statements(DIALECT, way, facts, out)} for way in nightly_sql.WAYS
    }


def scan(facts):
    greatest = ", ".join(f"max({name})" for name in nightly_sql.COLUMNS)
    return {"statements": [f"select {greatest} from {source(facts.files)}"]}


def adhoc(facts, question, out):
    return {"statements": SETTINGS + [_copy(question.sql(DIALECT, facts), f"{out}/adhoc.csv")]}


def ingest(csv, out):
    columns = ", ".join(f"`{name}` {opportunity.CLICKHOUSE[kind]}" for name, kind in opportunity.columns(csv))
    return {"statements": SETTINGS + [
        "set date_time_input_format = 'best_effort'",
        "set output_format_parquet_compression_method = 'zstd'",
        "set output_format_compression_level = 1",
        f"insert into function file('{out}/deals.parquet', Parquet) "
        f"select * from file('{csv}', CSVWithNames, '{columns}')",
    ]}


def start():
    return {"statements": []}


def run(task):
    from chdb import session
    connection = session.Session()
    for statement in task["statements"]:
        connection.query(statement)
    connection.close()
