"""DataFusion: SQL over the fact files, through its Python package."""

from contestants import nightly_sql, opportunity

PACKAGE = "datafusion"
TITLE = "DataFusion"


def _copy(query, path):
    return f"copy ({query}) to '{path}' stored as csv options ('format.has_header' 'true')"


def _days(date):
    # Dates are numbers of days, which is what a difference of two dates is not.
    return f"cast({date} as int)"


DIALECT = nightly_sql.Dialect(
    source=lambda files: "facts",
    bucket=lambda grain, date: f"date_trunc('{grain}', {date})",
    days=f"{_days('close_date')} - {_days('created_date')}",
    copy=_copy,
    table=lambda name, query: f"create table {name} as {query}",
    month_start=lambda month: f"make_date({month} / 12, {month} % 12 + 1, 1)",
)


def _facts(facts):
    return f"create external table facts stored as parquet location '{facts.folder}/part-*.parquet'"


def nightly(facts, out):
    return {
        way: {"statements": [_facts(facts), *nightly_sql.statements(DIALECT, way, facts, out)]}
        for way in nightly_sql.WAYS
    }


def scan(facts):
    greatest = ", ".join(f"max({name})" for name in nightly_sql.COLUMNS)
    return {"statements": [_facts(facts), f"select {greatest} from facts"]}


def adhoc(facts, question, out):
    return {"statements": [_facts(facts), _copy(question.sql(DIALECT, facts), f"{out}/adhoc.csv")]}


def ingest(csv, out):
    columns = ", ".join(f'"{name}" {opportunity.SQL[kind]}' for name, kind in opportunity.columns(csv))
    return {"statements": [
        f"create external table export ({columns}) stored as csv location '{csv}' "
        "options ('format.has_header' 'true')",
        f"copy (select * from export) to '{out}/deals.parquet' stored as parquet "
        "options ('format.compression' 'zstd(1)')",
    ]}


def start():
    return {"statements": []}


def run(task):
    import datafusion
    context = datafusion.SessionContext()
    for statement in task["statements"]:
        context.sql(statement).collect()
