"""Exports as a stream of lines, with cells that no spreadsheet takes for a formula (OWASP, "CSV Injection")."""

import csv
import io
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

FORMULA = ("=", "+", "-", "@", "|", "%", "−")
BREAKS = ("\t", "\r", "\n")


def safe_cell(value: object) -> str:
    """The text of one cell; whatever could start a formula gets a ' in front, as spreadsheets write text.

    That holds behind spaces and invisible characters and for full-width letters too. A telephone number keeps its
    plus behind the ': bare, a spreadsheet would drop it or subtract its groups.
    """
    text = "" if value is None else str(value)
    return f"'{text}" if _starts_formula(text) else text


def _starts_formula(text: str) -> bool:
    if text.startswith(BREAKS):
        return True
    # NFKC folds ＝ ＋ － ＠ into their plain forms, and the many spaces into one kind.
    folded = unicodedata.normalize("NFKC", text.lstrip()[:64]).lstrip()
    while folded and unicodedata.category(folded[0]) in ("Cf", "Cc", "Zs"):
        folded = folded[1:]
    return folded.startswith(FORMULA)


Columns = Sequence[tuple[str, str]]
Rows = Iterable[Sequence[object]]


def csv_lines(columns: Columns, rows: Rows) -> Iterator[str]:
    """A CSV that spreadsheets open, line by line."""
    yield "\ufeff" + _csv_line([title for _, title in columns])  # Excel reads UTF-8 by this mark
    for row in rows:
        yield _csv_line([safe_cell(_plain(value)) for value in row])


def json_lines(columns: Columns, rows: Rows) -> Iterator[str]:
    """One JSON array, a row at a time; values as they are, for machines."""
    opening = "[\n"
    for row in rows:
        named = {name: _plain(value) for (name, _), value in zip(columns, row, strict=True)}
        yield opening + json.dumps(named, ensure_ascii=False, default=str)
        opening = ",\n"
    yield "[]\n" if opening == "[\n" else "\n]\n"


def _plain(value: object) -> object:
    return value.strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, datetime) else value


def _csv_line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


WRITERS: dict[str, Callable[[Columns, Rows], Iterator[str]]] = {"csv": csv_lines, "json": json_lines}
TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
