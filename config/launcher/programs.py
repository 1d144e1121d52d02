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


def celery_worker(queue: str, *extra: str) -> tuple[str, ...]:
    """Command of a worker for one queue: one process, prefork, because only prefork keeps time limits."""
    return (
        sys.executable, "-m", "celery", "-A", "config", "worker", "--queues", queue, "--hostname", f"{queue}@%h",
        "--pool", "prefork", "--concurrency", "1", "--loglevel", "INFO",
        "--without-gossip", "--without-mingle", *extra,
    )  # fmt: skip


def programs(base_dir: Path, *, bind: str, port: int) -> list[Program]:
    """Return the programs of the checkout at `base_dir`, the site at `bind:port`."""
    return [
        Program(
            "web",
            (sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn", "config.wsgi:application"),
            environment={"BIND": bind, "PORT": str(port)},
        ),
        Program("inference", (sys.executable, str(base_dir / "manage.py"), "inference_worker")),
        # Training takes what is left over: a patient who waits comes first (RELIABILITY R18).
        Program("training", celery_worker("training"), niceness=10),
        # On one machine the clock and the small periodic work share a process; never start two of these.
        Program(
            "scheduler",
            celery_worker("maintenance", "--beat", "--schedule", str(base_dir / "var" / "celerybeat-schedule")),
        ),
    ]
