"""Lists that stay quick at a million rows: newest first, pages by cursor, no count and no OFFSET."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response, abort, g, request, stream_with_context
from flask_admin import expose
from sqlalchemy import literal, tuple_

from leadapp import clock
from leadapp.accounts import guard
from leadapp.admin import export
from leadapp.admin.listing import DeskView

EXPORT_SLICE = 500


@dataclass(frozen=True)
class Cursor:
    """A row's place in the list, as an address carries it: `2026-11-22T10:41:07.123456Z_<id>`."""

    at: datetime
    key: Any

    def __str__(self) -> str:
        return f"{self.at.isoformat().replace('+00:00', 'Z')}_{self.key}"

    @classmethod
    def read(cls, text: str, key_type: type) -> "Cursor | None":
        """None when somebody made it up."""
        at, _, key = text.partition("_")
        try:
            moment, found = datetime.fromisoformat(at), key_type(key)
        except (ValueError, TypeError, OverflowError):
            return None
        fits = moment.tzinfo is not None and 1970 < moment.year < 9000
        return cls(moment, found) if fits and (isinstance(found, UUID) or abs(found) < 2**63) else None


@dataclass(frozen=True)
class Part:
    """Some rows of a list that is in the order of `columns`: the `size` next ones beyond `cursor`, or the first."""

    columns: tuple[Any, Any]
    size: int
    cursor: Cursor | None = None
    is_newest_first: bool = True

    def of(self, query: Any) -> Any:
        return self.ordered(self.beyond(query)).limit(self.size)

    def ordered(self, query: Any) -> Any:
        return query.order_by(*(column.desc() if self.is_newest_first else column.asc() for column in self.columns))

    def beyond(self, query: Any) -> Any:
        if self.cursor is None:
            return query
        at, key = self.columns
        place = tuple_(literal(self.cursor.at, at.type), literal(self.cursor.key, key.type))
        row = tuple_(at, key)
        return query.filter(row < place if self.is_newest_first else row > place)


@dataclass(frozen=True)
class Pager:
    """The addresses of the next pages; "" when there is none."""

    newer: str = ""
    older: str = ""


class KeysetView(DeskView):
    """A list in the order of `cursor_columns`, a time and the primary key; both stand at the end of its indexes."""

    cursor_columns: tuple[Any, Any]
    column_sortable_list = ()
    column_default_sort = None

    def narrowed(self, filters: Sequence[Any] | None) -> Any:
        """The rows that fit the filters, in no order."""
        query = self.get_query()
        for index, _, value in filters or ():
            found = self._filters[index]
            query = found.apply(query, found.clean(value))
        return query

    def rows(self, query: Any, words: str, part: Part) -> list[Any]:  # noqa: ARG002 - for a view with a search box
        """The rows of a page."""
        return list(part.of(query))

    def searched(self, query: Any, words: str) -> Any:  # noqa: ARG002
        """All rows that a search finds, in no order."""
        return query

    def get_list(self, page: int | None, *args: Any, page_size: int | None = None, **_: Any) -> Any:  # noqa: ARG002
        """One page: the library's page number and sorting are not ours, the cursor stands in the address."""
        size = page_size or self.page_size
        query, words = self.narrowed(args[3]), (args[2] or "").strip()
        after = self._cursor("after")
        if after:
            part = Part(self.cursor_columns, size, after, is_newest_first=False)
            rows = self.rows(query, words, part)[::-1]
            if len(rows) == size:  # a page that is not full is the first one: shown whole from its top
                g.pager = Pager(self._url("after", rows[0]), self._url("before", rows[-1]))
                return None, rows
        before = None if after else self._cursor("before")
        found = self.rows(query, words, Part(self.cursor_columns, size + 1, before))
        rows = found[:size]
        newer = self._url("after", rows[0]) if before and rows else ""
        g.pager = Pager(newer, self._url("before", rows[-1]) if len(found) > size else "")
        return None, rows

    def _cursor(self, name: str) -> Cursor | None:
        kind = self.cursor_columns[1].type.python_type
        return Cursor.read(request.args.get(name, ""), kind)

    def _url(self, name: str, row: Any) -> str:
        place = Cursor(*(getattr(row, column.key) for column in self.cursor_columns))
        kept = {key: value for key, value in request.args.items() if key not in ("before", "after", "page")}
        return str(self.get_url(".index_view", **kept, **{name: str(place)}))

    def pager(self) -> Pager:
        found: Pager = g.get("pager") or Pager()
        return found

    # Export: a cursor of the database's own, never all rows in memory
    @expose("/export/<export_type>/")
    def export(self, export_type: str) -> Any:
        if export_type not in export.WRITERS or not self.export_columns:
            abort(404)
        if not self.may_export():
            return guard.refuse()
        name = f"{self.endpoint}-{clock.now():%Y-%m-%d}.{export_type}"
        lines = export.WRITERS[export_type](self.export_columns, self._exported())
        return Response(
            stream_with_context(lines),
            headers={"Content-Disposition": f"attachment; filename={name}", "X-Accel-Buffering": "no"},
            content_type=export.TYPES[export_type],
        )

    def _exported(self) -> Iterator[list[object]]:
        """The cells of each row that the list would show, all pages of it."""
        given = self._get_list_extra_args()
        query, words = self.narrowed(given.filters), (given.search or "").strip()
        found = self.searched(query, words) if words else query
        for row in Part(self.cursor_columns, 0).ordered(found).yield_per(EXPORT_SLICE):
            yield [self.export_value(row, name) for name, _ in self.export_columns]
