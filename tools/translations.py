"""The catalogs: `make messages` brings locale/*/LC_MESSAGES/django.po and .mo up to date with the sources.

`translations.py update`   what make messages does: foreign texts, Django's makemessages, compilation
`translations.py compile`  only .po to .mo, after translating; needs no gettext
`translations.py missing`  what is not translated yet, by language

Only makemessages needs GNU gettext; polib reads and compiles the catalogs. There are no fuzzy and no obsolete entries,
lines are not wrapped, and locations have no line numbers, so that a changed template changes only its own entries.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import polib

ROOT: Final = Path(__file__).resolve().parent.parent
LANGUAGES: Final = ("kk", "ru")
# Folders without texts of a page; Django leaves out those that begin with a dot.
NOT_SEARCHED: Final = ("benchmarks", "bundles", "devtools", "docs", "static", "staticfiles", "tests", "tools", "var")
FOREIGN_TEXTS: Final = ROOT / "accounts/foreign_texts.py"
GETTEXT_PROGRAMS: Final = ("xgettext", "msguniq", "msgmerge", "msgattrib")

# A text of the catalog: its context ("" for none) and its msgid.
Key = tuple[str, str]

# CLDR's plural rules for whole numbers. Django's Russian catalog has a fourth form for fractions, which whole numbers
# never use. gettext uses the rule of the catalog in which it finds the text.
PLURALS: Final = {
    "kk": "nplurals=2; plural=(n != 1);",
    "ru": ("nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);"),
}
FORMS: Final = {"kk": 2, "ru": 3}

# Packages whose texts people read here, and the folders of their catalogs. Some of their texts are never shown:
# features that are switched off, settings pages that do not exist, database fields without a form. They are excluded by
# source file, as the catalogs name it; the catalog of REST framework names no files.
PACKAGES: Final = {
    "django": "conf/locale",
    "django.contrib.auth": "locale",
    "django.contrib.admin": "locale",
    "allauth": "locale",
    "rest_framework": "locale",
}
# Django's Kazakh is old and has mistakes ("Date/time" is "Delete/Time"), so all its texts that people see are
# translated here; its names of days and months are right.
POOR: Final = {"kk": ("django", "django.contrib.auth", "django.contrib.admin")}
SHOWN_FILES: Final = {
    "django": r"core/(paginator|validators)|forms/|db/models/(base|constraints)|utils/(timesince|text)",
    "django.contrib.auth": r"contrib/auth/(forms|hashers|password_validation)",
    "django.contrib.admin": (
        r"contrib/admin/(?!apps|forms|templates/(admin/(404|500|login|invalid_setup|auth/)|registration/))"
    ),
    "allauth": r"account/(adapter|fields|forms|models|apps)|mfa/(adapter|models|totp|recovery_codes|apps)"
    r"|templates/account/(?!base_confirm_code|confirm_\w+_code|email_change|phone|request_login|signup_by|email/login_code)"
    r"|templates/mfa/(?!webauthn|trust)",
}
NEVER_SHOWN: Final = re.compile(
    r"\b(passkey|phone|security key|username|webauthn|passwordless|sign-in code|single sign-on|reset code)|^[^a-z]*$"
    r"|verification code is listed|PIN protection|%\(truncated_text\)s|slug|domain name|IPv|ManagementForm",
    re.IGNORECASE,
)
# Texts of the browsable API, which is switched off, and descriptions of its schema.
NEVER_SHOWN_BY_REST_FRAMEWORK: Final = re.compile(
    r"^(A page|A search|A \{value|Extra|Number of|The initial|The pagination|UUID string|Which field|content|main"
    r"|navbar|request|response|unique)"
)
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

INTRODUCTION: Final = '''"""Texts of the packages that people meet here and that lack (good) Kazakh or Russian there.

