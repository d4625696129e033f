"""Polars: lazy frames over the fact files, through its Python package.

Two ways for the nightly report. "a lazy frame per output" is what its documentation teaches: one lazy query per output,
collected together, so that Polars may share what they have in common. "nodes by hand" is what somebody writes who knows
dealframe's plan: per date two nodes with packed integer keys and masks instead of filters, then roll-ups.
"""

from contestants import opportunity
from contestants.nightly_sql import COLUMNS, DATES, GRAINS, RATIOS, SETS

PACKAGE = "polars"
TITLE = "Polars"
EVERY = {"month": "1mo", "quarter": "1q", "year": "1y"}


def nightly(facts, out):
    shared = {"files": facts.files, "codes": facts.codes(), "out": out}
    return {
        "a lazy frame per output": {"work": "lazy", **shared},
        "nodes by hand": {"work": "by hand", **shared},
    }


def scan(facts):
    return {"work": "scan", "files": facts.files}


def adhoc(facts, question, out):
    return {
        "work": "adhoc", "files": facts.files, "codes": facts.codes(), "out": out,
        "from": question.first, "to": question.end,
    }


def ingest(csv, out):
    return {"work": "ingest", "csv": csv, "out": out, "columns": opportunity.columns(csv)}


def start():
    return {"work": "start"}


def run(task):
    import polars
    work = {"lazy": _lazy, "by hand": _by_hand, "scan": _scan, "adhoc": _adhoc, "ingest": _ingest}
    if task["work"] != "start":
        work[task["work"]](polars, task)


def _measures(pl, codes, date):
    """The base measures of a date as expressions, with masks."""
    won, lost = pl.col("status") == codes["won"], pl.col("status") == codes["lost"]
    amount, margin = pl.col("amount"), pl.col("amount") - pl.col("cost_amount")
    if date == "created_date":
        return {
            "deals_created": pl.len(),
            "created_won": won.sum(),
            "created_value": amount.sum(),
            "created_won_value": (amount * won).sum(),
        }
    days = (pl.col("close_date").cast(pl.Int32) - pl.col("created_date").cast(pl.Int32)).cast(pl.Int64)
    dated = pl.col("created_date").is_not_null()
    renewal = pl.col("deal_type").is_in([int(code) for code in codes["renewal"].split(",")])
    return {
        "revenue": (amount * won).sum(),
        "deals_won": won.sum(),
        "deals_lost": lost.sum(),
        "won_with_amount": (won & amount.is_not_null()).sum(),
        "margin": (margin * won).sum(),
        "margin_base": (amount * (won & pl.col("cost_amount").is_not_null())).sum(),
        "lost_value": (amount * lost).sum(),
        "cycle_won": (days * won).sum(),
        "cycle_lost": (days * lost).sum(),
        "cycle_won_rows": (won & dated).sum(),
        "cycle_lost_rows": (lost & dated).sum(),
        "new_customers": pl.col("is_first_won").sum(),
        "upsell": (amount * pl.col("is_repeat_won")).sum(),
        "renewal": (amount * (won & renewal)).sum(),
        "with_reason": (lost & (pl.col("loss_reason") != 0)).sum(),
    }


def _with_ratios(pl, date, frame):
    return frame.with_columns(
        (pl.sql_expr(above) / pl.when(pl.sql_expr(below) != 0).then(pl.sql_expr(below))).alias(name)
        for name, (above, below) in RATIOS[date].items()
    )


def _outputs():
    return [(date, segments, grain) for date in DATES for segments in SETS for grain in GRAINS]


def _write(frames, out):
    for (date, segments, grain), frame in zip(_outputs(), frames, strict=True):
        frame.write_csv(f"{out}/" + "-".join(["by", *segments, grain, date]) + ".csv")


def _lazy(pl, task):
    facts = pl.scan_parquet(task["files"])
    frames = [
        _with_ratios(
            pl, date,
            facts.filter(pl.col(date).is_not_null())
            .group_by(*segments, pl.col(date).dt.truncate(EVERY[grain]).alias(grain))
            .agg(**_measures(pl, task["codes"], date)),
        )
        for date, segments, grain in _outputs()
    ]
    _write(pl.collect_all(frames, engine="streaming"), task["out"])


def _by_hand(pl, task):
    facts = pl.scan_parquet(task["files"])
    # Greatest code of each segment, so that keys can be packed into one integer.
    packed = ["region", "product", "source"]
    greatest = facts.select(pl.col([*packed, "team"]).max().cast(pl.Int64)).collect(engine="streaming")
    sizes = {name: code + 1 for name, code in greatest.row(0, named=True).items()}

    def node(date, base):
        key = pl.col(f"{date}__month").cast(pl.Int64)
        for name in base:
            key = key * sizes[name] + pl.col(name).cast(pl.Int64)
        return (
            facts.filter(pl.col(date).is_not_null()).group_by(key.alias("key"))
            .agg(**_measures(pl, task["codes"], date))
        )

    def unpacked(frame, base):
        rest, columns = pl.col("key"), []
        for name in reversed(base):
            columns.append((rest % sizes[name]).alias(name))
            rest = rest // sizes[name]
        return frame.lazy().with_columns(*columns, pl.date(rest // 12, rest % 12 + 1, 1).alias("period")).drop("key")

    asked = [(date, base) for date in DATES for base in (packed, ["team"])]
    counted = pl.collect_all([node(date, base) for date, base in asked], engine="streaming")
    tables = {(date, base[-1]): unpacked(frame, base) for (date, base), frame in zip(asked, counted, strict=True)}
    frames = []
    for date, segments, grain in _outputs():
        table = tables[date, "team" if segments == ["team"] else packed[-1]]
        sums = pl.col(list(_measures(pl, task["codes"], date))).sum()
        rolled = table.group_by(*segments, pl.col("period").dt.truncate(EVERY[grain]).alias(grain)).agg(sums)
        frames.append(_with_ratios(pl, date, rolled))
    _write(pl.collect_all(frames), task["out"])


def _scan(pl, task):
    pl.scan_parquet(task["files"]).select(pl.col(COLUMNS).max()).collect(engine="streaming")


def _adhoc(pl, task):
    won = pl.col("status") == task["codes"]["won"]
    first, end = (pl.lit(task[name]).str.to_date() for name in ("from", "to"))
    (
        pl.scan_parquet(task["files"])
        .filter(won & (pl.col("close_date") >= first) & (pl.col("close_date") < end))
        .group_by("region", pl.col("close_date").dt.truncate("1mo").alias("month"))
        .agg(revenue=pl.col("amount").sum())
        .collect(engine="streaming")
        .write_csv(f"{task['out']}/adhoc.csv")
    )


def _ingest(pl, task):
    kinds = {
        "text": pl.String, "flag": pl.Boolean, "money": pl.Decimal(18, 4), "integer": pl.Int64, "date": pl.Date,
        # The reader knows no zone at the end of an instant; the text is parsed with its exact format below.
        "instant": pl.String,
    }
    instants = [name for name, kind in task["columns"] if kind == "instant"]
    (
        pl.scan_csv(task["csv"], schema={name: kinds[kind] for name, kind in task["columns"]})
        .with_columns(pl.col(instants).str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="us"))
        .sink_parquet(f"{task['out']}/deals.parquet", compression="zstd", compression_level=1)
    )
