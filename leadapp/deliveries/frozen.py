"""The body of a delivery as it was frozen, with what people ask about it later."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FrozenBody:
    """`text` are the exact bytes to be. For the customer's API: the mapping that made it, the targets it lacks."""

    text: str
    mapping_version: str = ""
    left_out: Sequence[dict[str, str]] = ()
