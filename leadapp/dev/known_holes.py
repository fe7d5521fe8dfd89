"""Asks pip-audit for known holes in the pinned packages, and reads what it skipped: skipped is not clean.

When it could look up nothing at all, the advisory service is out of reach; that is said in one loud line and is no
failure of the code. AUDIT_REQUIRED=1 makes it one, for machines that must reach it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT = 180  # seconds for the whole look-up
# Packages that the advisory service does not know, and why that is well: name -> reason.
KNOWN_SKIPPED: dict[str, str] = {}


@dataclass(frozen=True)
class Verdict:
    """What to say, and the exit status."""

    lines: Sequence[str]
    status: int


def judge(report: dict[str, Any], is_required: bool) -> Verdict:
    """pip-audit's JSON report -> what follows from it."""
    packages = report.get("dependencies", [])
    holes = [_told(package, hole) for package in packages for hole in package.get("vulns", [])]
    skipped = {package["name"] for package in packages if "skip_reason" in package}
    if holes:
        return Verdict(["Known holes:", *holes], 1)
    if not packages or len(skipped) == len(packages):
        return unreachable("it knew none of the packages", is_required)
    unknown = sorted(skipped - set(KNOWN_SKIPPED))
    if unknown:
        return Verdict([f"Not looked up, and not known to be fine: {', '.join(unknown)}"], 1)
    return Verdict([f"No known holes in {len(packages) - len(skipped)} packages."], 0)


def _told(package: dict[str, Any], hole: dict[str, Any]) -> str:
    mended = ", ".join(hole["fix_versions"]) or "no version"
    return f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}"


def unreachable(why: str, is_required: bool) -> Verdict:
    return Verdict(
        [f"!!! DEPENDENCIES NOT AUDITED: the advisory service cannot be reached ({why}) !!!"], int(is_required)
    )


def ask(requirements: str, is_required: bool) -> Verdict:
    """Run pip-audit on one file of pinned requirements."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "-r", requirements, "--no-deps", "--disable-pip"]
        options = ["--format", "json", "--output", str(answer), "--progress-spinner", "off", "--timeout", "15"]
        try:
            done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return unreachable(f"no answer within {LIMIT} seconds", is_required)
        if not answer.exists():
            last = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
            return unreachable(last[:200], is_required)
        return judge(json.loads(answer.read_text()), is_required)


def main() -> int:
    verdict = ask(sys.argv[1], bool(os.environ.get("AUDIT_REQUIRED")))
    print("\n".join(verdict.lines), file=sys.stderr if verdict.status else sys.stdout)
    return verdict.status


if __name__ == "__main__":
    sys.exit(main())
