"""The sealed figures: measured shares with their 95 % intervals, read from the manifest of a classifier.

A manifest is written when a bundle is sealed, and copied to `Classifier.manifest`. It has the figures of each kind of
picture apart. Older manifests lack some figures. Missing or unexpected values become None and are left out on the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

from diagnoses.photos.models import PhotoAssessment
from diagnoses.templatetags.words import hundredths, of_hundred
from recognition.inference.assessment import Decision
from recognition.inference.assessor import malignant_score
from recognition.inference.bundle import image_type_blocks
from recognition.taxonomy import CODES, DERMOSCOPIC

WIDE: Final = 0.2
"""Few pictures leave an interval wider than this, such as 0 to 39 of 100: the share alone would say too much."""


@dataclass(frozen=True)
class Interval:
    """A share between 0 and 1 with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_wide(self) -> bool:
        """Whether the share must not be said without its interval."""
        return self.high - self.low > WIDE

    @property
    def said(self) -> str:
        """The share as a number of a hundred, with the interval where it is wide: "fewer than 1 (0 to 39)"."""
        if not self.is_wide:
            return of_hundred(self.value)
        ends = _("(%(low)s to %(high)s)") % {"low": hundredths(self.low), "high": hundredths(self.high)}
        return f"{of_hundred(self.value)} {ends}"


@dataclass(frozen=True)
class ScoreFigures:
    """The share of cancers among test pictures of one kind with this score, weighted to the sealed case mix.

    `pictures` is how many test pictures had the score; `all_cancers` is the share of cancers in the case mix. In
    manifests from before case mixes nothing is weighted, and `all_cancers` is the share in the whole test.
    """

    image_type: str
    score: int
    pictures: int
    cancers: Interval
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
    """All sealed figures for one assessment, of its kind of picture."""

    score: ScoreFigures | None
    points: tuple[PointFigures, ...]
    sets: SetFigures | None


def sealed_figures_of(assessment: PhotoAssessment) -> SealedFigures:
    """The sealed figures for this assessment, as far as the manifest of its classifier has them."""
    manifest = assessment.prediction.classifier.manifest
    # Assessments from before there were kinds were made with the figures of the only one.
    image_type = assessment.image_type or DERMOSCOPIC
    block = _mapping(image_type_blocks(manifest).get(image_type))
    limits = _mapping(block.get("assessment"))
    return SealedFigures(
        score=score_figures(limits.get("score"), assessment.score, image_type, _mapping(manifest.get("case_mix"))),
        points=tuple(
            point for decision in (Decision.URGENT, Decision.SOON) if (point := _point(block, decision)) is not None
        ),
        sets=_sets(limits.get("conformal")),
    )


def score_figures(
    table: object, score: int | None, image_type: str, case_mix: Mapping[str, Any]
) -> ScoreFigures | None:
    """One row of the manifest's score table. None without a table, a score, or pictures with this score."""
    rows = [_mapping(row) for row in table] if isinstance(table, Sequence) and not isinstance(table, str) else []
    row = next((row for row in rows if score is not None and row.get("score") == score), {})
    pictures = _count(row.get("pictures"))
    found = _interval({"value": row.get("share"), "low": row.get("low"), "high": row.get("high")})
    if score is None or not pictures or found is None:
        return None
    shares = _mapping(case_mix.get("shares"))
    if set(shares) == set(CODES):
        everywhere = malignant_score([_share(shares[code]) or 0.0 for code in CODES])
    else:
        everywhere = sum(_count(each.get("malignant")) for each in rows) / sum(
            _count(each.get("pictures")) for each in rows
        )
    return ScoreFigures(image_type, score, pictures, found, everywhere)


def _point(block: Mapping[str, Any], decision: Decision) -> PointFigures | None:
    chosen = _mapping(_mapping(_mapping(block.get("assessment")).get("decision")).get(decision.value))
    figures = _mapping(block.get("metrics"))
    # "decision" is what manifests before version 4 have.
    measured = _mapping(_mapping(figures.get("advice") or figures.get("decision")).get(decision.value))
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
