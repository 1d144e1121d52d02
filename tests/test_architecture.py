"""The architecture keeps itself: import direction, what the web process carries, and words that must not appear.

The arrows are those of docs/architecture.md. They are read from the syntax trees, so an import inside a function counts
like one at the top; only imports under `TYPE_CHECKING` do not, for they are never run.
"""

import ast
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
OWN: Final = ("accounts", "config", "diagnoses", "training")

# What each app may import of the others. Nobody imports config, except by the strings in settings.
APPS: Final[dict[str, set[str]]] = {
    "accounts": {"accounts"},
    "diagnoses": {"diagnoses", "accounts"},
    "training": {"training", "diagnoses", "accounts"},
}

# Rooms without Django: whoever works there (a bare worker, a notebook, the cage) needs neither settings nor a database.
WITHOUT_DJANGO: Final = (
    "diagnoses.taxonomy", "diagnoses.intake", "diagnoses.inference", "diagnoses.datasets", "diagnoses.dataset_images",
    "diagnoses.agreement", "training.pipeline",
)  # fmt: skip
FRAMEWORKS: Final = {"django", "celery", "rest_framework", "allauth", "knox", "kombu"}

# Floors inside diagnoses: a module may import from its own floor and those before it. The first entry that fits counts.
DIAGNOSES_FLOORS: Final = [
    ["diagnoses.taxonomy"],
    ["diagnoses.intake"],
    ["diagnoses.inference"],
    ["diagnoses.datasets"],
    ["diagnoses.dataset_images", "diagnoses.batch", "diagnoses.faults", "diagnoses.storage", "diagnoses.agreement"],
    ["diagnoses.texts", "diagnoses.bodymap"],
    ["diagnoses.models"],
    ["diagnoses.queue", "diagnoses.media"],
    ["diagnoses.services"],
    ["diagnoses.similar"],
    ["diagnoses.worker"],
    ["diagnoses.tasks"],
    [
        "diagnoses.paging",
        "diagnoses.forms",
        "diagnoses.export",
        "diagnoses.reading_counts",
        "diagnoses.advice",
        "diagnoses.figures",
        "diagnoses.verdict",
        "diagnoses.drift",
        "diagnoses.attention",
        "diagnoses.templatetags",
    ],
    ["diagnoses.result", "diagnoses.record"],
    ["diagnoses.report"],
    [
        "diagnoses.views",
        "diagnoses.api",
        "diagnoses.health",
        "diagnoses.admin",
        "diagnoses.management",
        "diagnoses.urls",
    ],
    ["diagnoses.apps", "diagnoses.migrations", "diagnoses"],
]
# Arrows that go upwards or sideways on purpose are forbidden by name even where the floors would allow them.
FORBIDDEN: Final = [
    # Services publish by the task's name: a task is a door to the services, not the other way round.
    ("diagnoses.services", "diagnoses.tasks"),
    ("diagnoses.services", "diagnoses.worker"),
    ("diagnoses.inference", "diagnoses.intake"),
    ("diagnoses.views", "diagnoses.tasks"),
    ("diagnoses.views", "diagnoses.worker"),
    ("diagnoses.api", "diagnoses.tasks"),
    ("diagnoses.api", "diagnoses.worker"),
    ("diagnoses.api", "diagnoses.views"),
    ("diagnoses.views", "diagnoses.api"),
    ("training.pipeline", "diagnoses.models"),
    ("training.pipeline", "diagnoses.services"),
    ("training.pipeline", "training.models"),
    ("training.models", "training.services"),
    ("training.models", "training.admin"),
    ("training.services", "training.admin"),
    ("training.services", "training.tasks"),
]


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the application, by its dotted name."""
    for app in OWN:
        for path in sorted((ROOT / app).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports_of(module: str, path: Path, source: str | None = None) -> Iterator[tuple[str, int]]:
    """What a module imports when it is imported or used, with the line."""
    tree = ast.parse(source if source is not None else path.read_text())
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for name in node.names:
                yield f"{base}.{name.name}", node.lineno


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def floor_of(name: str) -> int | None:
    for number, rooms in enumerate(DIAGNOSES_FLOORS):
        if any(within(name, room) for room in rooms):
            return number
    return None


def faults_of(module: str, imported: str) -> list[str]:
    """Why `module` may not import `imported`; empty when it may."""
    faults = []
    app, target = module.split(".", maxsplit=1)[0], imported.split(".", maxsplit=1)[0]
    if app in APPS and target in OWN and target not in APPS[app]:
        faults.append(f"{app} may not import {target}")
    if target == "config" and app != "config":
        faults.append("nothing imports config except by string")
    if any(within(module, room) for room in WITHOUT_DJANGO):
        if target in FRAMEWORKS:
            faults.append("this room knows no framework")
        own_rooms = (*WITHOUT_DJANGO, "training.recipes")
        if target in OWN and not any(within(imported, room) for room in own_rooms):
            faults.append("this room imports only rooms without Django")
    if app == target == "diagnoses":
        own, other = floor_of(module), floor_of(imported)
        assert own is not None and other is not None
        if other > own and imported != "diagnoses":
            faults.append("this arrow points upwards")
    faults += [
        f"{source} may not import {goal}"
        for source, goal in FORBIDDEN
        if within(module, source) and within(imported, goal)
    ]
    return faults


def test_imports_point_one_way() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: imports {imported}: {fault}"
        for module, path in modules()
        for imported, line in imports_of(module, path)
        for fault in faults_of(module, imported)
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_module_of_diagnoses_has_a_floor_of_its_own() -> None:
    """A new module must say where it stands, instead of falling through to the last entry."""
    last = len(DIAGNOSES_FLOORS) - 1
    named = {"diagnoses", "diagnoses.apps"}
    lost = [
        module
        for module, _path in modules()
        if within(module, "diagnoses")
        and floor_of(module) == last
        and module not in named
        and not within(module, "diagnoses.migrations")
    ]
    assert not lost, f"add these to DIAGNOSES_FLOORS: {lost}"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("accounts.models", "from diagnoses.models import Photo"),
        ("diagnoses.models.photo", "import training"),
        ("diagnoses.models.photo", "def f():\n    from diagnoses.services import submit_photo"),
        ("diagnoses.models.photo", "from ..services import photos"),
        ("diagnoses.services.photos", "from diagnoses.tasks import predict_photo_task"),
        ("diagnoses.services.photos", "from diagnoses import worker"),
        ("diagnoses.intake.cage", "from django.conf import settings"),
        ("diagnoses.inference.runtime", "from diagnoses.models import Classifier"),
        ("training.pipeline.fit", "import django.db"),
        ("training.pipeline.fit", "from training.models import TrainingRun"),
        ("diagnoses.views.photo", "import config.urls"),
        ("diagnoses.api.views.photos", "from diagnoses.views.access import signed_in"),
    ],
)
def test_a_wrong_arrow_is_seen(module: str, source: str) -> None:
    """The test above can fail: each of these would."""
    path = Path("module.py")
    assert any(faults_of(module, imported) for imported, _line in imports_of(module, path, source))


def test_nothing_is_called_what_anything_could_be() -> None:
    vague = {"utils.py", "helpers.py", "common.py", "misc.py"} | {"utils", "helpers", "common", "misc"}
    assert not [path for _module, path in modules() if vague & set(path.relative_to(ROOT).parts)]


def test_every_module_says_what_it_owns() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for module, path in modules()
        if path.read_text().strip()
        and "migrations" not in module
        and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


def test_there_is_one_database_dialect() -> None:
    """No other one in code, settings, requirements or container files."""
    word = "".join(["sq", "lite"])
    files = [path for _module, path in modules()]
    files += [ROOT / name for name in ("requirements.in", "docker-compose.yml", "Dockerfile", "Makefile", "manage.py")]
    assert not [str(path) for path in files if path.exists() and word in path.read_text().lower()]


def test_no_field_decides_what_is_an_image() -> None:
    """Django's and DRF's image fields verify, which passes files that cannot be decoded; intake decides (R6)."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for _module, path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr == "ImageField")
        or (isinstance(node, ast.Name) and node.id == "ImageField")
        or (isinstance(node, ast.alias) and node.name == "ImageField")
    ]
    assert not found


