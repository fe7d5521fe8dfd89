"""What was done can be taken back: the notice that says so has a button, where there is a way back."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import flash

MOST_ROWS = 25  # ids that the session's cookie holds with ease; more are not taken back by one press
UNDO = "undo"


def say(said: str, address: str, **fields: Any) -> None:
    """Show `said` on the next page, with “Undo” beside it: a post of these fields to `address`."""
    pairs = [(name, one) for name, value in fields.items() for one in (value if isinstance(value, list) else [value])]
    flash(json.dumps({"said": said, "address": address, "fields": [(name, str(one)) for name, one in pairs]}), UNDO)


def say_of_rows(said: str, address: str, ids: Sequence[UUID], back: str) -> None:
    """The same for chosen rows; so many that no cookie holds them are only told of."""
    if 0 < len(ids) <= MOST_ROWS:
        say(said, address, rowid=list(ids), confirmed="yes", url=back)
    else:
        flash(said, "success")
