"""The assessor: from the measurements of a picture to its answer, with the calibration and the limits of one bundle.

A kind of picture that a bundle knows has these parts in the manifest's `image_types`:

    calibration       temperature, prior_strength, strengths; see `calibration`
    operating_points  thresholds on the malignant score
    assessment        the limits, each optional:
        quality        the fields of `QualityLimits`
        familiarity    OOD detection: "limit" (and what was measured); its tensors are in familiarity.safetensors
        conformal      "thresholds" by code, "size_max", "coverage" (and what was measured)
        decision       "soon" and "urgent", each with "threshold" and what it achieved on the calibration split
        score          ten entries, "score", "from", "to" on the malignant score (and the share of cancers at each)
        monitor_days   after how many days to photograph again
        live           reference for the alarm, see `degenerate_output`

Without a part its gate passes and its result is left out. Without "decision" the threshold of the operating point
"balanced" gives "soon"; without that too, every picture gets at least "soon".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from recognition.inference.assessment import REFUSING, SCORE_MAX, Assessment, Decision, Gate, GateResult
from recognition.inference.calibration import Calibration, softmax
from recognition.inference.case_mix import BALANCED, CaseMix
from recognition.inference.decision import MONITOR_DAYS, decide, score_of, with_metadata
from recognition.inference.image_type import contradicts, recognised
from recognition.inference.metadata import Metadata, MetadataTable, Strengths
from recognition.inference.ood import check_ood
from recognition.inference.outputs import PictureOutputs
from recognition.inference.prediction_set import check_prediction_set, prediction_set
from recognition.inference.quality import DEFAULT_LIMITS, QualityLimits, check_quality
from recognition.taxonomy import CODES, DERMOSCOPIC, IMAGE_TYPES, MALIGNANT_POSITIONS, Diagnosis

if TYPE_CHECKING:
    from recognition.inference.bundle import Manifest

ALWAYS_SOON: Final = 0.0
NEVER_URGENT: Final = math.inf

ADVICE_POINT: Final = "balanced"
"""The operating point whose threshold gives "soon" in bundles without a decision."""

TOLD: Final = "told"
RECOGNISED: Final = "recognised"
ASSUMED: Final = "assumed"
"""How the kind of a picture is known. "Assumed": nobody told it, and the bundle cannot recognise it."""


@dataclass(frozen=True, slots=True)
class AssessmentSettings:
    """The sealed limits for one kind of picture, checked. Thresholds and edges are malignant scores, 0 to 1."""

    quality: QualityLimits = DEFAULT_LIMITS
    ood_limit: float | None = None
    set_thresholds: Mapping[str, float] | None = None
    set_size_max: int = len(CODES)
    soon: float = ALWAYS_SOON
    urgent: float = NEVER_URGENT
    edges: tuple[float, ...] | None = None
    monitor_days: int = MONITOR_DAYS

    @classmethod
    def from_json(cls, block: Mapping[str, Any], *, fallback: float | None = None) -> Self:
        """Read the block "assessment"; `fallback` is the threshold for "soon" if the block has none.

        Raises ValueError, KeyError, TypeError or AttributeError for a malformed block.
        """
        conformal, decision, scores = block.get("conformal"), block.get("decision"), block.get("score")
        ood = block.get("familiarity")
        made = cls(
            quality=QualityLimits.from_json(block["quality"]) if block.get("quality") else DEFAULT_LIMITS,
            ood_limit=float(ood["limit"]) if ood else None,
            set_thresholds={code: float(conformal["thresholds"][code]) for code in CODES} if conformal else None,
            set_size_max=int(conformal["size_max"]) if conformal else len(CODES),
            soon=float(decision["soon"]["threshold"]) if decision else ALWAYS_SOON if fallback is None else fallback,
            urgent=float(decision["urgent"]["threshold"]) if decision else NEVER_URGENT,
            edges=tuple(float(entry["from"]) for entry in scores[1:]) if scores else None,
            monitor_days=int(block.get("monitor_days", MONITOR_DAYS)),
        )
        if not made.soon <= made.urgent:
            raise ValueError("The threshold for soon lies above the one for urgent.")
        if made.edges is not None and (len(made.edges) != SCORE_MAX - 1 or list(made.edges) != sorted(set(made.edges))):
            raise ValueError(f"A score has {SCORE_MAX} rising steps.")
        if made.monitor_days < 1:
            raise ValueError("The days until the next photograph are at least one.")
        return made


@dataclass(frozen=True, slots=True)
class ImageTypeSettings:
    """The calibration and the limits for one kind of picture."""

    calibration: Calibration
    limits: AssessmentSettings

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """Read an entry of the manifest's `image_types`. Raises as `AssessmentSettings.from_json`."""
        points = (each for each in block["operating_points"] if each["name"] == ADVICE_POINT)
        fallback = next((float(each["threshold"]) for each in points), None)
        return cls(
            Calibration.from_json(block["calibration"]),
            AssessmentSettings.from_json(block["assessment"], fallback=fallback),
        )


