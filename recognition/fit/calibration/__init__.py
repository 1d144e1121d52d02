"""Own what the calibration split decides: temperature, thresholds on the malignant score, prediction sets."""

from recognition.fit.calibration.points import advised, choose_decision, choose_edges, choose_operating_points
from recognition.fit.calibration.sets import COVERAGE, set_thresholds
from recognition.fit.calibration.temperature import fit_temperature

__all__ = [
    "COVERAGE",
    "advised",
    "choose_decision",
    "choose_edges",
    "choose_operating_points",
    "fit_temperature",
    "set_thresholds",
]
