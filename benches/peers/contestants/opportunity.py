"""Types of the columns of the Salesforce deal export, so that every peer loads it typed and none has to guess.

The header of the file decides which columns there are, in which order; a column that is not known here is text.
"""

import csv as reader

KINDS = {
    "IsDeleted": "flag", "IsClosed": "flag", "IsWon": "flag", "Amount": "money", "Cost__c": "money",
    "Probability": "integer", "CloseDate": "date", "CreatedDate": "instant", "SystemModstamp": "instant",
}
SQL = {
    "text": "varchar", "flag": "boolean", "money": "decimal(18,4)", "integer": "bigint", "date": "date",
    "instant": "timestamp",
}
CLICKHOUSE = {
    "text": "Nullable(String)", "flag": "Nullable(Bool)", "money": "Nullable(Decimal(18, 4))",
    "integer": "Nullable(Int64)", "date": "Nullable(Date32)", "instant": "Nullable(DateTime64(3, ''UTC''))",
}


def columns(path):
    """Names and kinds of the columns of an export, in the order of its header."""
    with open(path, newline="", encoding="utf-8") as file:
        header = next(reader.reader(file))
    return [(name, KINDS.get(name, "text")) for name in header]
