"""The filters above a list; each is a plain select or date field of a GET form."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from flask_admin.contrib.sqla.filters import BaseSQLAFilter
from sqlalchemy import bindparam

Options = Iterable[tuple[str, str]]


def said(column: Any, value: Any) -> Any:
    """The value written into the statement, for the few that a select offers.

    PostgreSQL then knows it while it plans: a rare value gets its partial index, a common one the plain order.
    """
    return bindparam(None, value, type_=column.type, literal_execute=True)


class Choice(BaseSQLAFilter):  # type: ignore[misc]
    """One of a few values."""

    kind = "select"

    def __init__(self, column: Any, name: str, options: Options | Callable[[], Options]) -> None:
        super().__init__(column, name)
        self.given = options  # the library would ask the database for them while the app is still being made

    def choices(self) -> list[tuple[str, str]]:
        return list(self.given() if callable(self.given) else self.given)

    def validate(self, value: str) -> bool:
        return value in {key for key, _ in self.choices()}

    def apply(self, query: Any, value: str, alias: Any = None) -> Any:
        return query.filter(self.get_column(alias) == said(self.get_column(alias), self.typed(value)))

    def typed(self, value: str) -> Any:
        return value

    def operation(self) -> str:
        return "is"


class YesNo(Choice):
    """A boolean column; the words say what yes and no mean."""

    def __init__(self, column: Any, name: str, yes: str, no: str) -> None:
        super().__init__(column, name, (("yes", yes), ("no", no)))

    def typed(self, value: str) -> bool:
        return value == "yes"


class Folder(YesNo):
    """A boolean column shown as tabs above the list, not as a field; `all` opens every folder at once."""

    kind = "tab"

    def __init__(self, column: Any, name: str) -> None:
        super().__init__(column, name, "only", "without")

    def validate(self, value: str) -> bool:
        return value in ("yes", "no", "all")

    def apply(self, query: Any, value: str, alias: Any = None) -> Any:
        return query if value == "all" else super().apply(query, value, alias)


class NumberChoice(Choice):
    """The id of a row, picked by name."""

    def typed(self, value: str) -> int:
        return int(value)


class Since(BaseSQLAFilter):  # type: ignore[misc]
    """From the start of this UTC day."""

    kind = "date"

    def clean(self, value: str) -> datetime:
        day = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        if not 2000 <= day.year <= 2999:
            raise ValueError("no day on which a lead came in")
        return day

    def apply(self, query: Any, value: datetime, alias: Any = None) -> Any:
        return query.filter(self.get_column(alias) >= value)

    def operation(self) -> str:
        return "from"


class Until(Since):
    """To the end of this UTC day."""

    def apply(self, query: Any, value: datetime, alias: Any = None) -> Any:
        return query.filter(self.get_column(alias) < value + timedelta(days=1))

    def operation(self) -> str:
        return "to"


class Exactly(BaseSQLAFilter):  # type: ignore[misc]
    """A value that only links carry, such as a status code or an id; shown as a removable word, not as a field."""

    kind = "hidden"

    def clean(self, value: str) -> Any:
        return value.replace("\0", "")

    def apply(self, query: Any, value: Any, alias: Any = None) -> Any:
        return query.filter(self.get_column(alias) == value)

    def operation(self) -> str:
        return "is"


class BeginsWith(Exactly):
    """The beginning of a text, which only links carry."""

    def apply(self, query: Any, value: Any, alias: Any = None) -> Any:
        return query.filter(self.get_column(alias).startswith(value, autoescape=True))

    def operation(self) -> str:
        return "begins"


class ExactlyNumber(Exactly):
    """A number that only links carry."""

    def clean(self, value: str) -> int:
        number = int(value)
        if abs(number) > 2**31 - 1:
            raise ValueError("no column holds this")
        return number


def named(kind: type[StrEnum], words: dict[Any, str] | None = None) -> list[tuple[str, str]]:
    """The words of an enum as options."""
    return [(str(word), (words or {}).get(word) or str(word).replace("_", " ").lower()) for word in kind]
