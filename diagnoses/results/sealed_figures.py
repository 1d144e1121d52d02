"""The sealed figures: measured shares with their 95 % intervals, read from the manifest of a classifier.

A manifest is written when a bundle is sealed, and copied to `Classifier.manifest`. Older manifests lack some figures.
Missing or unexpected values become None and are left out on the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diagnoses.photos.models import PhotoAssessment
from recognition.inference.assessment import Decision
from recognition.inference.bundle import image_type_blocks
from recognition.taxonomy import DERMOSCOPIC


@dataclass(frozen=True)
class Interval:
    """A share between 0 and 1 with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ScoreFigures:
    """The share of cancers with this score on the sealed test split.

    `cancers` is the share among the `pictures` test pictures with this score; `all_cancers` is the share among all
    `all_pictures` test pictures, for comparison.
    """

    score: int
    pictures: int
    cancers: Interval
    all_pictures: int
    all_cancers: float


@dataclass(frozen=True)
class PointFigures:
    """The performance of a threshold of the malignant score on the sealed test split. None: not measured."""

    decision: Decision
    threshold: float | None
    sensitivity: Interval | None
    melanoma_sensitivity: Interval | None
    specificity: Interval | None


@dataclass(frozen=True)
class SetFigures:
    """The target coverage of the prediction sets, and the coverage measured on the test split."""

    coverage: float
    test_coverage: float | None


@dataclass(frozen=True)
class SealedFigures:
    """All sealed figures for one assessment."""

    score: ScoreFigures | None
    points: tuple[PointFigures, ...]
    sets: SetFigures | None


def sealed_figures_of(row: PhotoAssessment) -> SealedFigures:
    """The sealed figures of this assessment's classifier, as far as its manifest has them."""
    manifest = image_type_blocks(row.prediction.classifier.manifest).get(row.image_type or DERMOSCOPIC, {})
    assessment = _mapping(manifest.get("assessment"))
    return SealedFigures(
        score=score_figures(assessment.get("score"), row.score),
        points=tuple(
            point for decision in (Decision.URGENT, Decision.SOON) if (point := _point(manifest, decision)) is not None
        ),
        sets=_sets(assessment.get("conformal")),
    )


def score_figures(table: object, score: int | None) -> ScoreFigures | None:
    """One row of the manifest's score table. None without a table, a score, or pictures with this score."""
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
