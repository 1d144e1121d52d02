"""Statistics of agreement between two readers: shares, Cohen's kappa, their 95 % intervals, changed answers.

Plain functions of counts. `PairCounts` maps a pair (diagnosis of the first, diagnosis of the second) to its number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final

from recognition.taxonomy import CODES

NORMAL_95: Final = 1.959964
"""97.5 % point of the standard normal distribution."""

MIN_PAIRS: Final = 30
"""Fewest pairs for a kappa: the formula of its variance holds for large samples."""

LabelPair = tuple[str, str]
PairCounts = Mapping[LabelPair, int]


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


@dataclass(frozen=True)
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


def wilson(hits: int, of: int) -> Share | None:
    """A share with its 95 % interval (Wilson 1927), which also holds near 0 and 1 and for few; None if `of` is 0.

    Raises ValueError unless 0 <= hits <= of.
    """
    if not 0 <= hits <= of:
        raise ValueError(f"{hits} of {of} is no share.")
    if of == 0:
        return None
    share, square = hits / of, NORMAL_95**2
    centre = (share + square / (2 * of)) / (1 + square / of)
    reach = NORMAL_95 / (1 + square / of) * sqrt(share * (1 - share) / of + square / (4 * of * of))
    return Share(hits, of, share, max(0.0, centre - reach), min(1.0, centre + reach))


def kappa(table: PairCounts) -> Kappa | None:
    """Cohen's kappa (Cohen 1960, "A coefficient of agreement for nominal scales") of a table of pairs.

    The interval is kappa plus and minus 1.96 standard errors of the large-sample variance of Fleiss, Cohen and Everitt
    (1969, "Large sample standard errors of kappa and weighted kappa"). None without pairs, and if both always name the
    same one diagnosis: then kappa is 0 divided by 0.
    """
    total = sum(table.values())
    if total <= 0:
        return None
    names = sorted({name for pair in table for name in pair})
    share = {pair: count / total for pair, count in table.items()}
    one = {name: sum(share.get((name, other), 0.0) for other in names) for name in names}
    two = {name: sum(share.get((other, name), 0.0) for other in names) for name in names}
    observed = sum(share.get((name, name), 0.0) for name in names)
    expected = sum(one[name] * two[name] for name in names)
    if expected >= 1.0 - 1e-12:
        return None
    value = (observed - expected) / (1.0 - expected)
    on_diagonal = sum(
        share.get((name, name), 0.0) * (1.0 - (one[name] + two[name]) * (1.0 - value)) ** 2 for name in names
    )
    off_diagonal = (1.0 - value) ** 2 * sum(
        part * (two[left] + one[right]) ** 2 for (left, right), part in share.items() if left != right
    )
    variance = (on_diagonal + off_diagonal - (value - expected * (1.0 - value)) ** 2) / (total * (1.0 - expected) ** 2)
    reach = NORMAL_95 * sqrt(max(0.0, variance))
    return Kappa(value, max(-1.0, value - reach), min(1.0, value + reach), expected)


def agreement(table: PairCounts) -> Agreement:
    """The share of agreement with its interval, and kappa if there are at least `MIN_PAIRS` pairs."""
    pairs = sum(table.values())
    agreed = sum(count for (left, right), count in table.items() if left == right)
    return Agreement(pairs, wilson(agreed, pairs), kappa(table) if pairs >= MIN_PAIRS else None)


def confusion(table: PairCounts) -> list[list[int]]:
    """The counts as (8, 8) in ISIC order, row is the first reader; pairs with another word are left out."""
    return [[table.get((left, right), 0) for right in CODES] for left in CODES]


def switches(changes: Mapping[Change, int]) -> Switches:
    """Count the changed answers. `changes` maps a kind of reading to its number; a prediction is needed to count."""
    readings = switched = towards = away = elsewhere = known = to_right = to_wrong = 0
    for change, count in changes.items():
        if not change.predicted:
            continue
        readings += count
        known += count if change.truth else 0
        if change.blind == change.final:
            continue
        switched += count
        if change.final == change.predicted:
            towards += count
        elif change.blind == change.predicted:
            away += count
        else:
            elsewhere += count
        if change.truth:
            to_right += count if change.final == change.truth else 0
            to_wrong += count if change.blind == change.truth else 0
    return Switches(readings, wilson(switched, readings), towards, away, elsewhere, known, to_right, to_wrong)


def add_up(pairs: Iterable[tuple[LabelPair, int]]) -> dict[LabelPair, int]:
    """Sum counted pairs; pairs in which one reader named no diagnosis are left out."""
    table: dict[LabelPair, int] = {}
    for pair, count in pairs:
        if pair[0] in CODES and pair[1] in CODES:
            table[pair] = table.get(pair, 0) + count
    return table
