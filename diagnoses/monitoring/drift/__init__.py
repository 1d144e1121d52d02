"""Drift: whether the answers of the live classifier, and the clinicians' agreement with them, have changed.

`statistics` has plain functions of counts, `measured` queries the database, `drawing` computes the charts.
"""

from diagnoses.monitoring.drift.drawing import BarChart, bars_of_mix, bars_of_scores
from diagnoses.monitoring.drift.measured import AnswerCounts, Comparison, Drift, KindDrift, Readings, measure_drift

__all__ = [
    "AnswerCounts",
    "BarChart",
    "Comparison",
    "Drift",
    "KindDrift",
    "Readings",
    "bars_of_mix",
    "bars_of_scores",
    "measure_drift",
]
