"""The Docker files, the example settings and docs/operations.md agree with the code. No Docker engine is needed.

The images are not built here; the tests compare what can be known without building them.
"""

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from devtools.launcher.programs import programs

ROOT = Path(__file__).resolve().parents[2]
# Read by the code through django-environ or os.environ.
READ = re.compile(r"""(?:\benv\.\w+\(|environ\.get\(|environ\[)\s*["']([A-Z][A-Z0-9_]+)["']""")
# Read by Compose itself: for PostgreSQL and Redis, and for the published port and folder.
COMPOSE_ONLY = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "PUBLISHED_PORT", "DATASET_DIR", "WEIGHTS_DIR"}
# Read by Python, Django and the shell in our containers.
OF_OTHERS = {"DJANGO_SETTINGS_MODULE", "PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
GPU = {"inference-gpu": "inference", "training-gpu": "training"}


def settings_read_by_the_code() -> set[str]:
    """Names of the environment variables an operator may set."""
    files = [*(ROOT / "config" / "settings").glob("*.py"), ROOT / "config" / "gunicorn.py"]
    return {name for file in files if file.name != "test.py" for name in READ.findall(file.read_text())}


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def example_settings(*, commented: bool) -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    prefix = r"(?:# )?" if commented else ""
    found = (re.fullmatch(prefix + r"([A-Z][A-Z0-9_]*)=(.*)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def interpolate(text: str, values: dict[str, str]) -> str:
    """Put values in as Compose does: `${NAME:?message}`, `${NAME:-default}`."""

    def value(match: re.Match[str]) -> str:
        name, operator, argument = match[1], match[2], match[3]
        if operator == ":?":
            assert values.get(name), f"{name}: {argument}"
        return values.get(name) or argument

    return re.sub(r"\$\{([A-Z_]+)(:[?-])([^}]*)\}", value, text)


def test_every_setting_is_documented_and_nothing_else() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page[page.index("## Settings") :]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    documented = {name for cell in first_cells for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", cell)}
    assert documented - {"DJANGO_SETTINGS_MODULE"} == settings_read_by_the_code() | COMPOSE_ONLY


def test_example_settings_are_read_by_somebody() -> None:
    assert set(example_settings(commented=True)) <= settings_read_by_the_code() | COMPOSE_ONLY


def test_containers_get_only_settings_that_exist() -> None:
    known = settings_read_by_the_code() | OF_OTHERS
    dockerfile = (ROOT / "Dockerfile").read_text()
    environment = re.search(r"\nENV ((?:.*\\\n)*.*)\nWORKDIR", dockerfile)
    assert environment is not None
    assert set(re.findall(r"([A-Z_]+)=", environment[1])) <= known
    for name, service in compose()["services"].items():
        if "env_file" in service:
            assert set(service["environment"]) <= known, name


def test_compose_runs_the_programs_of_make_run() -> None:
    services = compose()["services"]
    local = {program.name: program for program in programs(ROOT, bind="127.0.0.1", port=8000)}
    ours = {name for name, service in services.items() if "env_file" in service}
    assert ours == {*local, *GPU, "prepare"}
    for name in ours - {"prepare"}:
        program = local[GPU.get(name, name)]
        expected = ["python" if part == sys.executable else part for part in program.command]
        expected = [re.sub(rf"^{re.escape(str(ROOT))}/(var/)?", "", part) for part in expected]
        if program.niceness:
            expected = ["nice", "-n", str(program.niceness), *expected]
        assert [part.replace("/tmp/", "") for part in services[name]["command"]] == expected, name


def test_every_service_is_watched_and_comes_back() -> None:
    for name, service in compose()["services"].items():
        if name == "prepare":
            continue
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name


def test_our_containers_can_do_little() -> None:
    assert re.search(r"^USER teri$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for name, service in compose()["services"].items():
        if "env_file" in service:
            assert service["cap_drop"] == ["ALL"], name
            assert service["read_only"] is True, name
            assert service["security_opt"] == ["no-new-privileges:true"], name
        for published in service.get("ports", []):
            assert published.startswith("127.0.0.1:"), name


def test_redis_keeps_its_messages_and_asks_for_a_password() -> None:
    command = compose()["services"]["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--requirepass"].startswith("${REDIS_PASSWORD:?")


def test_gpu_workers_are_a_profile_with_a_card() -> None:
    for name in GPU:
        service = compose()["services"][name]
        assert service["profiles"] == ["gpu"]
        assert service["build"]["args"] == {"ACCELERATOR": "cuda"}
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert device["driver"] == "nvidia"
        assert device["capabilities"] == ["gpu"]


def production(**changes: str) -> subprocess.CompletedProcess[str]:
    """Django's deployment check in a process with exactly what Compose would pass it."""
    values = example_settings(commented=False) | {
        "SECRET_KEY": secrets.token_urlsafe(64),
        "POSTGRES_PASSWORD": "a-password",
        "REDIS_PASSWORD": "another-password",
        **changes,
    }
    of_compose = compose()["services"]["web"]["environment"]
    environment = values | {name: interpolate(value, values) for name, value in of_compose.items()} | changes
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_filled_in_example_passes_the_deployment_check() -> None:
    done = production()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"DEBUG": "true"}, "DEBUG"),
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        ({"REDIS_URL": "redis://redis:6379/0"}, "REDIS_URL"),
    ],
)
def test_production_refuses_what_would_expose_patients(changes: dict[str, str], complaint: str) -> None:
    done = production(**changes)
    assert done.returncode != 0
    assert complaint in done.stderr
