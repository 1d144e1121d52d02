"""Own reading what a manifest says about how far an answer can be trusted: shares with their 95 % intervals.

A manifest is written by the sealing of a bundle and copied to `Classifier.manifest`. Older ones lack parts of it; what
is lacking or not as expected is None here and left out on the page, never guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diagnoses.photos.models import Prediction
from recognition.inference.assessment import Decision


@dataclass(frozen=True)
class Interval:
    """A share between 0 and 1 with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ScoreFigures:
    """What a score meant on the sealed test split.

    `cancers` is the share of cancers among the `pictures` test pictures with this score; `all_cancers` that among all
    `all_pictures` of them, to compare with.
    """

    score: int
    pictures: int
    cancers: Interval
    all_pictures: int
    all_cancers: float


@dataclass(frozen=True)
class PointFigures:
    """How a threshold of the malignant score did on the sealed test split; what was not measured is None."""

    decision: Decision
    threshold: float | None
    sensitivity: Interval | None
    melanoma_sensitivity: Interval | None
    specificity: Interval | None


@dataclass(frozen=True)
class SetFigures:
    """In what share of cases a prediction set is to hold the right diagnosis, and in what share of the test it did."""

    coverage: float
    test_coverage: float | None


@dataclass(frozen=True)
class SealedFigures:
    """All that is known behind one prediction."""

    score: ScoreFigures | None
    points: tuple[PointFigures, ...]
    sets: SetFigures | None


def sealed_figures_of(prediction: Prediction) -> SealedFigures:
    """The figures of the classifier that made this prediction, as far as its manifest holds them."""
    manifest = prediction.classifier.manifest
    assessment = _mapping(manifest.get("assessment"))
    return SealedFigures(
        score=score_figures(assessment.get("score"), prediction.score),
        points=tuple(
            point for decision in (Decision.URGENT, Decision.SOON) if (point := _point(manifest, decision)) is not None
        ),
        sets=_sets(assessment.get("conformal")),
    )


def score_figures(table: object, score: int | None) -> ScoreFigures | None:
    """One row of the manifest's score table, or None where there is no table, no score, or no picture behind it."""
    rows = [_mapping(row) for row in table] if isinstance(table, Sequence) and not isinstance(table, str) else []
    row = next((row for row in rows if score is not None and row.get("score") == score), {})
    pictures = _count(row.get("pictures"))
    cancers = _interval({"value": row.get("share"), "low": row.get("low"), "high": row.get("high")})
    all_pictures = sum(_count(each.get("pictures")) for each in rows)
    if score is None or not pictures or cancers is None:
        return None
    all_malignant = sum(_count(each.get("malignant")) for each in rows)
    return ScoreFigures(score, pictures, cancers, all_pictures, all_malignant / all_pictures)


def _point(manifest: Mapping[str, Any], decision: Decision) -> PointFigures | None:
    chosen = _mapping(_mapping(_mapping(manifest.get("assessment")).get("decision")).get(decision.value))
    measured = _mapping(_mapping(_mapping(manifest.get("metrics")).get("decision")).get(decision.value))
    point = PointFigures(
        decision=decision,
        threshold=_share(chosen.get("threshold")),
        sensitivity=_interval(measured.get("sensitivity")),
        melanoma_sensitivity=_interval(measured.get("melanoma_sensitivity")),
        specificity=_interval(measured.get("specificity")),
    )
    return point if point.sensitivity is not None or point.specificity is not None else None


def _sets(conformal: object) -> SetFigures | None:
    values = _mapping(conformal)
    coverage = _share(values.get("coverage"))
    return None if coverage is None else SetFigures(coverage, _share(values.get("test_coverage")))


def _interval(values: object) -> Interval | None:
    ends = _mapping(values)
    value, low, high = (_share(ends.get(name)) for name in ("value", "low", "high"))
    return None if value is None or low is None or high is None else Interval(value, low, high)


def _share(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return None
    return float(value)


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
