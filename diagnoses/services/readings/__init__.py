"""Readings by clinicians: whose turn it is, the blind answer, the final answer, and what they come to together."""

from diagnoses.services.readings.outcome import Outcome, outcome_of, settling_reading, wants_a_visit
from diagnoses.services.readings.rules import Said, next_state, reason_for_second, role_in
from diagnoses.services.readings.writing import (
    ReadingRefused,
    Refusal,
    begin_reading,
    record_blind,
    record_final,
    request_second_reading,
    settle_alone,
    somebody_else_may_read,
)

__all__ = [
    "Outcome",
    "ReadingRefused",
    "Refusal",
    "Said",
    "begin_reading",
    "next_state",
    "outcome_of",
    "reason_for_second",
    "record_blind",
    "record_final",
    "request_second_reading",
    "role_in",
    "settle_alone",
    "settling_reading",
    "somebody_else_may_read",
    "wants_a_visit",
]
