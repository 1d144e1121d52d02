"""Puts faults into the code one at a time and says which test catches each: `make faults`.

`-m tools.faults --only NAME …`  only these, by the name of the fault or of the feature
`-m tools.faults --write`        write what was found into the table of docs/faults.md
`-m tools.faults --check`        only look whether each fault has its place in the code, and its test files

The faults go into a clone of the last commit in a temporary folder. The tests of a fault stop at the first failure. All
runs share one PostgreSQL: its template database is migrated once, and each run copies it instead of migrating anew.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from devtools.local_services import start_missing

ROOT: Final = Path(__file__).resolve().parent.parent
FAULTS: Final = ROOT / "tools/faults.json"
DOCUMENT: Final = ROOT / "docs/faults.md"
# `--write` writes everything from this line on.
HEADING: Final = "## Faults and the tests that catch them"
# Folders with a folder for each feature.
LARGE: Final = ("diagnoses", "recognition")
SURVIVED: Final = "SURVIVED"
NOT_RUN: Final = "not run"
# The line of pytest's summary. An error without "::" is a file that cannot be imported, and no test caught anything.
CAUGHT: Final = re.compile(r"^(?:FAILED|ERROR) (\S+?::.+?)(?: - .*)?$", re.MULTILINE)
LONGEST_RUN_S: Final = 600


@dataclass(frozen=True)
class Fault:
    """One fault: `new` replaces `old`, which occurs once in the code. `tests` are files, `k` is an option of pytest."""

    name: str
    kind: str
    old: str
    new: str
    tests: tuple[str, ...]
    k: str = ""
    survived_at_first: bool = False


def read_faults() -> list[Fault]:
    """All faults, in the order of the file."""
    return [Fault(**{**each, "tests": tuple(each["tests"])}) for each in json.loads(FAULTS.read_text())]


def read_code(root: Path) -> dict[Path, str]:
    """Every Python file of the repository at `root` outside the tests, with its text."""
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=root, capture_output=True, text=True, check=True)
    paths = [root / name for name in listed.stdout.splitlines() if not name.startswith("tests/")]
    return {path: path.read_text() for path in paths if path.is_file()}


def problems(faults: Sequence[Fault], code: Mapping[Path, str]) -> list[str]:
    """What is wrong with the list itself."""
    found = []
    for fault in faults:
        count = sum(text.count(fault.old) for text in code.values())
        if count != 1:
            found.append(f"{fault.name}: its old text is in the code {count} times, not once")
        found += [f"{fault.name}: there is no {name}" for name in fault.tests if not (ROOT / name).is_file()]
    names = [fault.name for fault in faults]
    return found + [f"{name}: two faults have this name" for name in set(names) if names.count(name) > 1]


def file_of(fault: Fault, code: Mapping[Path, str]) -> Path:
    """The file that the fault changes."""
    return next(path for path, text in code.items() if fault.old in text)


def feature_of(fault: Fault, code: Mapping[Path, str]) -> str:
    """The folder of that file: an application, or a feature of a large one."""
    folders = file_of(fault, code).relative_to(ROOT).parts[:-1]
    return "/".join(folders[:2] if folders[0] in LARGE else folders[:1])


def run(fault: Fault, scratch: Path, code: Mapping[Path, str]) -> str:
    """Put the fault into the clone, run its tests, take it out. Returns the test that caught it, or SURVIVED."""
    path = file_of(fault, code)
    text = code[path]
    path.write_text(text.replace(fault.old, fault.new))
    command = [sys.executable, "-m", "pytest", *fault.tests, "-x", "-q", "--tb=line", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            [*command, "-k", fault.k] if fault.k else command,
            cwd=scratch,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_RUN_S,
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {LONGEST_RUN_S} s"
    finally:
        path.write_text(text)
    if found := CAUGHT.search(done.stdout):
        return found[1]
    return SURVIVED if done.returncode == 0 else f"pytest ended with {done.returncode}: {done.stdout[-500:].strip()}"


def run_all(faults: Sequence[Fault]) -> dict[str, str]:
    """The result of each fault, by its name."""
    results: dict[str, str] = {}
    # Always a PostgreSQL of our own, because its template database is changed.
    for variable in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(variable, None)
    with tempfile.TemporaryDirectory(prefix="teri-faults-") as folder, start_missing(Path(folder), durable=False):
        scratch = Path(folder) / "teri"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(scratch)], check=True)
        template = urlsplit(os.environ["DATABASE_URL"])._replace(path="/template1").geturl()
        settings = {"DJANGO_SETTINGS_MODULE": "config.settings.test", "TERI_TEST_SERVERS": "1"}
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, cwd=scratch, env={**os.environ, **settings, "DATABASE_URL": template}, check=True)
        code = read_code(scratch)
        for fault in faults:
            began = time.monotonic()
            results[fault.name] = run(fault, scratch, code)
            say(f"{fault.name} ({time.monotonic() - began:.0f} s): {results[fault.name]}")
    return results


def write_table(faults: Sequence[Fault], features: Mapping[str, str], results: Mapping[str, str]) -> None:
    """Write counts and table; a fault that was not run now keeps its row."""
    before, _heading, table = DOCUMENT.read_text().partition(HEADING)
    known = {row[1]: row[2] for row in re.finditer(r"^\| (.+?) \| .* \| `?(.+?)`? \|$", table, re.MULTILINE)}
    rows = []
    caught = 0
    for fault in sorted(faults, key=lambda each: features[each.name]):
        name = fault.name.replace("_", " ")
        result = results.get(fault.name) or known.get(name, NOT_RUN)
        caught += "::" in result
        note = " (survived at first)" if fault.survived_at_first else ""
        rows.append(f"| {name} | {features[fault.name]} | {fault.kind}{note} | `{' '.join(result.split())}` |")
    at_first = sum(fault.survived_at_first for fault in faults)
    counts = f"{len(faults)} faults, {caught} caught; {at_first} survived at first, until a test was written for each."
    head = ["| Fault | Feature | Kind | Caught by |", "| --- | --- | --- | --- |"]
    DOCUMENT.write_text("\n".join([f"{before}{HEADING}", "", counts, "", *head, *rows, ""]))


def say(text: str) -> None:
    """Print one line."""
    print(text, flush=True)  # noqa: T201 - this is a command line program


def main() -> int:
    """Parse the command line; the exit status is 1 if a fault survived or the list has a problem."""
    parser = argparse.ArgumentParser(description="Put faults into the code and see which test catches each.")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="names of faults or of features")
    parser.add_argument("--check", action="store_true", help="check the list, run nothing")
    parser.add_argument("--write", action="store_true", help=f"write the table of {DOCUMENT.relative_to(ROOT)}")
    options = parser.parse_args()
    faults = read_faults()
    code = read_code(ROOT)
    if found := problems(faults, code):
        say("\n".join(found))
        return 1
    if options.check:
        return 0
    features = {each.name: feature_of(each, code) for each in faults}
    wanted = {*options.only}
    results = run_all([each for each in faults if not wanted or {each.name, features[each.name]} & wanted])
    if options.write:
        write_table(faults, features, results)
    not_caught = [name for name, result in results.items() if "::" not in result]
    say(f"{len(results)} faults were put in. Not caught: {', '.join(not_caught) or 'none'}.")
    return 1 if not_caught else 0


if __name__ == "__main__":
    sys.exit(main())
