"""The mapping file of this machine, followed while the app runs; a broken version never replaces a good one."""

import hashlib
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from leadapp.config import ROOT
from leadapp.errors import RulesError
from leadapp.rules.mapping import AttributeMapping, read_mapping

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
TICK_SECONDS = 2.0  # the coarsest clock of a file system: two versions within it may look the same
LARGEST = 1_000_000  # bytes
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class InForce:
    """A good version of the file. `is_copy`: it came from the database, because the file is broken."""

    mapping: AttributeMapping
    text: str
    digest: str
    is_copy: bool = False


class MappingFile:
    """Looks at the file at most every LOOK_SECONDS, and reads it when its time, size or place on the disk changed.

    `in_force` is the last good version, None before there was one; `fault` is what is wrong with the file now.
    """

    def __init__(self, path: str, constants: Mapping[str, str]) -> None:
        self.path = ROOT / path  # an absolute one stays as it is
        self.in_force: InForce | None = None
        self.fault = self._reason = ""
        self._constants = constants
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._stamp: Stamp | None = None

    def look(self) -> InForce | None:
        """The last good version, after a look at the file when it is time for one."""
        with self._lock:
            if time.monotonic() - self._looked_at >= LOOK_SECONDS:
                self._follow()
                self._looked_at = time.monotonic()
            return self.in_force

    def fall_back(self, text: str) -> InForce:
        """Put a copy of an earlier version in force, until the file is good again."""
        found = InForce(read_mapping(text, self._constants), text, _digest(text), is_copy=True)
        with self._lock:
            if self.in_force is None:  # else another thread found the file good meanwhile
                self.in_force = found
                self.fault = self._in_words(self._reason)
            return self.in_force

    def _follow(self) -> None:
        try:
            stamp = _stamp(self.path)
            if stamp is not None and stamp == self._stamp:
                return
            self._stamp = stamp
            text = _read(self.path)
            self.in_force = InForce(read_mapping(text, self._constants), text, _digest(text))
            self._reason = self.fault = ""
        except RulesError as error:
            self._say(str(error))
        except OSError as error:
            self._stamp = None
            self._say(f"It cannot be read ({error.strerror or type(error).__name__}).")

    def _say(self, reason: str) -> None:
        if reason != self._reason:
            logger.error("the mapping file cannot be used", extra={"reason": reason})
        self._reason, self.fault = reason, self._in_words(reason)

    def _in_words(self, reason: str) -> str:
        then = "The last good version stays in force." if self.in_force else "Leads that need it wait."
        return f"The mapping file {self.path} cannot be used. {reason} {then}"


def _stamp(path: Path) -> Stamp | None:
    """What tells one version of a file from the next; None while it is so fresh that the next may look the same."""
    found = path.stat()
    is_fresh = time.time() - found.st_mtime < TICK_SECONDS
    return None if is_fresh else (found.st_mtime_ns, found.st_size, found.st_ino)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise RulesError(f"It is larger than {LARGEST:,} bytes.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RulesError("It is not UTF-8 text. Save it as UTF-8.", line) from None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
