"""Own the question whether the answers of the live classifier have moved, and clinicians' agreement with them.

`statistics` are plain functions of counts, `measured` asks the database, `drawing` makes the geometry of the charts.
"""

from diagnoses.monitoring.drift.drawing import BarChart, bars_of_mix, bars_of_scores
from diagnoses.monitoring.drift.measured import AnswerCounts, Comparison, Drift, Readings, measure_drift

__all__ = [
    "AnswerCounts",
    "BarChart",
    "Comparison",
    "Drift",
    "Readings",
    "bars_of_mix",
    "bars_of_scores",
    "measure_drift",
]
