"""Statistics of agreement between two readers: shares, Cohen's kappa, their 95 % intervals, changed answers.

Intervals are by the bootstrap over lesions: readings of one lesion are not independent. What was read of a lesion is a
tuple of items, and lesions of which the same was read are counted (`counted_lesions`): to redraw lesions is then to
redraw these counts, so that a year of readings takes milliseconds. Nothing is stratified, for the truth is mostly
unknown.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation.intervals import ROUNDS, SEED, percentile_interval, share_interval
from recognition.taxonomy import CODES

MIN_PAIRS: Final = 30
"""Fewest pairs for a kappa: with fewer its interval is as wide as from no agreement to full."""

Item = TypeVar("Item", bound=tuple[Any, ...])

LabelPair = tuple[str, str]
"""Diagnosis of the first reader, diagnosis of the second."""

PairLesions = Mapping[tuple[LabelPair, ...], int]
"""How many lesions have just these pairs."""


@dataclass(frozen=True)
class Share:
    """The share `hits` / `of` with its 95 % interval; `value`, `low` and `high` are in [0, 1]."""

    hits: int
    of: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa with its 95 % interval: 1 is perfect agreement, 0 is agreement by chance, all in [-1, 1].

    `expected` is the share of agreement by chance, in [0, 1].
    """

    value: float
    low: float
    high: float
    expected: float


@dataclass(frozen=True)
class Agreement:
    """The agreement of two readers; `agreed` and `kappa` are None with too few pairs."""

    pairs: int
    agreed: Share | None
    kappa: Kappa | None


@dataclass(frozen=True, order=True)
class Change:
    """One reading: the blind answer, the classifier's diagnosis, the final answer.

    `blind` and `final` are a diagnosis code, or another word if the reader named no diagnosis. `predicted` is "" if the
    classifier gave none; `truth` is the histopathology, "" if unknown.
    """

    blind: str
    predicted: str
    final: str
    truth: str = ""


@dataclass(frozen=True)
class Switches:
    """How readers changed their answer after they saw the classifier's.

    - `readings`, `switched`: readings with a prediction, and the share that changed the answer;
    - `towards`, `away`, `elsewhere`: changes to the classifier's diagnosis, away from it, and between two others;
    - `known`: readings with histopathology; `to_right`, `to_wrong`: changes to its diagnosis, and away from it.
    """

    readings: int
    switched: Share | None
    towards: int
    away: int
    elsewhere: int
    known: int
    to_right: int
    to_wrong: int


def counted_lesions(read: Iterable[tuple[Hashable, Item]]) -> dict[tuple[Item, ...], int]:
    """How many lesions have just these items, of (lesion, item); the order of items is lost."""
    of_lesion: defaultdict[Hashable, list[Item]] = defaultdict(list)
    for lesion, item in read:
        of_lesion[lesion].append(item)
    return dict(Counter(tuple(sorted(items)) for items in of_lesion.values()))


def pairs_only(lesions: PairLesions) -> dict[tuple[LabelPair, ...], int]:
    """Without the pairs in which one reader named no diagnosis, and without the lesions that then have none."""
    table: Counter[tuple[LabelPair, ...]] = Counter()
    for pairs, count in lesions.items():
        if named := sorted(pair for pair in pairs if pair[0] in CODES and pair[1] in CODES):
            table[tuple(named)] += count
    return dict(table)


def agreed(lesions: PairLesions) -> Share | None:
    """The share of pairs that agree, with its interval; None without pairs."""
    return _share((sum(left == right for left, right in pairs), len(pairs), count) for pairs, count in lesions.items())