Made by `make messages` from the catalogs of the installed packages; not imported anywhere. Named here, the texts get
into our own catalogs, which are asked before those of the packages. What a package does have in a language may stay
empty in ours.
"""
# ruff: noqa: E501

from django.utils.translation import {names}

'''


def catalog_path(language: str) -> Path:
    """The path of the catalog of a language."""
    return ROOT / "locale" / language / "LC_MESSAGES" / "django.po"


def catalog(language: str) -> polib.POFile:
    """The catalog of a language, lines unwrapped."""
    return polib.pofile(str(catalog_path(language)), wrapwidth=0)


def key(entry: polib.POEntry | polib.MOEntry) -> Key:
    """The key by which gettext finds an entry."""
    return entry.msgctxt or "", entry.msgid


def is_translated(entry: polib.POEntry, language: str) -> bool:
    """Whether an entry is translated, with all plural forms."""
    if entry.fuzzy:
        return False
    if not entry.msgid_plural:
        return bool(entry.msgstr)
    return len(entry.msgstr_plural) == FORMS[language] and all(entry.msgstr_plural.values())


def from_packages(language: str) -> set[Key]:
    """Texts that the installed packages translate well into a language."""
    found: set[Key] = set()
    for package, folder in PACKAGES.items():
        if package in POOR.get(language, ()):
            continue
        path = _package(package) / folder / language / "LC_MESSAGES" / "django.mo"
        if path.exists():
            found |= {key(entry) for entry in polib.mofile(str(path))}
    return found


def missing(language: str) -> list[polib.POEntry]:
    """The entries that people would read in English: neither translated here nor by a package."""
    packages = from_packages(language)
    return [
        entry
        for entry in catalog(language)
        if not is_translated(entry, language) and not (_is_foreign(entry) and key(entry) in packages)
    ]


def foreign_texts() -> list[polib.POEntry | polib.MOEntry]:
    """Texts of packages that are shown here and lack one of our languages, in the order of the packages."""
    by_language = {language: from_packages(language) for language in LANGUAGES}
    chosen: dict[Key, polib.POEntry | polib.MOEntry] = {}
    for package in PACKAGES:
        for entry in _shown(package):
            if any(key(entry) not in known for known in by_language.values()):
                chosen.setdefault(key(entry), entry)
    for month in MONTHS:
        # Django's Kazakh writes months with a capital letter within a date too.
        chosen.setdefault(("alt. month", month), polib.POEntry(msgctxt="alt. month", msgid=month))
    return list(chosen.values())


def write_foreign_texts() -> int:
    """Write `accounts/foreign_texts.py`; returns the number of texts."""
    texts = foreign_texts()
    lines: list[str] = []
    names: set[str] = set()
    for entry in texts:
        arguments = [_quoted(entry.msgid)]
        name = "gettext_noop"
        if entry.msgid_plural:
            name, arguments = "ngettext_lazy", [*arguments, _quoted(entry.msgid_plural)]
        if entry.msgctxt:
            name = "npgettext_lazy" if entry.msgid_plural else "pgettext_lazy"
            arguments = [_quoted(entry.msgctxt), *arguments]
        names.add(name)
        lines.append(f"    {name}({', '.join(arguments)}),\n")
    head = INTRODUCTION.format(names=", ".join(sorted(names)))
    FOREIGN_TEXTS.write_text(f"{head}TEXTS = (\n{''.join(lines)})\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", str(FOREIGN_TEXTS)], check=True)
    return len(texts)


def can_collect() -> bool:
    """Whether GNU gettext is installed."""
    return all(shutil.which(program) for program in GETTEXT_PROGRAMS)


def collect() -> None:
    """Collect the texts of the sources into the catalogs. Raises SystemExit without GNU gettext."""
    if not can_collect():
        raise SystemExit(
            "Collecting the texts needs GNU gettext (Debian, Ubuntu: apt install gettext; macOS: brew install "
            "gettext). To turn translated .po files into .mo only: .venv/bin/python tools/translations.py compile"
        )
    from django.conf import settings
    from django.core.management import call_command
    from django.core.management.commands import makemessages

    class Command(makemessages.Command):
        msgmerge_options = [*makemessages.Command.msgmerge_options, "--no-fuzzy-matching"]

    settings.configure(USE_I18N=True, LOCALE_PATHS=[], MEDIA_ROOT="", STATIC_ROOT="")
    os.chdir(ROOT)
    call_command(
        Command(),
        locale=LANGUAGES,
        ignore_patterns=list(NOT_SEARCHED),
        no_wrap=True,
        no_obsolete=True,
        add_location="file",
        verbosity=0,
    )


def compiled(language: str) -> bytes:
    """The bytes of the .mo file of a language."""
    binary: bytes = catalog(language).to_binary()
    return binary


def compile_catalogs() -> None:
    """Write the .mo files."""
    for language in LANGUAGES:
        catalog_path(language).with_suffix(".mo").write_bytes(compiled(language))


def update() -> None:
    """Bring everything up to date with the sources."""
    write_foreign_texts()
    collect()
    compile_catalogs()


def report() -> None:
    """Print how many texts are not translated, by language and file."""
    for language in LANGUAGES:
        total, lacking = len(catalog(language)), missing(language)
        _say(f"{language}: {total} texts, {len(lacking)} not translated")
        places: dict[str, int] = {}
        for entry in lacking:
            place = entry.occurrences[0][0] if entry.occurrences else "?"
            places[place] = places.get(place, 0) + 1
        for place, number in sorted(places.items(), key=lambda each: -each[1]):
            _say(f"    {number:4} {place}")


def main(arguments: list[str]) -> None:
    """The command line; see the docstring of the module."""
    match arguments:
        case [] | ["update"]:
            update()
            report()
        case ["compile"]:
            compile_catalogs()
            report()
        case ["missing"]:
            report()
        case _:
            raise SystemExit(__doc__)


def _package(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def _shown(package: str) -> Iterator[polib.POEntry | polib.MOEntry]:
    """The texts of a package that are shown here, from its English catalog."""
    folder = _package(package) / PACKAGES[package] / "en" / "LC_MESSAGES"
    if package == "rest_framework":
        yield from (entry for entry in polib.mofile(str(folder / "django.mo")) if not _hidden(entry, package))
        return
    shown = re.compile(SHOWN_FILES[package])
    for entry in polib.pofile(str(folder / "django.po")):
        if entry.obsolete or _hidden(entry, package):
            continue
        if any(shown.match(place) for place, _line in entry.occurrences):
            yield entry


def _hidden(entry: polib.POEntry | polib.MOEntry, package: str) -> bool:
    if package == "rest_framework":
        return bool(NEVER_SHOWN_BY_REST_FRAMEWORK.search(entry.msgid) or NEVER_SHOWN.search(entry.msgid))
    return bool(NEVER_SHOWN.search(entry.msgid))


def _is_foreign(entry: polib.POEntry) -> bool:
    return any(place == "accounts/foreign_texts.py" for place, _line in entry.occurrences)


def _quoted(text: str) -> str:
    """A text as a Python literal in the style of ruff."""
    return repr(text) if '"' in text and "'" not in text else json.dumps(text, ensure_ascii=False)


def _say(text: str) -> None:
    print(text)  # noqa: T201 - this is a command line program


if __name__ == "__main__":
    main(sys.argv[1:])
