"""The list, form and details page that every admin view builds on: our templates, our CSRF token, no COUNT."""

from typing import Any
from uuid import UUID

from flask import abort, flash, request
from flask_admin.babel import Translations
from flask_admin.contrib.sqla import ModelView
from flask_admin.form import BaseForm, SecureForm
from flask_wtf import FlaskForm
from sqlalchemy import inspect

from leadapp.admin.guard import Guarded
from leadapp.extensions import Model, db

PLAIN = {
    "Not a valid choice.": "Choose one of these.",
    "Not a valid integer value.": "Write a whole number.",
    "Not a valid datetime value.": "Write a day and a time.",
}


class PlainWords(Translations):  # type: ignore[misc]
    """What the library says of a field, as we would."""

    def gettext(self, string: str) -> Any:
        return super().gettext(PLAIN.get(string, string))


class DeskForm(SecureForm):  # type: ignore[misc]
    """Flask-Admin's form with Flask-WTF's token, the one that the whole app checks."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        def get_translations(self, form: BaseForm) -> Any:  # noqa: ARG002 - the library's signature
            return PlainWords()


class DeskView(Guarded, ModelView):  # type: ignore[misc]
    """A read-only list of one table, newest first, twenty-five rows a page; a view opens what it needs."""

    form_base_class = DeskForm
    form = DeskForm  # without fields: the library would derive two from the columns for each view, at every start
    can_create = False
    can_edit = False
    can_delete = False
    can_export = False
    can_view_details = True
    simple_list_pager = True
    named_filter_urls = True
    page_size = 25
    can_set_page_size = True
    page_size_options = (25, 50, 100)
    column_display_actions = False
    column_display_pk = False
    list_template = "admin/model/list.html"
    create_template = "admin/model/create.html"
    edit_template = "admin/model/edit.html"

    title = ""
    intro = ""
    empty_title = "Nothing here yet"
    empty_words = ""
    search_hint = ""
    create_words = "Add"
    link_column = 0
    export_columns: tuple[tuple[str, str], ...] = ()

    def __init__(self, model: type[Model], endpoint: str, url: str = "") -> None:
        super().__init__(model, db, name=self.title, endpoint=endpoint, url=url or endpoint)

    # What the list template asks for
    def filter_fields(self) -> list[dict[str, Any]]:
        """Each filter as a form field: its name in the address, its kind, its options, what is chosen now."""
        chosen = {arg.partition("_")[2]: value for arg, value in request.args.items() if arg.startswith("flt")}
        fields = []
        for index, found in enumerate(self._filters or ()):
            key = self.get_filter_arg(index, found)
            value = chosen.get(key, "")
            shown = dict(found.choices()).get(value, value) if found.kind == "select" else value
            fields.append({"filter": found, "name": f"flt{index}_{key}", "value": value, "shown": shown})
        return fields

    def link_to(self, row: Any) -> str | None:
        """Where a row leads; None when this person may not go there."""
        return str(self.get_url(".details_view", id=self.get_pk_value(row))) if self.can_view_details else None

    def first_step(self) -> tuple[str, str] | None:
        """What fills an empty list: the words and the address of a button."""
        return (self.create_words, str(self.get_url(".create_view"))) if self.can_create else None

    def called(self, row: Any) -> str:
        """The row in a few words, for those who hear the box that chooses it."""
        return str(row)

    def is_action_allowed(self, name: str) -> bool:  # noqa: ARG002 - the library's signature
        """None, unless a view says so: the library's own would delete rows."""
        return False

    # What the library would do differently
    def _get_list_extra_args(self) -> Any:
        """PostgreSQL refuses NUL in a text; nobody looks for one."""
        found = super()._get_list_extra_args()
        return found.clone(search=found.search.replace("\0", "")) if found.search else found

    def get_list(self, page: int | None, *args: Any, **kwargs: Any) -> Any:
        """A page number out of a crawler's hands must not become an OFFSET that the database refuses."""
        return super().get_list(max(0, min(page or 0, 1_000_000)), *args, **kwargs)

    def _get_list_filter_args(self) -> Any:
        """The library's, but an empty field of the filter form filters nothing and is no mistake."""
        found = []
        for arg, value in request.args.items():
            position, _, key = arg.removeprefix("flt").partition("_")
            if not arg.startswith("flt") or not value or key not in (self._filter_args or {}):
                continue
            index, chosen = self._filter_args[key]
            if chosen.validate(value):
                found.append((position, (index, chosen.name, value)))
            else:
                flash(f"“{value[:40]}” does not fit the filter “{chosen.name}”, so it was left out.", "info")
        return [chosen for _, chosen in sorted(found, key=lambda pair: pair[0])]

    def get_one(self, id: Any) -> Any:
        return db.session.get(self.model, key) if (key := self.typed_key(id)) is not None else None

    def typed_key(self, text: str) -> Any:
        """The primary key as its column wants it; None when the text cannot be one."""
        kind = inspect(self.model).primary_key[0].type.python_type
        try:
            key = kind(text)
        except (ValueError, TypeError):
            return None
        return key if isinstance(key, UUID) or -(2**31) < key < 2**31 else None

    def details_row(self) -> Any:
        """The row that `?id=` names, or a 404."""
        return self.get_one(request.args.get("id", "")) or abort(404)

    def may_export(self) -> bool:
        return False

    def export_value(self, row: Any, name: str) -> object:
        return getattr(row, name)
