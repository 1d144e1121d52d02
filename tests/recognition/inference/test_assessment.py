"""The assessment as a value: impossible ones are refused, and JSON gives the same one back."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recognition.inference.assessment import CODES_OF, Assessment, Decision, Gate, GateResult

ROOT = Path(__file__).resolve().parents[3]
PASSED = tuple(GateResult(gate, True) for gate in Gate)


def gates(**codes: str) -> tuple[GateResult, ...]:
    return tuple(GateResult(gate, gate.value not in codes, codes.get(gate.value, ""), 0.5, 1.0) for gate in Gate)


WHOLE = (
    Assessment(Decision.URGENT, 10, PASSED, ("MEL",)),
    Assessment(Decision.SOON, None, gates(certainty="uncertain"), ("NV", "MEL", "BKL", "BCC")),
    Assessment(Decision.MONITOR, 1, gates(), ("NV",), 90),
    Assessment(Decision.NOT_ASSESSED, None, gates(quality="blurred", familiarity="unfamiliar"), ("NV",)),
)


@pytest.mark.parametrize("assessment", WHOLE)
def test_it_comes_out_of_json_as_it_went_in(assessment: Assessment) -> None:
    assert Assessment.from_json(json.loads(json.dumps(assessment.as_json()))) == assessment


@pytest.mark.parametrize(
    "change",
    [
        {"decision": "all is well"},
        {"decision": "urgent"},
        {"score": 0},
        {"score": 11},
        {"score": 2.5},
        {"score": True},
        {"monitor_days": None},
        {"monitor_days": 0},
        {"prediction_set": ["NV", "NV"]},
        {"prediction_set": ["UNK"]},
        {"prediction_set": "NV"},
        {"gates": []},
        {"gates": [gate.value for gate in Gate]},
        {"more": 1},
    ],
)
def test_what_as_json_cannot_have_written_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Assessment.from_json(WHOLE[2].as_json() | change)


@pytest.mark.parametrize(
    "change",
    [{"gate": "beauty"}, {"passed": False}, {"passed": 1}, {"code": "blurred"}, {"measured": "x"}, {"limit": True}],
)
def test_a_gate_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    values = WHOLE[2].as_json()
    values["gates"][0] |= change
    with pytest.raises(ValueError, match=r".+"):
        Assessment.from_json(values)


def test_a_measure_that_is_not_a_number_never_gets_into_the_database() -> None:
    with pytest.raises(ValueError, match="not a number"):
        GateResult(Gate.QUALITY, True, "", float("nan"), 1.0)


def test_a_refused_picture_has_no_other_advice_and_an_assessed_one_some() -> None:
    refused = gates(familiarity="unfamiliar")
    with pytest.raises(ValueError, match="follow"):
        Assessment(Decision.MONITOR, 1, refused, (), 90)
    with pytest.raises(ValueError, match="follow"):
        Assessment(Decision.NOT_ASSESSED, None, PASSED)
    with pytest.raises(ValueError, match="score"):
        Assessment(Decision.NOT_ASSESSED, 3, refused)
    first = Assessment(Decision.NOT_ASSESSED, None, gates(quality="too_dark", familiarity="unfamiliar")).refusal
    assert first is not None
    assert first.code == "too_dark"
    assert WHOLE[1].refusal is None


def test_every_gate_has_codes_of_its_own() -> None:
    codes = [code for gate in Gate for code in CODES_OF[gate]]
    assert len(codes) == len(set(codes))
    with pytest.raises(ValueError, match="quality"):
        GateResult(Gate.QUALITY, False, "unfamiliar")


def test_reading_one_needs_no_numpy() -> None:
    program = (
        "import sys, recognition.inference.assessment; print(sorted({'numpy', 'PIL', 'django'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
