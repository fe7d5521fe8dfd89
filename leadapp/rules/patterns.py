"""Regular expressions that people write, run on what visitors write: whole values, and never for long."""

from time import thread_time
from typing import Any

import regex

LONGEST = 500
ONE_MATCH = 0.05  # seconds
ALL_MATCHES = 0.25  # of one lead
TRIES = 5
MOST_LETTERS = 20_000  # that a match may be told to have; the library writes counted repeats out
_PROBES = 12
_PROBE_LENGTH = 48
_HIDING = r"\(\?(?:#|[A-Za-z01]*x)"  # a comment, or the flag x: a repeat behind either would not be counted
_ATOM = regex.compile(rf"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{{(\d+)(?:,(\d*))?\}}|{_HIDING}|.", regex.DOTALL)


class Patience:
    """What is left of the processor's time that one lead's patterns may take together."""

    def __init__(self, seconds: float = ALL_MATCHES) -> None:
        self.until = thread_time() + seconds

    def for_one(self) -> float:
        return min(ONE_MATCH, self.until - thread_time())


def compiled(text: str) -> Any:
    r"""The pattern; ValueError says what is wrong with it. `\d` and `\w` mean ASCII, unless it begins with (?u)."""
    if len(text) > LONGEST:
        raise ValueError(f"the pattern is longer than {LONGEST} letters")
    if _size(text) > MOST_LETTERS:
        raise ValueError("its counted repeats, as in {1000}, multiply to too much")
    is_unicode = text.startswith("(?u)")
    if not is_unicode and (r"\p{" in text or r"\P{" in text):
        raise ValueError(r"\p{...} needs (?u) at the beginning of the pattern")
    try:
        pattern = regex.compile(text, regex.UNICODE if is_unicode else regex.ASCII)
    except (regex.error, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"the pattern cannot be read ({error})") from error
    _try_out(pattern, text)
    return pattern


def _size(text: str) -> int:
    """How many letters the pattern asks for, with repeats inside repeats multiplied."""
    groups = [[0, 0]]  # of each open group: what it has, and of that its last part
    for atom in _ATOM.finditer(text):
        if atom[0].startswith("(?"):
            raise ValueError("write the pattern without comments, (?#...), and without the flag x")
        if atom[0] == "(":
            groups.append([0, 0])
            continue
        size = 1
        if atom[0] == ")" and len(groups) > 1:
            size = groups.pop()[0]
        elif atom[1]:
            times = max(int(atom[1][:6]), int((atom[2] or "0")[:6]))
            size = groups[-1][1] * (times - 1)
        groups[-1][0] += size
        groups[-1][1] = size if not atom[1] else size + groups[-1][1]
    return sum(total for total, _ in groups)


def _try_out(pattern: Any, text: str) -> None:
    """Long runs of one letter and a wrong end are what patterns like (a|aa)*b take for ever on.

    The end holds the pattern's own letters: a pattern whose letters are not in a text is done with it at once.
    """
    letters = dict.fromkeys([*"a1 ", *(letter for letter in text if letter.isalnum()), *"-.@"])
    patience = Patience(2 * ONE_MATCH)
    for letter in list(letters)[:_PROBES]:
        if matches(pattern, letter * _PROBE_LENGTH + f"\x00{text}", patience) is None:
            raise ValueError("the pattern takes too long on some values; write it without a repeat inside a repeat")


def matches(pattern: Any, text: str, patience: Patience) -> bool | None:
    """Whether the whole text fits; None when that could not be found out in time.

    The library counts time on the wall, so on a busy machine a match that waited for its turn is tried again.
    """
    for _ in range(TRIES):
        seconds, begun = patience.for_one(), thread_time()
        if seconds <= 0:
            return None
        try:
            return pattern.fullmatch(text, timeout=seconds) is not None
        except TimeoutError:
            if thread_time() - begun >= seconds / 2:
                return None
    return None
