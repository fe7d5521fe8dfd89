"""The one mix-in of every admin view: who may enter, by role."""

from collections.abc import Callable
from typing import Any

from flask_admin.base import Admin, Blueprint

from leadapp.accounts import guard
from leadapp.accounts.guard import Access


class Guarded:
    """`access` has no default: a view that does not say who may enter lets nobody in, and a shape test fails."""

    access: Access = frozenset()

    def is_accessible(self) -> bool:
        return guard.may(self.access)

    def inaccessible_callback(self, name: str, **kwargs: Any) -> Any:  # noqa: ARG002 - the library's signature
        return guard.refuse()

    def _run_view(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The library calls a view that raised TypeError a second time, and hides what was wrong."""
        return fn(self, *args, **kwargs)

    def create_blueprint(self, admin: Admin) -> Blueprint:
        blueprint = super().create_blueprint(admin)  # type: ignore[misc]
        blueprint.access = self.access
        return blueprint