def malignant_score(probabilities: Sequence[float] | NDArray[np.floating]) -> float:
    """MEL + BCC + SCC of one row of probabilities (8,), 0 to 1."""
    return min(1.0, float(np.asarray(probabilities)[list(MALIGNANT_POSITIONS)].sum()))


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What is said of one picture.

    - `image_type`: the kind as which it was assessed; `source`: how that is known: "told", "recognised" or "assumed";
    - `contradicted`: the kind was told, and the picture looks clearly like the other one;
    - `case_mix`: that of the probabilities;
    - `probabilities`, `picture_alone`: float64 (8,), with and without the metadata, summing to 1;
    - `malignant_score`: MEL + BCC + SCC at the *sealed* case mix, by which advice and score go. It is with metadata,
      unless these would lower the advice too far (`decision.with_metadata`): then it is that with the answers alone, or
      of the picture alone;
    - `used`: the fields of the metadata that counted; `picture_decision`: the advice by the picture alone.
    """

    image_type: str
    source: str
    contradicted: bool
    case_mix: CaseMix
    probabilities: NDArray[np.float64]
    picture_alone: NDArray[np.float64]
    malignant_score: float
    used: tuple[str, ...]
    picture_decision: Decision
    assessment: Assessment

    @property
    def diagnosis(self) -> Diagnosis:
        """The most probable diagnosis."""
        return Diagnosis(CODES[int(self.probabilities.argmax())])

    @property
    def confidence(self) -> float:
        """The probability of the most probable diagnosis."""
        return float(self.probabilities.max())


@dataclass(frozen=True, slots=True, eq=False)
class LesionAnswer:
    """What is said of one lesion from several pictures; `probabilities` and `malignant_score` as in `Answer`.

    `pictures` is the number of pictures that passed the gates and count.
    """

    probabilities: NDArray[np.float64]
    malignant_score: float
    decision: Decision
    pictures: int


@dataclass(frozen=True, slots=True)
class Assessor:
    """Calibration and limits of one bundle for each kind of picture that it knows, ready to assess pictures.

    - `image_types`: at least one; `case_mix`: the sealed one;
    - `table`: how age, sex, site and answers count;
    - `absent`: codes that are never answered, because the network has not learned a picture of them;
    - `lesion`: thresholds for a lesion with pictures of both kinds, or None.
    """

    image_types: Mapping[str, ImageTypeSettings]
    case_mix: CaseMix = BALANCED
    table: MetadataTable = field(default_factory=MetadataTable)
    absent: tuple[str, ...] = ()
    lesion: AssessmentSettings | None = None

    @classmethod
    def from_manifest(cls, manifest: "Manifest") -> Self:
        """The assessor of a bundle. Needs its manifest alone, no other file.

        Raises ValueError, KeyError, TypeError or AttributeError for a malformed manifest.
        """
        return cls(
            image_types={name: ImageTypeSettings.from_json(block) for name, block in manifest.image_types.items()},
            case_mix=CaseMix.from_json(manifest.case_mix),
            table=MetadataTable.from_json(manifest.metadata_table),
            absent=tuple(manifest.absent),
            lesion=AssessmentSettings.from_json(manifest.lesion) if manifest.lesion.get("decision") else None,
        )

    def __post_init__(self) -> None:
        if not self.image_types or not set(self.image_types) <= set(IMAGE_TYPES):
            raise ValueError(f"A bundle knows at least one kind of picture, of {', '.join(IMAGE_TYPES)}.")
        if not set(self.absent) < set(CODES):
            raise ValueError("Absent diagnoses are some of the eight, not all.")

    def assess(
        self,
        outputs: PictureOutputs,
        *,
        image_type: str = "",
        metadata: Metadata | None = None,
        case_mix: CaseMix | None = None,
    ) -> Answer:
        """The answer for one picture.

        `image_type` is the kind that somebody told, "" if nobody did. `case_mix` is that of the probabilities, by
        default the sealed one; advice, score and malignant score always go by the sealed one, where the thresholds were
        chosen.
        """
        kind, source = self._kind(outputs, image_type)
        known = self._settings(kind)
        stated = self.served_mix(case_mix)
        contributions = self._contributions(metadata, known.calibration.strengths)

        def rows(mix: CaseMix) -> list[NDArray[np.float64]]:
            """With all metadata, with the answers alone, without any."""
            return [self._probabilities(known.calibration.scores(outputs.logits, mix, each)) for each in contributions]

        sealed = rows(self.case_mix)
        score, decision, picture_decision = self._advice(sealed, limits=known.limits)
        probabilities, _with_answers, alone = sealed if stated == self.case_mix else rows(stated)
        codes = (
            () if known.limits.set_thresholds is None else prediction_set(probabilities, known.limits.set_thresholds)
        )
        gates = self._gates(outputs, kind, codes)
        refused = any(not result.passed for result in gates if result.gate in REFUSING)
        return Answer(
            image_type=kind,
            source=source,
            contradicted=source == TOLD and outputs.dermoscopic is not None and contradicts(kind, outputs.dermoscopic),
            case_mix=stated,
            probabilities=probabilities,
            picture_alone=alone,
            malignant_score=score,
            used=self.table.used(metadata, known.calibration.strengths),
            picture_decision=Decision.NOT_ASSESSED if refused else picture_decision,
            assessment=Assessment(Decision.NOT_ASSESSED, None, gates, codes)
            if refused
            else Assessment(
                decision=decision,
                score=None if known.limits.edges is None else score_of(score, known.limits.edges),
                gates=gates,
                prediction_set=codes,
                monitor_days=known.limits.monitor_days if decision is Decision.MONITOR else None,
            ),
        )

    def assess_lesion(
        self,
        pictures: Sequence[tuple[PictureOutputs, str]],
        *,
        metadata: Metadata | None = None,
        case_mix: CaseMix | None = None,
    ) -> LesionAnswer | None:
        """The joint answer for pictures of one lesion, each with the kind that was told ("" if none was).

        The scores of the pictures that pass the gates are averaged. None for fewer than two of these.
        """
        counted = []
        for outputs, told in pictures:
            kind, _source = self._kind(outputs, told)
            if all(result.passed for result in self._gates(outputs, kind, ()) if result.gate in REFUSING):
                counted.append((outputs, self._settings(kind), kind))
        if len(counted) < 2:
            return None

        def joint(mix: CaseMix) -> list[NDArray[np.float64]]:
            """With all metadata, with the answers alone, without any."""
            rows = [
                [
                    known.calibration.scores(outputs.logits, mix, each)
                    for each in self._contributions(metadata, known.calibration.strengths)
                ]
                for outputs, known, _kind in counted
            ]
            return [self._probabilities(each) for each in np.mean(rows, axis=0)]

        kinds = {kind for _outputs, _known, kind in counted}
        limits = min((known.limits for _outputs, known, _kind in counted), key=lambda each: each.soon)
        score, decision, _alone = self._advice(
            joint(self.case_mix),
            limits=self.lesion if self.lesion is not None and len(kinds) > 1 else limits,
        )
        return LesionAnswer(joint(case_mix or self.case_mix)[0], score, decision, len(counted))

    def served_mix(self, stated: CaseMix | None) -> CaseMix:
        """The case mix of the probabilities where somebody states one, None for nobody: the sealed one unless stated.

        In bundles from before case mixes, which have no prior strength, nothing that is stated changes them.
        """
        moves = any(known.calibration.prior_strength > 0 for known in self.image_types.values())
        return stated if stated is not None and moves else self.case_mix

    def _kind(self, outputs: PictureOutputs, told: str) -> tuple[str, str]:
        """The kind of a picture and how it is known."""
        if told in IMAGE_TYPES:
            return told, TOLD
        if outputs.dermoscopic is not None:
            return recognised(outputs.dermoscopic), RECOGNISED
        return (DERMOSCOPIC if DERMOSCOPIC in self.image_types else next(iter(self.image_types))), ASSUMED

    def _settings(self, kind: str) -> ImageTypeSettings:
        """The settings for a kind of picture; those of another one for a kind that the bundle does not know."""
        return self.image_types.get(kind) or next(iter(self.image_types.values()))

    def _probabilities(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.absent:
            scores = scores.copy()
            scores[..., [CODES.index(code) for code in self.absent]] = -np.inf
        return softmax(scores)

    def _contributions(
        self, metadata: Metadata | None, strengths: Strengths
    ) -> tuple[NDArray[np.float64] | float, NDArray[np.float64] | float, float]:
        """What all metadata add to the scores, what the answers alone add, and nothing."""
        answers = replace(strengths, demographics=0.0)
        return self.table.contribution(metadata, strengths), self.table.contribution(metadata, answers), 0.0

    def _advice(
        self, rows: Sequence[NDArray[np.float64]], *, limits: AssessmentSettings
    ) -> tuple[float, Decision, Decision]:
        """The malignant score to go by, the advice, and the advice by the picture alone.

        `rows` are probabilities at the sealed case mix: with all metadata, with the answers alone, without any.
        """
        scores = [malignant_score(row) for row in rows]
        decisions = [
            decide(score, Diagnosis(CODES[int(row.argmax())]), soon=limits.soon, urgent=limits.urgent)
            for score, row in zip(scores, rows, strict=True)
        ]
        decision = with_metadata(decisions[0], with_answers=decisions[1], picture_alone=decisions[2])
        return scores[decisions.index(decision)], decision, decisions[2]

    def _gates(self, outputs: PictureOutputs, kind: str, codes: tuple[str, ...]) -> tuple[GateResult, ...]:
        limits = self._settings(kind).limits
        return (
            GateResult(Gate.QUALITY, True)
            if outputs.quality is None
            else check_quality(outputs.quality, limits.quality),
            self._check_ood(outputs, kind, limits.ood_limit),
            check_prediction_set(codes, limits.set_size_max) if codes else GateResult(Gate.PREDICTION_SET, True),
        )

    def _check_ood(self, outputs: PictureOutputs, kind: str, limit: float | None) -> GateResult:
        if kind not in self.image_types:
            return GateResult(Gate.OOD, False, "other_image_type")
        if limit is None or kind not in outputs.ood:
            return GateResult(Gate.OOD, True)
        return check_ood(outputs.ood[kind], limit)
