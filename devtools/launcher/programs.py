"""Which programs make up Teri, and how each is started on one machine.

docker-compose.yml starts the same ones, a container each; tests/config compares the two.
"""

import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """One long-running program: what to run and how to end it."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    # Added to the niceness of the launcher; 0 to 19.
    niceness: int = 0
    # The signal for "stop now, do not finish your work"; SIGQUIT means this to gunicorn and to Celery.
    quick_stop: signal.Signals = signal.SIGQUIT
    # A one-shot job: it is not started again when it ends.
    once: bool = False


# Labelled pictures beside the checkout, where the project's shared data are laid out: the first of these that is there.
SHARED_DATA = Path("..", "shared", "data")
REFERENCE_PICTURES = ("isic2019-subset-400px", "isic2019-subset")
CELERY = (sys.executable, "-m", "celery", "-A", "config", "--quiet")


def programs(base_dir: Path, *, bind: str, port: int) -> list[Program]:
    """Return the programs of the checkout at `base_dir`, the site at `bind:port`."""
    schedule = base_dir / "var" / "celerybeat-schedule"
    # Prefork, because only prefork keeps time limits. Two children, so that an import does not wait for hours behind a
    # run. The device lock (training.worker.supervisor) lets one run or evaluation work at a time.
    training_worker = (
        *CELERY, "worker", "--queues", "training", "--hostname", "training@%h", "--pool", "prefork",
        "--concurrency", "2", "--without-gossip", "--without-mingle", "--loglevel", "INFO",
    )  # fmt: skip
    return [
        Program(
            "web",
            (sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn", "config.wsgi:application"),
            environment={"BIND": bind, "PORT": str(port)},
        ),
        # Also runs the small periodic work (queue "maintenance"). Without a live classifier it ends, and comes back.
        Program("inference", (sys.executable, str(base_dir / "manage.py"), "inference_worker")),
        # Low priority: a patient who waits comes first (RELIABILITY R18).
        Program("training", training_worker, niceness=10),
        # Never two of these: everything periodic would happen twice.
        Program(
            "scheduler",
            (*CELERY, "beat", "--schedule", str(schedule), "--pidfile", "", "--loglevel", "WARNING"),
        ),
    ]


def one_shot_jobs(base_dir: Path) -> list[Program]:
    """Return the jobs that run once, beside the site. The first time they take a minute, so the start does not wait.

    The one job registers the labelled pictures of the data set, so that an upload of one of them shows its ground
    truth. The command compares photos that were uploaded earlier as well.
    """
    for name in REFERENCE_PICTURES:
        folder = base_dir / SHARED_DATA / name
        if folder.is_dir():
            command = (sys.executable, str(base_dir / "manage.py"), "import_known_images", str(folder), "--if-empty")
            return [Program("pictures", command, niceness=10, once=True)]
    return []
