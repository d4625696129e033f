"""DuckDB: SQL over the fact files, through its Python package."""

from contestants import nightly_sql, opportunity

PACKAGE = "duckdb"
TITLE = "DuckDB"


def source(files):
    return "read_parquet([" + ", ".join(f"'{path}'" for path in files) + "])"


DIALECT = nightly_sql.Dialect(
    source=source,
    bucket=lambda grain, date: f"date_trunc('{grain}', {date})",
    days="close_date - created_date",
    copy=lambda query, path: f"copy ({query}) to '{path}' (header)",
    table=lambda name, query: f"create temp table {name} as {query}",
    month_start=lambda month: f"make_date({month} // 12, {month} % 12 + 1, 1)",
)


def nightly(facts, out):
    return {way: {"statements": nightly_sql.statements(DIALECT, way, facts, out)} for way in nightly_sql.WAYS}


def scan(facts):
    greatest = ", ".join(f"max({name})" for name in nightly_sql.COLUMNS)
    return {"statements": [f"select {greatest} from {source(facts.files)}"]}


def adhoc(facts, question, out):
    return {"statements": [DIALECT.copy(question.sql(DIALECT, facts), f"{out}/adhoc.csv")]}


def ingest(csv, out):
    columns = ", ".join(f"'{name}': '{opportunity.SQL[kind]}'" for name, kind in opportunity.columns(csv))
    query = f"select * from read_csv('{csv}', header = true, delim = ',', quote = '\"', columns = {{{columns}}})"
    return {"statements": [
        f"copy ({query}) to '{out}/deals.parquet' (format parquet, compression zstd, compression_level 1)"
    ]}


def start():
    return {"statements": []}


def run(task):
    import duckdb
    connection = duckdb.connect()
    for statement in task["statements"]:
        connection.execute(statement)
