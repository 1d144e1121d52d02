"""Calibration on the calibration split, of each kind of picture: temperature and prior strength, thresholds, sets.

`assessment` fits an entry of the manifest's `image_types` with them and measures it on the test split, `lesion` does so
for pictures of both kinds of one lesion, `image_type` makes the head that recognises the kind.
"""

from recognition.fit.calibration.points import advised, choose_decision, choose_edges, choose_operating_points
from recognition.fit.calibration.scaling import fit_calibration
from recognition.fit.calibration.sets import COVERAGE, set_threshold

__all__ = [
    "COVERAGE",
    "advised",
    "choose_decision",
    "choose_edges",
    "choose_operating_points",
    "fit_calibration",
    "set_threshold",
]
