"""Everything people read exists in Kazakh, Russian and English.

The catalogs name every text of the sources, translate each of them in every plural form with the same placeholders and
tags, and are compiled; templates, forms and scripts hold no words that gettext does not see.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import polib
import pytest
from django.conf import settings
from django.utils import translation

from tools import translations

ROOT: Final = Path(__file__).resolve().parent.parent
LANGUAGES: Final = translations.LANGUAGES
SHOWN: Final = 15  # of a long list of faults

PLACEHOLDER: Final = re.compile(r"%\(\w+\)[sdf]|%[sdf]|\{\w*(?::[^}]*)?\}")
TAG: Final = re.compile(r"</?[a-z][^>]*>")
LETTERS: Final = re.compile(r"[^\W\d_]{2,}")


def shown(faults: list[str]) -> str:
    more = f"\n... and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return "\n" + "\n".join(faults[:SHOWN]) + more


# --- The catalogs ---------------------------------------------------------------------------------------------------


def test_the_catalogs_are_those_of_the_settings() -> None:
    assert {code for code, _name in settings.LANGUAGES} == {settings.LANGUAGE_CODE, *LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language: str) -> None:
    lacking = [
        f"{entry.occurrences[0][0] if entry.occurrences else '?'}: {entry.msgid[:90]!r}"
        for entry in translations.missing(language)
    ]
    assert not lacking, f"{len(lacking)} texts are not translated:{shown(lacking)}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_guessed_or_left_over(language: str) -> None:
    catalog = translations.catalog(language)
    assert not [entry.msgid for entry in catalog if entry.fuzzy]
    assert not [entry.msgid for entry in catalog if entry.obsolete]
    assert catalog.metadata["Plural-Forms"] == translations.PLURALS[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalog_is_that_of_the_texts(language: str) -> None:
    """Run `make messages ARGS=compile` after translating."""
    assert translations.catalog_path(language).with_suffix(".mo").read_bytes() == translations.compiled(language)


def test_the_catalogs_name_every_text_of_the_sources(tmp_path: Path) -> None:
    """What `make messages` would change, found out in a copy: it writes a file beside every template while it works."""
    if not translations.can_collect():
        pytest.skip("GNU gettext is not installed: whether the catalogs name every text was not looked at.")
    for folder in (each for each in ROOT.iterdir() if each.is_dir() and not each.name.startswith(".")):
        if folder.name == "tools" or folder.name not in translations.NOT_SEARCHED:
            shutil.copytree(folder, tmp_path / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "tools/translations.py", "update"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    for language in LANGUAGES:
        path = translations.catalog_path(language)
        sources, named = (
            {(*translations.key(entry), entry.msgid_plural) for entry in polib.pofile(str(each))}
            for each in (tmp_path / path.relative_to(ROOT), path)
        )
        wrong = [f"not in {language}: {text!r}" for text in sorted(sources - named)]
        wrong += [f"only in {language}: {text!r}" for text in sorted(named - sources)]
        assert not wrong, f"run `make messages`:{shown(wrong)}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_of_the_packages_are_there_too(language: str) -> None:
    """An update of Django or allauth that brings texts nobody translated is seen here."""
    ours = {translations.key(entry) for entry in translations.catalog(language)}
    new = [repr(entry.msgid) for entry in translations.foreign_texts() if translations.key(entry) not in ours]
    assert not new, f"run `make messages`:{shown(new)}"


def forms(entry: polib.POEntry, language: str) -> Iterator[tuple[str, list[str]]]:
    """Every translation of an entry that there is, with the originals it may follow."""
    if not entry.msgid_plural:
        if entry.msgstr:
            yield entry.msgstr, [entry.msgid]
        return
    for form, text in entry.msgstr_plural.items():
        # Kazakh's first form stands for one alone; Russian's for 1, 21 and 31, so that it must say the number.
        one = language == "kk" and int(form) == 0
        if text:
            yield text, [entry.msgid_plural, entry.msgid] if one else [entry.msgid_plural]


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_and_tags_survive_translation(language: str) -> None:
    wrong = []
    for entry in translations.catalog(language):
        for text, originals in forms(entry, language):
            if all(set(PLACEHOLDER.findall(text)) != set(PLACEHOLDER.findall(each)) for each in originals):
                wrong.append(f"placeholders: {entry.msgid!r} -> {text!r}")
            if all(Counter(TAG.findall(text)) != Counter(TAG.findall(each)) for each in originals):
                wrong.append(f"tags: {entry.msgid!r} -> {text!r}")
            for edge in ("\n", " "):
                if text.startswith(edge) != entry.msgid.startswith(edge) or text.endswith(edge) != entry.msgid.endswith(
                    edge
                ):
                    wrong.append(f"spaces at the ends: {entry.msgid!r} -> {text!r}")
    assert not wrong, shown(wrong)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_translation_can_be_filled_in(language: str) -> None:
    """A stray per cent sign would be an error on the page."""
    wrong = []
    for entry in translations.catalog(language):
        if "python-format" not in entry.flags:
            continue
        for text, _originals in forms(entry, language):
            named = "%(" in entry.msgid
            values = defaultdict(int) if named else (1,) * len(re.findall(r"%[sdf]", text))
            try:
                text % values
            except (TypeError, ValueError) as error:
                wrong.append(f"{error}: {text!r}")
    assert not wrong, shown(wrong)


@pytest.mark.parametrize("language", LANGUAGES)
def test_letters_are_those_of_the_language(language: str) -> None:
    """No Latin look-alikes within Cyrillic words, no letters of Kazakh in Russian."""
    wrong = []
    for entry in translations.catalog(language):
        for text, _originals in forms(entry, language):
            plain = TAG.sub(" ", PLACEHOLDER.sub(" ", text))
            mixed = re.findall(r"\w*(?:[a-zA-Z][а-яА-ЯӘ-ӯ]|[а-яА-ЯӘ-ӯ][a-zA-Z])\w*", plain)
            kazakh = re.findall("[ӘәҒғҚқҢңӨөҰұҮүҺһІі]", plain) if language == "ru" else []
            wrong += [f"{found}: {text!r}" for found in (mixed, kazakh) if found]
    assert not wrong, shown(wrong)


def test_the_languages_are_used() -> None:
    """The catalogs are found and read, and the rules of their plurals are those of the languages."""
    with translation.override("ru"):
        assert translation.gettext("Log in") != "Log in"  # of a package
    for language in LANGUAGES:
        catalog = translations.catalog(language)
        entry = next(each for each in catalog if each.msgstr and not each.msgid_plural and not each.msgctxt)
        with translation.override(language):
            assert translation.gettext(entry.msgid) == entry.msgstr


# --- Words outside the catalogs ---------------------------------------------------------------------------------------

# What is the same in every language: names, codes, units, formats.
SAME_EVERYWHERE: Final = frozenset(
    {
        "Teri", "ISIC", "EfficientNetB4", "API", "JSON", "CSV", "PDF", "ZIP", "PNG", "SVG", "JPEG", "WebP", "sha256",
        "AUC", "ROC", "GradCAM", "MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "OpenAPI", "px",
        "SHA", "Қазақша", "Русский", "English",
    }
)  # fmt: skip
SPOKEN_ATTRIBUTES: Final = frozenset({"alt", "title", "placeholder", "aria-label", "aria-description", "label"})
# Swagger UI, which speaks English only.
ENGLISH: Final = ("diagnoses/api/docs.html",)


# Names of keys and of files are the same in every language.
SILENT: Final = frozenset({"script", "style", "code", "pre", "kbd"})


class Words(HTMLParser):
    """Collects what is shown or spoken of a page: text, and the attributes that are read out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in SILENT
        for name, value in attrs:
            if value and (name in SPOKEN_ATTRIBUTES or name.startswith("data-words")):
                self.found.append(value)
            if name == "content" and dict(attrs).get("name") == "description" and value:
                self.found.append(value)

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in SILENT

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


