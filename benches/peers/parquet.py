"""Reading Parquet for checks, with whichever reader is installed; nothing here is timed."""

import importlib

from fail import Failed


def column(path, name):
    """One column as a list."""
    package, reader = _reader()
    if package == "pyarrow":
        return reader.parquet.read_table(path, columns=[name]).column(name).to_pylist()
    if package == "duckdb":
        return [row[0] for row in reader.sql(f'select "{name}" from read_parquet(\'{path}\')').fetchall()]
    return reader.read_parquet(path, columns=[name])[name].to_list()


def count_and_sum(path, name):
    """Number of rows, and the sum of a column as a decimal."""
    package, reader = _reader()
    if package == "pyarrow":
        values = reader.parquet.read_table(path, columns=[name]).column(name)
        return len(values), reader.compute.sum(values).as_py()
    if package == "duckdb":
        return reader.sql(f'select count(*), sum("{name}") from read_parquet(\'{path}\')').fetchone()
    values = reader.read_parquet(path, columns=[name])[name]
    return len(values), values.sum()


def _reader():
    for package, needed in [("pyarrow", ["pyarrow.parquet", "pyarrow.compute"]), ("duckdb", []), ("polars", [])]:
        try:
            reader = importlib.import_module(package)
            for module in needed:
                importlib.import_module(module)
            return package, reader
        except ImportError:
            continue
    raise Failed("no Python package reads Parquet", "install one of pyarrow, duckdb or polars")
