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
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
OWN: Final = ("accounts", "config", "devtools", "diagnoses", "recognition", "training")

# What each package may import of the others. Nobody imports config, except by the strings in settings.
PACKAGES: Final[dict[str, set[str]]] = {
    "recognition": set(),
    "devtools": set(),
    "accounts": set(),
    "diagnoses": {"accounts", "recognition"},
    "training": {"diagnoses", "accounts", "recognition"},
    "config": {"accounts", "devtools"},
}
# What the web process and the inference worker have no use for.
NOT_FOR_DIAGNOSES: Final = ("recognition.fit", "recognition.recipes")
FRAMEWORKS: Final = {"django", "celery", "rest_framework", "allauth", "knox", "kombu"}

# The arrows inside the packages, each room with those it imports: the picture of docs/architecture.md. A room is a
# folder or a module of a package. Drawn and real arrows are the same: one too many on either side fails.
ARROWS: Final[dict[str, set[str]]] = {
    "recognition.taxonomy": set(),
    "recognition.progress": set(),
    "recognition.failpoints": set(),
    "recognition.sandbox": set(),
    "recognition.inference": {"taxonomy"},
    "recognition.datasets": {"taxonomy", "progress", "sandbox", "inference"},
    "recognition.classify": {"sandbox", "inference", "datasets"},
    "recognition.recipes": {"inference"},
    "recognition.evaluation": {"taxonomy", "progress", "inference", "datasets"},
    "recognition.fit": {"taxonomy", "progress", "inference", "datasets", "recipes", "evaluation"},
    # The application of patients and clinicians.
    "diagnoses.labels": set(),
    "diagnoses.fields": {"labels"},
    "diagnoses.paging": set(),
    "diagnoses.templatetags.words": {"fields", "labels"},
    "diagnoses.classifiers": set(),
    "diagnoses.site": {"labels", "classifiers"},
    "diagnoses.api": set(),
    "diagnoses.similar": set(),
    "diagnoses.photos": {"fields", "labels", "api", "classifiers", "similar"},
    "diagnoses.readings": {"fields", "paging", "api", "photos"},
    "diagnoses.results": {"fields", "labels", "paging", "templatetags.words", "api", "photos", "readings"},
    "diagnoses.lesions": {"fields", "labels", "paging", "api", "site", "photos", "results"},
    "diagnoses.sharing": {"api", "photos", "results"},
    "diagnoses.personal_data": {"api", "photos"},
    "diagnoses.monitoring": {"labels", "templatetags.words", "classifiers", "photos"},
    "diagnoses.templatetags": {"lesions", "monitoring", "results", "similar"},
    "diagnoses.management": {"classifiers", "monitoring", "photos", "similar"},
    "diagnoses.tasks": {"lesions", "monitoring", "photos"},
    # What only gathers for Django.
    "diagnoses.models": set(),
    "diagnoses.admin": {"lesions", "monitoring", "photos", "readings", "sharing"},
    "diagnoses.urls": {"lesions", "personal_data", "photos", "readings", "results", "sharing", "site"},
    "diagnoses.api.urls": {"api", "lesions", "personal_data", "readings", "results", "sharing"},
    "diagnoses.apps": {"monitoring", "photos"},
    # The application of administrators.
    "training.charts": set(),
    "training.models": set(),
    "training.eda": {"charts"},
    "training.services": {"models"},
    "training.data": {"charts", "eda", "models", "services"},
    "training.evaluation": {"charts", "models", "services", "data"},
    "training.worker": {"models", "services", "data", "evaluation"},
    "training.tasks": {"services", "worker"},
    "training.notices": {"models"},
    "training.forms": {"models", "services"},
    "training.admin": {"charts", "models", "services", "forms", "evaluation"},
    "training.management": {"eda", "models", "services", "data", "evaluation", "worker"},
    "training.apps": {"notices"},
}
# The tables of a feature: ground that every room of the app may stand on, and that stands on shared columns alone.
ROWS: Final = tuple(f"{room}.models" for room in ARROWS if room.startswith("diagnoses."))
ROWS_MAY_IMPORT: Final = {"diagnoses.fields"}


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the application, by its dotted name."""
    for package in OWN:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


NAMES: Final = {module for module, _path in modules()}


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
                inner = f"{base}.{name.name}"
                yield (inner if inner in NAMES or base not in NAMES else base), node.lineno


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def room_of(module: str) -> str:
    """The longest room of the picture that holds the module; the module itself where there is none."""
    return max((room for room in ARROWS if within(module, room)), key=len, default=module)


def is_row(module: str) -> bool:
    return any(within(module, rows) for rows in ROWS)


def faults_of(module: str, imported: str) -> list[str]:
    """Why `module` may not import `imported`; empty when it may."""
    own, other = module.split(".", maxsplit=1)[0], imported.split(".", maxsplit=1)[0]
    faults = []
    if own in OWN and other in OWN and own != other and other not in PACKAGES[own]:
        faults.append(f"{own} may not import {other}")
    if own == "recognition" and other in FRAMEWORKS:
        faults.append("the library knows no framework")
    if own == "diagnoses" and any(within(imported, room) for room in NOT_FOR_DIAGNOSES):
        faults.append("training's part of the library is not for serving")
    room, target = room_of(module), room_of(imported)
    if own != other or target not in ARROWS or is_row(imported) or "migrations" in module:
        return faults
    if is_row(module):
        if target not in ROWS_MAY_IMPORT:
            faults.append("tables stand on shared columns and on other tables")
    elif room != target and target.partition(".")[2] not in ARROWS.get(room, set()):
        faults.append(f"no arrow from {room} to {target}")
    return faults


def test_imports_point_one_way() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: imports {imported}: {fault}"
        for module, path in modules()
        for imported, line in imports_of(module, path)
        for fault in faults_of(module, imported)
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_arrow_of_the_picture_is_real() -> None:
    """What is drawn and imported no more is taken out of the picture."""
    real: dict[str, set[str]] = defaultdict(set)
    for module, path in modules():
        if not is_row(module) and "migrations" not in module:
            real[room_of(module)] |= {
                room_of(imported) for imported, _line in imports_of(module, path) if not is_row(imported)
            }
    drawn = {room: {f"{room.split('.')[0]}.{name}" for name in names} for room, names in ARROWS.items()}
    assert not {room: gone for room, targets in drawn.items() if (gone := targets - real[room])}


def test_the_picture_has_no_circle() -> None:
    """Rooms can be laid on floors: each on those it imports."""
    laid: set[str] = set()
    left = {room: {f"{room.split('.')[0]}.{name}" for name in names} for room, names in ARROWS.items()}
    while left:
        free = {room for room, targets in left.items() if targets <= laid}
        assert free, f"these go round in a circle: {sorted(left)}"
        laid |= free
        left = {room: targets for room, targets in left.items() if room not in free}


def test_modules_import_each_other_in_no_circle() -> None:
    """No module is reached from itself, however long the way."""
    graph = {
        module: {imported for imported, _line in imports_of(module, path) if imported in NAMES and imported != module}
        for module, path in modules()
    }
    while free := [module for module, targets in graph.items() if not targets & set(graph)]:
        for module in free:
            del graph[module]
    assert not graph, sorted(graph)


def test_every_room_is_in_the_picture() -> None:
    """A new folder or module must say where it stands."""
    lost = {
        module
        for module, _path in modules()
        if module.partition(".")[0] in {"diagnoses", "recognition", "training"}
        and "." in module
        and room_of(module) == module
        and module not in ARROWS
        and not is_row(module)
        and "migrations" not in module
    }
    assert not lost, f"draw these in ARROWS: {sorted(lost)}"


def test_few_modules_lie_loose() -> None:
    """A newcomer opens a feature, not a list of files."""
    loose = [path.name for path in (ROOT / "diagnoses").glob("*.py") if path.name != "__init__.py"]
    assert len(loose) <= LOOSE_MAX, loose


LOOSE_MAX: Final = 9
LINES_MAX: Final = 400
# Longer on purpose, with the reason.
LONG: Final = {
    "accounts/foreign_texts.py": "texts that Django and its packages lack in Kazakh or Russian, in one list",
    "config/settings/base.py": "all settings of Django and its packages, read from top to bottom",
}
LOCAL_IMPORTS_MAX: Final = 36


def test_modules_stay_short() -> None:
    long = {
        name
        for _module, path in modules()
        if len(path.read_text().splitlines()) > LINES_MAX and "migrations" not in path.parts
        for name in [str(path.relative_to(ROOT))]
    }
    assert long == set(LONG)


def local_imports() -> Iterator[tuple[str, bool]]:
    """Imports of our own modules inside functions: where, and whether a comment stands beside or above."""
    for _module, path in modules():
        source = path.read_text()
        lines, tree = source.splitlines(), ast.parse(source)
        inside = {
            (node.lineno, node.end_lineno or node.lineno)
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            for node in ast.walk(function)
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OWN
        }
        ends = {end: start for start, end in inside}
        for start, _end in sorted(inside):
            first = start
            # Imports that follow each other share the reason above the first.
            while first - 1 in ends:
                first = ends[first - 1]
            said = "#" in lines[start - 1] or lines[first - 2].lstrip().startswith("#")
            yield f"{path.relative_to(ROOT)}:{start}", said


def test_imports_inside_functions_have_a_reason() -> None:
    found = list(local_imports())
    assert not [place for place, said in found if not said]
    assert len(found) <= LOCAL_IMPORTS_MAX, found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("accounts.models", "from diagnoses.models import Photo"),
        ("diagnoses.photos.models.photo", "import training"),
        ("diagnoses.photos.models.photo", "def f():\n    from diagnoses.photos.services import submit_photo"),
        ("diagnoses.photos.models.photo", "from ..services import submit_photo"),
        ("diagnoses.photos.services", "from diagnoses.tasks import predict_photo_task"),
        ("diagnoses.photos.services", "from diagnoses.lesions import reminders"),
        ("diagnoses.photos.services", "from recognition.fit import run"),
        ("diagnoses.readings.services", "from diagnoses.results.result import result_of"),
        ("diagnoses.similar.cases", "from diagnoses.photos.services import view_photo"),
        ("diagnoses.results.views.photo", "import config.urls"),
        ("diagnoses.monitoring.health", "from diagnoses.lesions.models import Lesion\nimport diagnoses.sharing.views"),
        ("recognition.sandbox.process", "from django.conf import settings"),
        ("recognition.inference.runtime", "from diagnoses.models import Classifier"),
        ("recognition.inference.runtime", "from recognition.sandbox import read_image"),
        ("recognition.fit", "from training.models import TrainingRun"),
        ("training.models.run", "from training.services import jobs"),
        ("training.services.jobs", "import training.tasks"),
        ("training.services.jobs", "from training.admin import jobs"),
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


LIBRARY: Final = """
    import importlib, pkgutil, sys

    class NotInstalled:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in {frameworks}:
                raise ModuleNotFoundError(name)

    sys.meta_path.insert(0, NotInstalled())
    import recognition
    for found in pkgutil.walk_packages(recognition.__path__, "recognition."):
        importlib.import_module(found.name)
    print(sorted({{name.split(".")[0] for name in sys.modules}} & {own}))
"""


def test_the_library_opens_without_django() -> None:
    """In a fresh interpreter where no framework can be imported: all of `recognition`, and nothing else of ours."""
    code = textwrap.dedent(LIBRARY).format(frameworks=FRAMEWORKS, own=set(OWN))
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "['recognition']"
