"""Splits of a data set into train, validation, calibration and test: by lesion, stratified, with seed and fingerprint.

All pictures of one lesion are in one split, and so are all pictures of one patient and exact copies of one file. (In a
random split of the ISIC 2019 tables about 60 % of the validation pictures show a lesion of the training split.) A
picture without a lesion id and a patient id is a group by itself. Groups are dealt in the order of sha256(seed, group)
and not by a random generator: the same table and seed give the same split on every machine and with every library
version.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from recognition.datasets.components import connected_by_value
from recognition.datasets.tables import PAD_UFES

TRAIN: Final = "train"
VALIDATION: Final = "validation"
CALIBRATION: Final = "calibration"
TEST: Final = "test"
SPLITS: Final = (TRAIN, VALIDATION, CALIBRATION, TEST)

DEFAULT_SHARES: Final[Mapping[str, float]] = {TRAIN: 0.70, VALIDATION: 0.10, CALIBRATION: 0.06, TEST: 0.14}
"""The rarest diagnosis of isic2019-subset (DF) has 97 pictures of 62 lesions. 14 % gives the test split about 14 of
them, the fewest for which a sensitivity means anything. 10 % is enough to choose an epoch by balanced accuracy.
Calibration fits one temperature and a few thresholds; about 530 pictures are enough. The rest is for training."""

SHARES_BY_LAYOUT: Final[Mapping[str, Mapping[str, float]]] = {
    PAD_UFES: {TRAIN: 0.50, VALIDATION: 0.10, CALIBRATION: 0.15, TEST: 0.25},
}
"""Shares of data sets that are so small that the usual ones leave too few patients to calibrate and to judge."""

DEFAULT_SEED: Final = 2019


class SplitError(Exception):
    """The table cannot be split as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Split:
    """`assignment`: Series image -> split name. `fingerprint`: sha256 over its sorted "image,split" lines."""

    assignment: "pd.Series[str]"
    seed: int
    shares: Mapping[str, float]
    fingerprint: str

    def images(self, split: str) -> list[str]:
        """Names of the pictures in one split, sorted."""
        return sorted(self.assignment.index[self.assignment == split])

    @property
    def test_fingerprint(self) -> str:
        """sha256 (hex) over the sorted "image,split" lines of the test split; equal for comparable classifiers."""
        return split_fingerprint(self.assignment[self.assignment == TEST])

    def only(self, images: Iterable[str]) -> "Split":
        """The same split of fewer pictures: of those in `images`."""
        kept = self.assignment[self.assignment.index.isin(list(images))]
        return Split(kept, self.seed, self.shares, split_fingerprint(kept))


def split_examples(
    table: pd.DataFrame, *, shares: Mapping[str, float] = DEFAULT_SHARES, seed: int = DEFAULT_SEED
) -> Split:
    """Deal the pictures of a checked table (columns image, diagnosis, lesion_id, sha256) into the four splits.

    The groups of one diagnosis are dealt largest first, each to the split that is furthest below its share of the
    pictures dealt so far. Raises SplitError when the shares do not add up to 1, or a lesion has two diagnoses.
    """
    if set(shares) != set(SPLITS) or any(share <= 0 for share in shares.values()):
        raise SplitError(f"Shares are needed for exactly {', '.join(SPLITS)}, each above 0.")
    if abs(sum(shares.values()) - 1.0) > 1e-9:
        raise SplitError(f"The shares add up to {sum(shares.values()):g}, not to 1.")
    table = table[table["diagnosis"] != ""]
    conflicts = label_conflicts(table, lesion_groups(table))
    if conflicts:
        raise SplitError(
            f"Pictures of one lesion (or copies of one file) carry different diagnoses: {', '.join(conflicts[0][:4])}."
        )
    # A patient may have lesions of several diagnoses: dealt with the rarest of them, which has least to spare.
    members = table.assign(group=split_groups(table))
    counts = members.groupby("diagnosis")["group"].nunique()
    by_rarity = sorted(counts.index, key=lambda code: (counts[code], code))
    rank = members["diagnosis"].map({code: number for number, code in enumerate(by_rarity)})
    members["stratum"] = rank.groupby(members["group"]).transform("min").map(dict(enumerate(by_rarity)))
    assignment: dict[str, str] = {}
    for _, same in members.groupby("stratum", sort=True):
        sizes = same.groupby("group").size()
        order = sorted(sizes.index, key=lambda group: (-sizes[group], _draw(seed, group)))
        dealt: Counter[str] = Counter()
        seen = 0
        for group in order:
            seen += int(sizes[group])
            # Shares of the pictures dealt so far, not of all pictures: otherwise every lesion with many pictures would
            # go to the largest split, and the others would get single pictures only.
            target = max(SPLITS, key=lambda split: shares[split] * seen - dealt[split])
            dealt[target] += int(sizes[group])
            assignment[group] = target
    by_image = pd.Series(
        [assignment[group] for group in members["group"]], index=members["image"].tolist(), dtype="object"
    ).sort_index()
    return Split(by_image, seed, dict(shares), split_fingerprint(by_image))


def whole_test_split(table: pd.DataFrame, *, seed: int = DEFAULT_SEED) -> Split:
    """All pictures of a checked table in the test split: a data set that only measures classifiers."""
    return dealt_split(dict.fromkeys(table.loc[table["diagnosis"] != "", "image"], TEST), seed=seed)


