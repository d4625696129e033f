"""The nightly report in SQL, for every engine that speaks it: the same measures, three ways to ask for them.

A `Dialect` holds what DuckDB, DataFusion and chDB write differently. Outputs are named and shaped alike, so that
`work.agreement` can read all of them: key columns (segments, and one column named after the grain), then measures.
Money is in the integers of the fact files. Ratios are written as well, since the report has them, but only their parts
are compared.
"""

from dataclasses import dataclass
from typing import Callable

# Segment sets of nightly.yaml; the names are those of the fact columns.
SETS = [[], ["region"], ["product"], ["source"], ["region", "product"], ["team"]]
GRAINS = ["month", "quarter", "year"]
SEGMENTS = ["region", "product", "source", "team"]
DATES = ["close_date", "created_date"]
# What the measures and keys read.
COLUMNS = [
    "close_date", "created_date", "status", "amount", "cost_amount", "region", "product", "source", "team",
    "is_first_won", "is_repeat_won", "deal_type", "loss_reason",
]
WAYS = ["query per output", "GROUPING SETS", "roll-ups by hand"]

# Base measures by date. `{won}` and `{lost}` are codes of the status, `{renewal}` a list of codes of the type.
MEASURES = {
    "close_date": {
        "revenue": "sum(amount) filter (where status = {won})",
        "deals_won": "count(*) filter (where status = {won})",
        "deals_lost": "count(*) filter (where status = {lost})",
        "won_with_amount": "count(amount) filter (where status = {won})",
        "margin": "sum(amount - cost_amount) filter (where status = {won})",
        "margin_base": "sum(amount) filter (where status = {won} and cost_amount is not null)",
        "lost_value": "sum(amount) filter (where status = {lost})",
        "cycle_won": "sum({days}) filter (where status = {won})",
        "cycle_lost": "sum({days}) filter (where status = {lost})",
        "cycle_won_rows": "count(created_date) filter (where status = {won})",
        "cycle_lost_rows": "count(created_date) filter (where status = {lost})",
        "new_customers": "count(*) filter (where is_first_won)",
        "upsell": "sum(amount) filter (where is_repeat_won)",
        "renewal": "sum(amount) filter (where status = {won} and deal_type in ({renewal}))",
        "with_reason": "count(*) filter (where status = {lost} and loss_reason <> 0)",
    },
    "created_date": {
        "deals_created": "count(*)",
        "created_won": "count(*) filter (where status = {won})",
        "created_value": "sum(amount)",
        "created_won_value": "sum(amount) filter (where status = {won})",
    },
}
# Ratios of the report, made of the measures.
RATIOS = {
    "close_date": {
        "average_deal_size": ("revenue", "won_with_amount"),
        "margin_rate": ("margin", "margin_base"),
        "win_rate": ("deals_won", "deals_won + deals_lost"),
        "win_rate_by_value": ("revenue", "revenue + lost_value"),
        "sales_cycle_mean": ("cycle_won", "cycle_won_rows"),
        "sales_cycle_lost_mean": ("cycle_lost", "cycle_lost_rows"),
        "sales_cycle_closed_mean": ("cycle_won + cycle_lost", "cycle_won_rows + cycle_lost_rows"),
        "loss_reason_coverage": ("with_reason", "deals_lost"),
    },
    "created_date": {
        "win_rate_created": ("created_won", "deals_created"),
        "win_rate_created_by_value": ("created_won_value", "created_value"),
    },
}


@dataclass(frozen=True)
class Dialect:
    """What an engine writes in its own way."""

    source: Callable[[list], str]
    bucket: Callable[[str, str], str]
    days: str
    copy: Callable[[str, str], str]
    table: Callable[[str, str], str]
    # Month number (year * 12 + month - 1) to the date the month starts on.
    month_start: Callable[[str], str]
    # `double` in the words of the engine.
    double: str = "double"


def statements(dialect, way, facts, out):
    """The statements of one way, for `facts` into the folder `out`."""
    write = {"query per output": _per_output, "GROUPING SETS": _grouping_sets, "roll-ups by hand": _by_hand}[way]
    return write(dialect, facts, out)


def measures(dialect, facts, date):
    """The measures of a date with the codes of these facts."""
    codes = facts.codes()
    return {name: text.format(days=dialect.days, **codes) for name, text in MEASURES[date].items()}


def _list(measures, keys):
    return ", ".join(keys + [f"{text} as {name}" for name, text in measures.items()])


def _with_ratios(dialect, date, query):
    ratios = ", ".join(
        f"cast({above} as {dialect.double}) / nullif({below}, 0) as {name}"
        for name, (above, below) in RATIOS[date].items()
    )
    return f"select *, {ratios} from ({query}) as measured"


def _name(segments, grain, date):
    return "-".join(["by", *segments, grain, date]) + ".csv"


def _per_output(dialect, facts, out):
    source = dialect.source(facts.files)
    result = []
    for date in DATES:
        for segments in SETS:
            for grain in GRAINS:
                bucket = dialect.bucket(grain, date)
                keys = segments + [f"{bucket} as {grain}"]
                query = (f"select {_list(measures(dialect, facts, date), keys)} from {source} "
                         f"where {date} is not null group by {', '.join([*segments, bucket])}")
                result.append(dialect.copy(_with_ratios(dialect, date, query), f"{out}/{_name(segments, grain, date)}"))
    return result


def _grouping_sets(dialect, facts, out):
    result = []
    for date in DATES:
        sets = ", ".join("(" + ", ".join([*segments, grain]) + ")" for segments in SETS for grain in GRAINS)
        buckets = ", ".join(f"{dialect.bucket(grain, date)} as {grain}" for grain in GRAINS)
        columns = ", ".join(COLUMNS)
        inner = f"select {columns}, {buckets} from {dialect.source(facts.files)} where {date} is not null"
        query = (f"select {_list(measures(dialect, facts, date), SEGMENTS + GRAINS)} from ({inner}) as bucketed "
                 f"group by grouping sets ({sets})")
        result.append(dialect.copy(_with_ratios(dialect, date, query), f"{out}/{date}.csv"))
    return result


def _by_hand(dialect, facts, out):
    """Two small tables per date, by the month numbers in the fact files; all outputs are rolled up from them."""
    result = []
    for date in DATES:
        asked = measures(dialect, facts, date)
        for name, base in [("wide", ["region", "product", "source"]), ("team", ["team"])]:
            inner = (f"select {_list(asked, [*base, f'{date}__month'])} from {dialect.source(facts.files)} "
                     f"where {date} is not null group by {', '.join([*base, f'{date}__month'])}")
            start = dialect.month_start(f"{date}__month")
            query = f"select {', '.join([*base, *asked])}, {start} as period from ({inner}) as counted"
            result.append(dialect.table(f"{name}_{date}", query))
        for segments in SETS:
            table = f"team_{date}" if segments == ["team"] else f"wide_{date}"
            for grain in GRAINS:
                bucket = dialect.bucket(grain, "period")
                sums = {name: f"sum({name})" for name in asked}
                query = (f"select {_list(sums, [*segments, f'{bucket} as {grain}'])} from {table} "
                         f"group by {', '.join([*segments, bucket])}")
                result.append(dialect.copy(_with_ratios(dialect, date, query), f"{out}/{_name(segments, grain, date)}"))
    return result
