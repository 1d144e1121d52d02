"""Own the statistics of agreement between two who name diagnoses: shares, kappa, their intervals, switches.

Plain functions of counts; nothing here knows Django or a database. A table is a mapping from a pair (what the one said,
what the other said) to how often that happened.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final

from recognition.taxonomy import CODES

NORMAL_95: Final = 1.959964
"""97.5 % point of the standard normal distribution."""

MIN_PAIRS: Final = 30
"""Below this no kappa is given: its variance is a large-sample one, and the eight diagnoses share the pairs."""

LabelPair = tuple[str, str]
PairCounts = Mapping[LabelPair, int]


@dataclass(frozen=True)
class Share:
    """`hits` of `of`, with the ends of the 95 % interval; `value`, `low` and `high` lie between 0 and 1."""

    hits: int
    of: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa: 1 for perfect agreement, 0 for what chance alone would give, below 0 for less; with 95 % interval.

    `expected` is the share of agreement that chance would give. `low` and `high` stay within -1 and 1.
    """

    value: float
    low: float
    high: float
    expected: float


@dataclass(frozen=True)
class Agreement:
    """How far two agree over the pairs of one table; None where there are too few pairs to say."""

    pairs: int
    agreed: Share | None
    kappa: Kappa | None


@dataclass(frozen=True)
class Change:
    """One reading: what was said blind, what the classifier then showed, what was said at the end.

    A diagnosis code, or another word where the reader named none. `predicted` is "" where there was no answer, `truth`
    the histopathology, "" where it is not known.
    """

    blind: str
    predicted: str
    final: str
    truth: str = ""


@dataclass(frozen=True)
class Switches:
    """What the reveal changed. `towards` took over the classifier's answer, `away` left it though it was one's own.

    `to_right` and `to_wrong` count the switches to and from what histopathology says, of `known` readings where it is
    known.
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
    """A share with its 95 % interval (Wilson 1927), which is honest at 0, at 1 and for few; None of nothing.

    Raises ValueError for counts that cannot be.
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
    (1969, "Large sample standard errors of kappa and weighted kappa"). None where there are no pairs, or both always
    name one and the same: then chance alone agrees fully and kappa is 0 divided by 0.
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
    """Percent agreement with its interval, and kappa from `MIN_PAIRS` pairs on."""
    pairs = sum(table.values())
    agreed = sum(count for (left, right), count in table.items() if left == right)
    return Agreement(pairs, wilson(agreed, pairs), kappa(table) if pairs >= MIN_PAIRS else None)


def confusion(table: PairCounts) -> list[list[int]]:
    """The table as eight rows of eight counts, both in ISIC order; pairs with anything else are left out."""
    return [[table.get((left, right), 0) for right in CODES] for left in CODES]


def switches(changes: Mapping[Change, int]) -> Switches:
    """What the reveal changed, of readings counted by kind; those without a prediction do not count."""
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
    """A table from counted pairs; pairs in which one named no diagnosis are left out."""
    table: dict[LabelPair, int] = {}
    for pair, count in pairs:
        if pair[0] in CODES and pair[1] in CODES:
            table[pair] = table.get(pair, 0) + count
    return table