def bare_words(source: str) -> list[str]:
    """Words of a template that stand outside every translation tag."""
    for block in ("comment", "blocktranslate", "blocktrans"):
        source = re.sub(rf"{{%\s*{block}\b.*?%}}.*?{{%\s*end{block}\s*%}}", "", source, flags=re.DOTALL)
    # What a page is called for style sheets, and halves of attributes that a condition cuts in two.
    source = re.sub(r"{%\s*block \w*(class|coltype)\s*%}.*?{%\s*endblock", "{% endblock", source, flags=re.DOTALL)
    source = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", source, flags=re.DOTALL)
    source = re.sub(r"(?<=\s)[\w-]+(?:__|--)[\w-]+", "", source)
    source = re.sub(r"^\w+(?:\.json|/)$", "", source, flags=re.MULTILINE)  # a list of files
    words = Words()
    words.feed(source)
    words.close()
    return [word for text in words.found for word in LETTERS.findall(text) if word not in SAME_EVERYWHERE]


def test_templates_have_no_words_outside_gettext() -> None:
    wrong = []
    for path in sorted((ROOT / "templates").rglob("*")):
        name = str(path.relative_to(ROOT / "templates"))
        if path.suffix in {".html", ".txt"} and name not in ENGLISH:
            words = bare_words(path.read_text())
            if words:
                wrong.append(f"templates/{name}: {' '.join(words)[:120]}")
    assert not wrong, shown(wrong)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<p>Hello there</p>", ["Hello", "there"]),
        ('<img alt="A spot">', ["spot"]),
        ("<p>{% translate 'Hello' %} {{ name }} · 87 %</p>", []),
        ("{% blocktranslate trimmed with a=b %}Hello {{ a }}{% endblocktranslate %}", []),
        ("<a href='{% url \"home\" %}'{% if x %} class='on'{% endif %}>Teri</a>", []),
        ("{# a note #}{% comment %}words{% endcomment %}<style>p { color: red }</style>", []),
    ],
)
def test_bare_words_are_seen(source: str, words: list[str]) -> None:
    assert bare_words(source) == words


