"""`make run`: bad ports are refused, dead programs are restarted, and nothing is left running."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from devtools.launcher.__main__ import LaunchError, check_port, only_one, read_port, site_address
from devtools.launcher.preparation import static_fingerprint
from devtools.launcher.programs import one_shot_jobs, programs
from devtools.launcher.supervisor import KILL_AFTER_S
from devtools.local_services import for_tests
from devtools.local_services.paths import CheckoutPaths

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120
MARK = "TERI_LAUNCHER_TEST"

# Programs for the supervisor. The first dies twice and then stays; the second ignores SIGTERM and has a child of its
# own; the third writes text without a newline; the fourth is a one-shot job.
SUPERVISOR_PROGRAM = r"""
import sys
from pathlib import Path
from devtools.launcher.programs import Program
from devtools.launcher.supervisor import Supervisor

def program(name, code, **options):
    return Program(name, (sys.executable, "-c", code), **options)

folder = Path(sys.argv[1])
Supervisor(
    [
        program("weak", f'''
import time
from pathlib import Path
lives = Path({str(folder)!r}) / "lives"
number = len(lives.read_text()) + 1 if lives.exists() else 1
lives.write_text("x" * number)
print("life", number)
if number == 3:
    time.sleep(600)
'''),
        program("deaf", '''
import signal, subprocess, sys, time
for number in (signal.SIGTERM, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; print('grandchild', flush=True); time.sleep(600)"])
print("deaf ears", flush=True)
time.sleep(600)
'''),
        program("mute", '''
import sys, time
sys.stdout.write("no end of line"); sys.stdout.flush()
time.sleep(0.2)
raise SystemExit("Good bye")
'''),
        program("one-shot", "print('done once')", once=True),
    ],
    output=sys.stdout,
).run()
print("supervisor is done")
"""


def marked(mark: str) -> list[psutil.Process]:
    """Processes that inherited the mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_for(condition: Callable[[], object], what: Callable[[], str] | str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"Never happened: {what if isinstance(what, str) else what()}")
        time.sleep(0.05)


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark for the processes of one test; processes that carry it are killed afterwards."""
    value = uuid.uuid4().hex
    yield value
    for process in marked(value):
        process.kill()


@pytest.mark.parametrize("text", ["", "http", "0", "65536", "80.5", "-1"])
def test_port_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(LaunchError, match="PORT is"):
        read_port(text)


def test_port_in_use_is_a_clear_message() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LaunchError, match=rf"Port {port} on 127\.0\.0\.1 cannot be used.*another port"):
            try:
                check_port("127.0.0.1", port)
            except LaunchError as error:
                raise LaunchError(str(error).replace("\n", " ")) from error
    check_port("127.0.0.1", port)  # free again


def test_second_launcher_of_a_checkout_is_refused(tmp_path: Path) -> None:
    paths = CheckoutPaths(tmp_path)
    refused = pytest.raises(LaunchError, match=r"already runs from this folder, at http://127\.0\.0\.1:8123/")
    with only_one(paths, "http://127.0.0.1:8123/"), refused, only_one(paths, "http://127.0.0.1:8124/"):
        pass
    with only_one(paths, "http://127.0.0.1:8125/"):
        pass


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/"),
        ("0.0.0.0", "http://127.0.0.1:8000/"),  # noqa: S104 - only a word here
        ("::", "http://127.0.0.1:8000/"),
        ("::1", "http://[::1]:8000/"),
        ("192.0.2.7", "http://192.0.2.7:8000/"),
    ],
)
def test_printed_address_can_be_opened(bind: str, address: str) -> None:
    assert site_address(bind, 8000) == address


def test_programs_are_the_four() -> None:
    assert [program.name for program in programs(ROOT, bind="127.0.0.1", port=8000)] == [
        "web",
        "inference",
        "training",
        "scheduler",
    ]


def test_labelled_pictures_are_a_one_shot_job_where_there_are_any(tmp_path: Path) -> None:
    checkout = tmp_path / "teri"
    checkout.mkdir()
    assert one_shot_jobs(checkout) == []
    (tmp_path / "shared/data/isic2019-subset").mkdir(parents=True)
    (job,) = one_shot_jobs(checkout)
    assert job.once
    assert "--if-empty" in job.command
    (tmp_path / "shared/data/isic2019-subset-400px").mkdir()
    (finer,) = one_shot_jobs(checkout)
    assert finer.command[3].endswith("isic2019-subset-400px")


@pytest.mark.parametrize("changed", ["requirements.txt", "static/site.css"])
def test_static_files_are_collected_again_after_a_change(tmp_path: Path, settings: Any, changed: str) -> None:
    settings.BASE_DIR, settings.STATICFILES_DIRS = tmp_path, [tmp_path / "static"]
    (tmp_path / "static").mkdir()
    for name in ("requirements.txt", "static/site.css"):
        (tmp_path / name).write_text("before")
    before = static_fingerprint()
    assert static_fingerprint() == before
    (tmp_path / changed).write_text("afterwards")
    assert static_fingerprint() != before


def test_supervisor_restarts_the_dead_and_ends_the_deaf(tmp_path: Path, mark: str) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR_PROGRAM, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, MARK: mark, "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    wait_for(
        lambda: "life 3" in log.read_text() and "grandchild" in log.read_text() and "Good bye" in log.read_text(),
        log.read_text,
    )
    began = time.monotonic()
    for _ in range(3):  # three times Ctrl-C: finish, stop now, kill
        supervisor.send_signal(signal.SIGINT)
        time.sleep(0.3)
    assert supervisor.wait(PATIENCE_S) == 0, log.read_text()
    assert time.monotonic() - began < KILL_AFTER_S  # nobody waited for the deaf one
    assert marked(mark) == []
    text = log.read_text()
    assert re.search(r"^\d\d:\d\d:\d\d weak +\| life 1$", text, re.MULTILINE)
    assert text.count("done once") == 1
    assert re.search(r"^\d\d:\d\d:\d\d mute +\| no end of lineGood bye$", text, re.MULTILINE)
    assert re.search(r"teri +\| mute ended with status 1; starting it again in 1 s$", text, re.MULTILINE)
    assert re.search(r"teri +\| weak ended with status 0; starting it again in 2 s$", text, re.MULTILINE)
    assert text.endswith("supervisor is done\n")


def test_programs_of_a_killed_supervisor_do_not_live_on(tmp_path: Path, mark: str) -> None:
    log = tmp_path / "log"
    code = SUPERVISOR_PROGRAM.replace("for number in (signal.SIGTERM, signal.SIGQUIT)", "for number in ()")
    code = code.replace("subprocess.Popen([", "([")  # no grandchild: its parent would have to end it
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, MARK: mark},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    wait_for(lambda: "deaf ears" in log.read_text(), log.read_text)
    supervisor.kill()
    supervisor.wait()
    wait_for(lambda: not marked(mark), "the programs die with their supervisor")


@pytest.fixture
def fresh_clone() -> Iterator[Path]:
    """A copy of the working tree without data, environment and history, like a fresh clone."""
    parent = Path(tempfile.mkdtemp(prefix="teri-clone-"))
    clone = parent / "teri"
    left_out = shutil.ignore_patterns(".*", "var", "node_modules", "__pycache__", "tests", "benchmarks")
    shutil.copytree(ROOT, clone, ignore=left_out)
    yield clone
    shutil.rmtree(parent, ignore_errors=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def site_answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=10).close()
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False
    return True


@pytest.mark.stack
def test_run_serves_survives_kill_nine_and_leaves_nothing_behind(fresh_clone: Path, mark: str) -> None:
    port = free_port()
    log = fresh_clone.parent / "log"
    unconfigured = {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "MEDIA_ROOT", for_tests.MARK}
    environment = {key: value for key, value in os.environ.items() if key not in unconfigured}
    environment |= {MARK: mark, "PORT": str(port)}

    def launch() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "devtools.launcher"],
                cwd=fresh_clone,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    first = launch()
    wait_for(lambda: site_answers(port) or first.poll() is not None, log.read_text)
    assert first.poll() is None, log.read_text()
    assert "patient@demo.local" in log.read_text()
    assert len(marked(mark)) >= 6  # at least: launcher, two service supervisors, two servers, web
    first.kill()
    first.wait()
    wait_for(lambda: not marked(mark), lambda: f"nothing is left after kill -9: {marked(mark)}")

    second = launch()
    wait_for(lambda: site_answers(port) or second.poll() is not None, log.read_text)
    assert second.poll() is None, log.read_text()
    second.send_signal(signal.SIGINT)
    assert second.wait(PATIENCE_S) == 0
    assert marked(mark) == []
    assert "nothing is left running" in log.read_text()
