"""Calibration on the calibration split: temperature, thresholds on the malignant score, prediction sets.

`assessment` fits the manifest's assessment block with them, and measures it on the test split.
"""

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
