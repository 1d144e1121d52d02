"""File names for display: one harmless line."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.sandbox import shown_name
from recognition.sandbox.file_names import MAX_SHOWN, UNNAMED

STRUCTURE = set("/\\:*?\"<>|;`$%{}&'")


def is_harmless(name: str) -> bool:
    return (
        0 < len(name) <= MAX_SHOWN
        and name == name.strip()
        and not STRUCTURE & set(name)
        and name[0] not in "=+-@~."
        and not any(unicodedata.category(character)[0] == "C" for character in name)
        and len(name.splitlines()) == 1
    )


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("mole.jpg", "mole.jpg"),
        ("фото пациента.jpg", "фото пациента.jpg"),
        ("照片.jpg", "照片.jpg"),
        ("n\u0303.jpg", "ñ.jpg"),
        ("😀.jpg", "😀.jpg"),
        ("../../../etc/passwd.jpg", "passwd.jpg"),
        ("..\\..\\windows\\win.ini.jpg", "win.ini.jpg"),
        ("a\r\nX-Injected: 1.jpg", "aX-Injected 1.jpg"),
        ("\u202egpj.exe", "gpj.exe"),
        ("=cmd|' /C calc'!A0.jpg", "C calc!A0.jpg"),
        ("-rf.jpg", "rf.jpg"),
        ("  two   spaces .jpg ", "two spaces .jpg"),
        ("", UNNAMED),
        (None, UNNAMED),
        ("..", UNNAMED),
        ("\u200b\u200b", UNNAMED),
        ("folder/", "folder"),
    ],
)
def test_names_as_shown(sent: str | None, shown: str) -> None:
    assert shown_name(sent) == shown


def test_a_long_name_keeps_its_beginning_and_its_extension() -> None:
    shown = shown_name("mole on the left arm " * 20 + ".jpeg")
    assert len(shown) == MAX_SHOWN
    assert shown.startswith("mole on the left arm")
    assert shown.endswith("….jpeg")
    assert len(shown_name("a." + "b" * 500)) == MAX_SHOWN


def test_the_hostile_names(shared_data: Path) -> None:
    names = json.loads((shared_data / "hostile_images/hostile_filenames.json").read_text(encoding="utf-8"))
    assert len(names) > 40
    assert [name for name in names if not is_harmless(shown_name(name))] == []


@given(st.text())
def test_any_name_at_all(name: str) -> None:
    assert is_harmless(shown_name(name))
