"""What can still be read of JSON that was cut off or broken on its way: everything before the fault. Pure.

One pass over at most MOST_TOKENS tokens, so that no body costs more than its length.
"""

import re
from contextlib import suppress

from leadapp.leads.json_bodies import DEEPEST

MOST_TOKENS = 20_000
_SPACE = re.compile(r"\s*")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_HALF_A_STRING = re.compile(r'"(?:[^"\\]+|\\u[0-9a-fA-F]{4}|\\[^u])*', re.DOTALL)
_WORD = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?=[\s,\]}])|true|false|null|NaN|-?Infinity")
_CLOSERS = {"{": "}", "[": "]"}
_ESCAPED = {number: f"\\u{number:04x}" for number in range(32)}  # line ends that somebody left as they were


class _FaultError(ValueError):
    """From here on it cannot be read."""


class _Reader:
    """Walks over the text; `sound` is how far it is whole, `closers` what is open there."""

    def __init__(self, text: str):
        self.text, self.at, self.tokens = text, 0, 0
        self.open: list[str] = []
        self.sound, self.closers = 0, ""

    def read(self) -> None:
        self._value()
        while self.open:
            closer = self.open[-1]
            sign = self._next()
            if sign == closer:
                self.at += 1
                self.open.pop()
                self._is_sound()
            elif sign == ",":
                self.at += 1
                self._next()
                self._member(closer)
            else:
                raise _FaultError

    def _member(self, closer: str) -> None:
        if closer == "}":
            self._name()
        self._value()

    def _name(self) -> None:
        self._take(_STRING)
        if self._next() != ":":
            raise _FaultError
        self.at += 1

    def _value(self) -> None:
        """One value; of an object or a list only the beginning, up to its first member's end."""
        sign = self._next()
        while sign in _CLOSERS:
            self.at += 1
            self.open.append(_CLOSERS[sign])
            if len(self.open) > DEEPEST:
                raise _FaultError
            self._is_sound()
            closer = self.open[-1]
            if self._next() == closer:
                return
            if closer == "}":
                self._name()
            sign = self._next()
        if sign == '"' and not _STRING.match(self.text, self.at):
            half = _HALF_A_STRING.match(self.text, self.at)
            self.at = half.end() if half else self.at
            self._is_sound('"')
            raise _FaultError
        self._take(_STRING if sign == '"' else _WORD)
        self._is_sound()

    def _next(self) -> str:
        """The next sign that is no blank."""
        self.tokens += 1
        space = _SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at
        if self.at >= len(self.text) or self.tokens > MOST_TOKENS:
            raise _FaultError
        return self.text[self.at]

    def _take(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise _FaultError
        self.at = found.end()

    def _is_sound(self, tail: str = "") -> None:
        self.sound, self.closers = self.at, tail + "".join(reversed(self.open))


def mended(text: str) -> str:
    """The whole part of the text, everything open in it closed; "" when there is none."""
    reader = _Reader(text)
    with suppress(_FaultError):
        reader.read()
    whole = text[: reader.sound] + reader.closers
    return _STRING.sub(lambda found: found[0].translate(_ESCAPED), whole)
