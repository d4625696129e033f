"""Markdown: tables with aligned columns, and figures in a form that can be compared by eye."""


def table(header, rows):
    """A table; the first column is text, the others are figures."""
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row):
        padded = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(
        "-" * (width + 2) if column == 0 else "-" * (width + 1) + ":" for column, width in enumerate(widths)
    ) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])


def seconds(value):
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def milliseconds(value):
    return f"{value * 1e3:.1f}"


def ratio(value, base):
    return f"{value / base:.2f} x"


def runs(entry):
    return ", ".join(seconds(value) for value in entry.seconds())


def count(number):
    return f"{number:,}"
