"""Named places where a drill may break a worker: `kill -9` here, hang there, raise somewhere else.

Without `FAULTS_FILE` in the environment (production settings refuse it) a fault point is one dictionary look-up. The
file is JSON, read anew each time so that a test can heal what it broke:

    {"before_commit": {"action": "kill", "photo": "<id>", "times": 1}}

`photo` limits a fault to one photo, `times` to so many hits (counted in files beside it, across processes).
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
    """What the action "raise" raises."""


def failpoint(name: str, *, photo: object = None) -> None:
    """Break here if a drill asks for it; otherwise do nothing."""
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
    """Take one of `times` turns; exclusive creation makes it right across processes."""
    for turn in range(times):
        try:
            path.with_name(f"{path.name}.{name}.{turn}").open("x").close()
        except FileExistsError:
            continue
        return True
    return False
