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
    # "Leave now, without finishing what you do": gunicorn and Celery both understand SIGQUIT so.
    quick_stop: signal.Signals = signal.SIGQUIT
    # An errand: when it ends it has been done, and is not started again.
    once: bool = False


# Labelled pictures, beside the checkout where the project's shared data are laid out.
REFERENCE_PICTURES = Path("..", "shared", "data", "isic2019-subset")
CELERY = (sys.executable, "-m", "celery", "-A", "config", "--quiet")


def programs(base_dir: Path, *, bind: str, port: int) -> list[Program]:
    """Return the programs of the checkout at `base_dir`, the site at `bind:port`."""
    schedule = base_dir / "var" / "celerybeat-schedule"
    # Prefork, because only prefork keeps time limits. Two children: an import does not wait for hours behind a run; of
    # runs and evaluations the device lock lets one at a time work (training.worker.supervisor).
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
        # Training takes what is left over: a patient who waits comes first (RELIABILITY R18).
        Program("training", training_worker, niceness=10),
        # The clock. Never two of these: everything periodic would happen twice.
        Program(
            "scheduler",
            (*CELERY, "beat", "--schedule", str(schedule), "--pidfile", "", "--loglevel", "WARNING"),
        ),
    ]


def errands(base_dir: Path) -> list[Program]:
    """Return what is done once, beside the running site: the first time it takes a minute, which nobody should wait.

    The labelled pictures of the data set are made known, so that an upload of one of them shows its ground truth;
    photos that came earlier are looked at again by the command itself.
    """
    folder = base_dir / REFERENCE_PICTURES
    if not folder.is_dir():
        return []
    command = (sys.executable, str(base_dir / "manage.py"), "import_known_images", str(folder), "--if-empty")
    return [Program("pictures", command, niceness=10, once=True)]
