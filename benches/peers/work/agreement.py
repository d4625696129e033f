"""Whether the contestants computed the same: every base measure of every cell of the nightly report, exactly.

dealframe's cells come from its tidy CSV files, as values, numerators and denominators; the peers' from theirs, where
a row belongs to the segment set and the grain whose columns are filled. A cell that one side does not have counts 0,
since dealframe writes empty periods and the peers cannot.
"""

import csv
import glob
import os
from decimal import Decimal

from contestants.nightly_sql import GRAINS, MEASURES, SEGMENTS
from fail import Failed

# Money in the fact files is in ten-thousandths.
SCALE = 10_000
# Base measure of the peers: the KPI, the field of its row, and the scale.
SHOWN = {
    "revenue": ("revenue", "value", SCALE),
    "deals_won": ("deals_won", "value", 1),
    "deals_lost": ("deals_lost", "value", 1),
    "won_with_amount": ("average_deal_size", "denominator", 1),
    "margin": ("gross_margin", "value", SCALE),
    "margin_base": ("margin_rate", "denominator", SCALE),
    "lost_value": ("lost_value", "value", SCALE),
    "cycle_won": ("sales_cycle_mean", "numerator", 1),
    "cycle_lost": ("sales_cycle_lost_mean", "numerator", 1),
    "cycle_won_rows": ("sales_cycle_mean", "denominator", 1),
    "cycle_lost_rows": ("sales_cycle_lost_mean", "denominator", 1),
    "new_customers": ("new_customers", "value", 1),
    "upsell": ("upsell_revenue", "value", SCALE),
    "renewal": ("renewal_revenue", "value", SCALE),
    "with_reason": ("loss_reason_coverage", "numerator", 1),
    "deals_created": ("deals_created", "value", 1),
    "created_won": ("win_rate_created", "numerator", 1),
    "created_value": ("win_rate_created_by_value", "denominator", SCALE),
    "created_won_value": ("win_rate_created_by_value", "numerator", SCALE),
}
KEYS = SEGMENTS + GRAINS


def of_dealframe(folder):
    """Cells of a report: (keys, measure) to an integer, without those that are 0."""
    fields = {}
    for measure, (kpi, name, scale) in SHOWN.items():
        fields.setdefault(kpi, []).append((measure, name, scale))
    cells = {}
    for path in glob.glob(os.path.join(folder, "*.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            segments = [name for name in rows.fieldnames if name in SEGMENTS]
            for row in rows:
                # A null segment is the empty text, in the peers' cells as well.
                key = tuple((name, row[name]) for name in segments) + ((row["grain"], row["period_start"]),)
                for measure, name, scale in fields.get(row["kpi"], []):
                    value = Decimal(row[name] or 0) * scale
                    if value:
                        cells[key, measure] = int(value)
    return cells


def of_peer(folder, facts):
    """Cells of a peer, with codes turned into labels."""
    cells = {}
    measures = {name for asked in MEASURES.values() for name in asked}
    for path in glob.glob(os.path.join(folder, "*.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            keys = [name for name in KEYS if name in rows.fieldnames]
            asked = [name for name in rows.fieldnames if name in measures]
            for row in rows:
                key = tuple(
                    (name, facts.label(name, int(row[name])) if name in SEGMENTS else row[name][:10])
                    for name in keys if row[name] not in ("", "\\N")
                )
                for measure in asked:
                    if row[measure] not in ("", "\\N", "0"):
                        cells[key, measure] = int(Decimal(row[measure]))
    return cells


def refuse_difference(name, own, other):
    """Ends the comparison at the first cells that differ."""
    different = [key for key in own.keys() | other.keys() if own.get(key, 0) != other.get(key, 0)]
    if different:
        examples = "\n".join(
            f"{key[1]} of {dict(key[0])}: dealframe {own.get(key, 0)}, there {other.get(key, 0)}"
            for key in sorted(different, key=str)[:5]
        )
        raise Failed(f"{name}: disagrees with dealframe on {len(different):,} of {len(own):,} cells\n{examples}",
                     "one of them computes something else; the times mean nothing until that is settled")