def kappa(lesions: PairLesions) -> Kappa | None:
    """Cohen's kappa (Cohen 1960, "A coefficient of agreement for nominal scales").

    None without pairs, and if both always name the same one diagnosis: then kappa is 0 divided by 0. Rounds in which
    that happens are left out. With full agreement every round is 1; the lower end is then the kappa of the lower end of
    the share.
    """
    cells = sorted({pair for pairs in lesions for pair in pairs})
    if not cells:
        return None
    table = np.array([[pairs.count(cell) for cell in cells] for pairs in lesions], dtype=float)
    numbers = np.array(list(lesions.values()))
    (value,), (expected,), (observed,) = _kappas(numbers[None] @ table, cells)
    if not np.isfinite(value):
        return None
    rounds, _, shares = _kappas(_redrawn(numbers) @ table, cells)
    if observed in {0.0, 1.0}:
        low, high = ((end - expected) / (1.0 - expected) for end in share_interval(observed, shares, numbers.sum()))
    else:
        low, high = percentile_interval(rounds)
    return Kappa(float(value), float(low), float(high), float(expected))


def agreement(lesions: PairLesions) -> Agreement:
    """The share of agreement with its interval, and kappa if there are at least `MIN_PAIRS` pairs."""
    pairs = sum(len(each) * count for each, count in lesions.items())
    return Agreement(pairs, agreed(lesions), kappa(lesions) if pairs >= MIN_PAIRS else None)


def confusion(lesions: PairLesions) -> list[list[int]]:
    """The counts as (8, 8) in ISIC order, row is the first reader; pairs with another word are left out."""
    table: Counter[LabelPair] = Counter()
    for pairs, count in lesions.items():
        for pair in pairs:
            table[pair] += count
    return [[table[left, right] for right in CODES] for left in CODES]


def switches(lesions: Mapping[tuple[Change, ...], int]) -> Switches:
    """Count the changed answers: how many lesions have just these readings. A prediction is needed to count."""
    readings = towards = away = elsewhere = known = to_right = to_wrong = 0
    parts = []
    for changes, count in lesions.items():
        predicted = tuple(change for change in changes if change.predicted)
        parts.append((sum(each.blind != each.final for each in predicted), len(predicted), count))
        for change in predicted:
            readings += count
            known += count if change.truth else 0
            if change.blind == change.final:
                continue
            if change.final == change.predicted:
                towards += count
            elif change.blind == change.predicted:
                away += count
            else:
                elsewhere += count
            if change.truth:
                to_right += count if change.final == change.truth else 0
                to_wrong += count if change.blind == change.truth else 0
    return Switches(readings, _share(parts), towards, away, elsewhere, known, to_right, to_wrong)


def _share(parts: Iterable[tuple[int, int, int]]) -> Share | None:
    """The share of hits, from (hits of a lesion, items of it, how many such lesions); None without items."""
    kinds: Counter[tuple[int, int]] = Counter()
    for hits, of, lesions in parts:
        if of:
            kinds[hits, of] += lesions
    if not kinds:
        return None
    table, numbers = np.array(list(kinds)), np.array(list(kinds.values()))
    all_hits, all_items = (numbers @ table).tolist()
    value, sums = all_hits / all_items, _redrawn(numbers) @ table
    return Share(all_hits, all_items, value, *share_interval(value, sums[:, 0] / sums[:, 1], int(numbers.sum())))


def _redrawn(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """As many lesions drawn from those of each kind (K,), with replacement: (rounds, K)."""
    lesions = int(numbers.sum())
    return np.random.default_rng(SEED).multinomial(lesions, numbers / lesions, ROUNDS)


def _kappas(
    counts: NDArray[np.float64], cells: list[LabelPair]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Kappa (NaN where undefined), agreement by chance and observed, of each row of counts by cell (rows, cells)."""
    names = sorted({name for cell in cells for name in cell})
    one, two = (np.array([[cell[side] == name for name in names] for cell in cells], dtype=float) for side in (0, 1))
    shares = counts / counts.sum(axis=1, keepdims=True)
    observed = shares @ np.array([left == right for left, right in cells], dtype=float)
    expected = np.sum((shares @ one) * (shares @ two), axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(expected < 1.0 - 1e-12, (observed - expected) / (1.0 - expected), np.nan)
    return values, expected, observed