# Half a gigabyte of libraries that only workers need, and two seconds of start.
HEAVY: Final = (
    "tensorflow", "keras", "onnx", "onnxruntime", "jax", "pandas", "scipy", "sklearn", "matplotlib", "reportlab",
)  # fmt: skip
# Of the process itself; what it is on a quiet machine is in docs/architecture.md.
MAX_WEB_MEGABYTES: Final = 200

WEB_PROCESS: Final = """
    import importlib, json, pkgutil, resource, sys
    import django
    django.setup()
    from django.apps import apps
    from django.urls import get_resolver
    from config.wsgi import application
    get_resolver().url_patterns
    for entry in get_resolver().url_patterns:
        getattr(entry, "url_patterns", None)
    for app in apps.get_app_configs():
        if importlib.util.find_spec(app.name + ".tasks"):
            importlib.import_module(app.name + ".tasks")
    heavy = sorted({name.split(".")[0] for name in sys.modules} & set(json.loads(sys.argv[1])))
    with open("/proc/self/status") as status:
        kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    print(json.dumps({"heavy": heavy, "megabytes": kilobytes / 1024}))
"""


def test_the_web_process_is_light(record_property: Callable[[str, object], None]) -> None:
    """A fresh interpreter with Django set up, all URLs and every tasks.py imported, as gunicorn has them."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WEB_PROCESS), json.dumps(HEAVY)],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.test"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    record_property("web_process_megabytes", round(found["megabytes"]))
    assert found["heavy"] == []
    assert found["megabytes"] < MAX_WEB_MEGABYTES


@pytest.mark.parametrize("room", WITHOUT_DJANGO)
def test_rooms_without_django_open_without_it(room: str) -> None:
    """In a fresh interpreter without settings: importing the room and all it holds loads no framework."""
    code = f"""
        import importlib, pkgutil, sys
        room = importlib.import_module({room!r})
        for found in pkgutil.iter_modules(getattr(room, "__path__", [])):
            importlib.import_module(room.__name__ + "." + found.name)
        print(sorted({{name.split(".")[0] for name in sys.modules}} & {FRAMEWORKS!r}))
    """
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