def dealt_split(assignment: Mapping[str, str], *, seed: int = DEFAULT_SEED) -> Split:
    """A split that was dealt before (image -> split), with the shares that it has."""
    by_image = pd.Series(dict(assignment), dtype="object").sort_index()
    counts = Counter(by_image)
    shares = {split: counts[split] / max(len(by_image), 1) for split in SPLITS}
    return Split(by_image, seed, shares, split_fingerprint(by_image))


@dataclass(frozen=True, slots=True)
class Gathered:
    """A split in which near copies are together: `split`, and `moved` with the former split of each moved picture."""

    split: Split
    moved: Mapping[str, str]


def gather_look_alikes(split: Split, look_alike: "pd.Series[int]", groups: "pd.Series[str]") -> Gathered:
    """Move lesions with near copies in several splits into one split: the first of `SPLITS` that holds one of them.

    `look_alike` and `groups` are indexed by image: pictures with equal values are near copies (`duplicates.clusters`),
    or show one lesion. All other pictures stay where they are. Training is first in `SPLITS` and test is last, so
    pictures can leave the test split and never enter it: a classifier that was trained on `split` has seen none of the
    new test pictures.
    """
    alike = pd.DataFrame({"lesion": groups, "looks": look_alike})
    together = pd.Series(connected_by_value(alike), index=alike.index)
    place = split.assignment.map({name: number for number, name in enumerate(SPLITS)})
    first = place.groupby(together[split.assignment.index]).transform("min")
    moved = {str(image): name for image, name in split.assignment[first < place].items()}
    assignment = first.map(dict(enumerate(SPLITS))).astype(object)
    return Gathered(Split(assignment, split.seed, split.shares, split_fingerprint(assignment)), moved)


def extend_split(
    existing: Mapping[str, str],
    table: pd.DataFrame,
    *,
    groups: "pd.Series[str]",
    shares: Mapping[str, float] = DEFAULT_SHARES,
    seed: int = DEFAULT_SEED,
) -> Split:
    """Deal the pictures of `table` that are not in `existing` (image -> split); all others stay in their split.

    Pictures of none of the eight are not dealt.

    `groups` gives the group of each row of `table`: its lesion (`lesion_groups`), or its patient where known. A new
    picture of a group in `existing` joins it. New groups go to the three other splits in proportion to their shares,
    never to the test split: it stays the same, and classifiers stay comparable. Raises SplitError when a new picture
    belongs to a group of the test split; the caller leaves such pictures out.
    """
    dealt_to = {
        group: existing[image] for image, group in zip(table["image"], groups, strict=True) if image in existing
    }
    learning = {split: shares[split] for split in SPLITS if split != TEST}
    total = sum(learning.values())
    counts: dict[str, Counter[str]] = {}
    assignment = dict(existing)
    fresh = [
        (str(group), str(image), str(diagnosis))
        for image, group, diagnosis in zip(table["image"], groups, table["diagnosis"], strict=True)
        if image not in existing and diagnosis
    ]
    for group, image, diagnosis in sorted(fresh, key=lambda each: (_draw(seed, each[0]), each[1])):
        dealt = counts.setdefault(diagnosis, Counter())
        if group not in dealt_to:
            seen = sum(dealt.values()) + 1
            dealt_to[group] = max(learning, key=lambda split: learning[split] / total * seen - dealt[split])
        if dealt_to[group] == TEST:
            raise SplitError(f"{image} belongs to a lesion of the sealed test split, which would change.")
        dealt[dealt_to[group]] += 1
        assignment[image] = dealt_to[group]
    by_image = pd.Series(assignment, dtype="object").sort_index()
    return Split(by_image, seed, dict(shares), split_fingerprint(by_image))


def label_conflicts(table: pd.DataFrame, groups: "pd.Series[str]") -> list[list[str]]:
    """The images of every group with more than one diagnosis, sorted; empty if there is none."""
    members = table.assign(group=groups)
    labels = members.groupby("group")["diagnosis"].nunique()
    wrong = members[members["group"].isin(labels.index[labels > 1])]
    return [sorted(images) for _, images in wrong.groupby("group")["image"]]


def split_fingerprint(assignment: "pd.Series[str]") -> str:
    """sha256 (hex) over the sorted "image,split" lines: equal for runs that can be compared."""
    lines = sorted(f"{image},{split}\n" for image, split in assignment.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def split_groups(table: pd.DataFrame) -> "pd.Series[str]":
    """The group of each row that a split keeps whole: as `lesion_groups`, and all pictures of one patient together.

    Patients are told by `patient_id`, where the table has that column. The name of a group is its first image by name.
    """
    same = table[[name for name in ("lesion_id", "patient_id", "sha256") if name in table.columns]]
    return table["image"].groupby(connected_by_value(same[same != ""])).transform("min").astype(object)


def lesion_groups(table: pd.DataFrame) -> "pd.Series[str]":
    """The group of each row: pictures with the same lesion id or the same file content are in one group.

    The name of a group is its first image by name.
    """
    same = table[["lesion_id", "sha256"]]
    return table["image"].groupby(connected_by_value(same[same != ""])).transform("min").astype(object)


def _draw(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()
