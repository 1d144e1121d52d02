"""Failpoints: named places in the code where a test can kill the process, make it hang, or raise an error.

The environment variable `FAULTS_FILE` names a JSON file; production settings refuse the variable. Without it a
failpoint costs one dictionary look-up. The file is read at every failpoint, so a test can change it at any time:

    {"before_commit": {"action": "kill", "photo": "<id>", "times": 1}}

`action` is "kill", "hang" or "raise". `photo` limits it to one photo. `times` limits how often it happens; the count
is kept in files beside the JSON file, so it holds across processes.
"""

import json
import os
import signal
import time
from pathlib import Path
from typing import Final

VARIABLE: Final = "FAULTS_FILE"
HANG: Final = 3600.0


class FailpointError(Exception):
    """Raised by a failpoint with the action "raise"."""


def failpoint(name: str, *, photo: object = None) -> None:
    """Do what the faults file says for the failpoint `name`; nothing by default.

    Raises FailpointError for the action "raise".
    """
    if VARIABLE not in os.environ:
        return
    path = Path(os.environ[VARIABLE])
    try:
        wanted = json.loads(path.read_text()).get(name)
    except FileNotFoundError:
        return
    if wanted is None or wanted.get("photo") not in (None, str(photo)):
        return
    if "times" in wanted and not _take_turn(path, name, int(wanted["times"])):
        return
    if wanted["action"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif wanted["action"] == "hang":
        time.sleep(HANG)
    elif wanted["action"] == "raise":
        raise FailpointError(name)


def _take_turn(path: Path, name: str, times: int) -> bool:
    """Count one hit, safely across processes; False when `times` hits were counted before."""
    for turn in range(times):
        try:
            path.with_name(f"{path.name}.{name}.{turn}").open("x").close()
        except FileExistsError:
            continue
        return True
    return False
