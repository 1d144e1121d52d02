"""Own what the calibration split decides: temperature, thresholds on the malignant score, prediction sets."""

from training.pipeline.calibration.points import advised, choose_decision, choose_edges, choose_operating_points
from training.pipeline.calibration.sets import COVERAGE, set_thresholds
from training.pipeline.calibration.temperature import fit_temperature

__all__ = [
    "COVERAGE",
    "advised",
    "choose_decision",
    "choose_edges",
    "choose_operating_points",
    "fit_temperature",
    "set_thresholds",
]
