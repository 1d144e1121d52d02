"""Reasons: every code has a sentence, which can be filled, translated and pickled."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import pytest

from recognition.sandbox import REASONS, PhotoRejected

SANDBOX = Path(__file__).resolve().parents[3] / "recognition" / "sandbox"
RAISED = re.compile(r'PhotoRejected\(\s*"(\w+)"')
EXAMPLES: dict[str, str | int] = {
    "megabytes": 20,
    "format": "GIF",
    "width": 9000,
    "height": 8000,
    "megapixels": 50,
    "min_side": 64,
    "frames": 3,
}


@pytest.mark.parametrize("code", sorted(REASONS))
def test_a_reason_is_a_finished_sentence(code: str) -> None:
    names = re.findall(r"%\((\w+)\)s", REASONS[code])
    rejection = PhotoRejected(code, **{name: EXAMPLES[name] for name in names})
    assert "%" not in rejection.message
    assert rejection.message.endswith(".")
    assert rejection.template % rejection.params == rejection.message
    assert str(rejection) == f"{code}: {rejection.message}"


def test_the_code_raises_the_listed_reasons_and_no_other() -> None:
    raised = {code for path in SANDBOX.glob("*.py") for code in RAISED.findall(path.read_text(encoding="utf-8"))}
    assert raised == set(REASONS)


@pytest.mark.parametrize("code", ["no_such_code", "too_small"])
def test_a_reason_without_its_words_is_a_mistake_of_ours(code: str) -> None:
    with pytest.raises(KeyError):
        PhotoRejected(code)


def test_a_reason_survives_a_queue_and_a_copy() -> None:
    rejection = PhotoRejected("too_small", width=10, height=20, min_side=64)
    for other in (pickle.loads(pickle.dumps(rejection)), copy.copy(rejection)):  # noqa: S301  # our own bytes
        assert (other.code, other.params, other.message) == (rejection.code, rejection.params, rejection.message)


def test_only_a_sandbox_that_failed_is_our_fault() -> None:
    assert PhotoRejected("cage_failed").is_our_fault
    assert not PhotoRejected("broken").is_our_fault