def test_pages_say_their_language() -> None:
    for path in (ROOT / "templates").rglob("*.html"):
        for tag in re.findall(r"<html\b[^>]*>", path.read_text()):
            assert 'lang="{{ LANGUAGE_CODE' in tag or str(path).endswith(ENGLISH), path


# Attributes that hold numbers for a program, which would write a decimal comma in Russian and Kazakh.
MEASURES: Final = re.compile(
    r"""\s(?:x|y|[xy][12]|d[xy]|c[xy]|r[xy]?|d|points|transform|data-[xy])="([^"]*\{\{[^"]*)\""""
)
NOT_LOCALIZED: Final = re.compile(r"{%\s*localize off\s*%}.*?{%\s*endlocalize\s*%}", re.DOTALL)
# Whole numbers, and strings that Python has written.
WRITTEN: Final = re.compile(r"step\.x|chart\.(top|bottom)|\w+\.(path|points)")


def test_numbers_for_programs_are_not_written_in_a_language() -> None:
    wrong = []
    for path in sorted((ROOT / "templates").rglob("*.html")):
        for value in MEASURES.findall(NOT_LOCALIZED.sub("", path.read_text())):
            for expression in re.findall(r"\{\{\s*(.*?)\s*\}\}", value):
                name = expression.split("|")[0]
                fixed = re.search(r"\|(unlocalize|stringformat|bar_width|add):?", expression)
                if not fixed and not WRITTEN.fullmatch(name):
                    wrong.append(f"{path.relative_to(ROOT)}: {{{{ {expression} }}}} needs |unlocalize")
    assert not wrong, shown(wrong)


# What people read when it is given as a literal: keywords of fields and models, and errors shown on pages.
TEXT_KEYWORDS: Final = frozenset(
    {"label", "help_text", "verbose_name", "verbose_name_plural", "empty_label", "violation_error_message"}
)
TEXT_CALLS: Final = frozenset({"ValidationError", "validation_error"})
PROBLEM_WORDS: Final = 2  # Problem(status, code, words)
MESSAGE_CALLS: Final = frozenset({"success", "info", "warning"})


# "email_taken" is a code, of which somebody else makes a sentence.
CODE: Final = re.compile(r"[a-z]+(_[a-z]+)+")


def bare_texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Literals in places where people read them, which no gettext call wraps."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            names = [each.id for each in node.targets if isinstance(each, ast.Name)]
            if set(names) & TEXT_KEYWORDS:
                yield from _literal(node.value)
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        for keyword in node.keywords:
            if keyword.arg in TEXT_KEYWORDS or (keyword.arg == "description" and called in {"display", "action"}):
                yield from _literal(keyword.value)
        if called in TEXT_CALLS:
            for value in node.args[:1]:
                yield from _literal(value)
                for inner in ast.walk(value) if isinstance(value, ast.Dict | ast.List) else ():
                    if isinstance(value, ast.Dict) and inner in value.values:
                        yield from _literal(inner)
        if called == "Problem":
            for value in node.args[PROBLEM_WORDS:]:
                yield from _literal(value)
        if called in MESSAGE_CALLS and isinstance(owner, ast.Name) and owner.id == "messages":
            for value in node.args[1:2]:
                yield from _literal(value)


def _literal(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and LETTERS.search(node.value)
        and not CODE.fullmatch(node.value)
    ):
        yield node.lineno, ast.unparse(node)


def test_python_has_no_texts_outside_gettext() -> None:
    wrong = []
    for app in ("accounts", "diagnoses", "training"):
        for path in sorted((ROOT / app).rglob("*.py")):
            if {"management", "migrations", "pipeline"} & set(path.parts):
                continue  # operators' commands are in English
            found = bare_texts(ast.parse(path.read_text()))
            wrong += [f"{path.relative_to(ROOT)}:{line}: {text[:90]}" for line, text in found]
    assert not wrong, shown(wrong)


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ('forms.CharField(label="Your name")', True),
        ('forms.CharField(label=_("Your name"))', False),
        ('raise ValidationError({"name": "Choose one."})', True),
        ('raise ValidationError({"name": _("Choose one.")})', False),
        ('messages.success(request, f"Saved {x}.")', True),
        ('logger.info("Saved")', False),
        ('class Meta:\n    verbose_name = "photo"', True),
        ('raise ValidationError("email_taken")', False),
    ],
)
def test_bare_texts_are_seen(source: str, seen: bool) -> None:
    assert bool(list(bare_texts(ast.parse(source)))) is seen


def test_scripts_have_no_words_of_their_own() -> None:
    """Their words come from data attributes, which templates translate."""
    spoken = re.compile(
        r"""(?:(?:textContent|innerText|innerHTML|title|ariaLabel|alt|placeholder)\s*=|alert\(|confirm\()\s*["'`]([^"'`]*)["'`]"""
    )
    wrong = [
        f"{path.name}: {text}"
        for path in sorted((ROOT / "static/js").glob("*.js"))
        for text in spoken.findall(path.read_text())
        if LETTERS.search(re.sub(r"\$\{[^}]*\}", "", text))
    ]
    assert not wrong, shown(wrong)
