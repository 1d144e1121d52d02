"""Own the split: train, validation, calibration and test, by lesion, stratified, seeded, fingerprinted.

Pictures of one lesion never meet across a border (a random split of the ISIC 2019 tables leaves about 60 % of the
validation pictures sharing a lesion with training), and exact copies of one file stay together too. A picture
without a lesion id is its own group. The order in which groups are dealt comes from sha256 of seed and group, not
from a random generator, so the same table and seed give the same split on any machine and any library version.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from recognition.datasets.components import connected_by_value

TRAIN: Final = "train"
VALIDATION: Final = "validation"
CALIBRATION: Final = "calibration"
TEST: Final = "test"
SPLITS: Final = (TRAIN, VALIDATION, CALIBRATION, TEST)

DEFAULT_SHARES: Final[Mapping[str, float]] = {TRAIN: 0.70, VALIDATION: 0.10, CALIBRATION: 0.06, TEST: 0.14}
"""Why these: the rarest diagnosis of the subset (DF) has 97 pictures of 62 lesions. 14 % leaves about 14 of them to
the test, the least at which its sensitivity says anything; 10 % lets balanced accuracy choose an epoch; calibration
fits one temperature and a few thresholds, for which some 530 pictures do; the rest teaches."""

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
        """sha256 over the sorted "image,split" lines of the test split alone: classifiers with equal ones compare."""
        return split_fingerprint(self.assignment[self.assignment == TEST])


def split_examples(
    table: pd.DataFrame, *, shares: Mapping[str, float] = DEFAULT_SHARES, seed: int = DEFAULT_SEED
) -> Split:
    """Deal the pictures of a checked table (columns image, diagnosis, lesion_id, sha256) into the four splits.

    Groups of one diagnosis are dealt largest first, each to the split that is furthest behind its share of the
    pictures dealt so far. Raises SplitError when shares do not add up to 1, and when a lesion carries two diagnoses.
    """
    if set(shares) != set(SPLITS) or any(share <= 0 for share in shares.values()):
        raise SplitError(f"Shares are needed for exactly {', '.join(SPLITS)}, each above 0.")
    if abs(sum(shares.values()) - 1.0) > 1e-9:
        raise SplitError(f"The shares add up to {sum(shares.values()):g}, not to 1.")
    groups = lesion_groups(table)
    members = table.assign(group=groups)
    conflicts = label_conflicts(table, groups)
    if conflicts:
        raise SplitError(
            f"Pictures of one lesion (or copies of one file) carry different diagnoses: {', '.join(conflicts[0][:4])}."
        )
    assignment: dict[str, str] = {}
    for _, same in members.groupby("diagnosis", sort=True):
        sizes = same.groupby("group").size()
        order = sorted(sizes.index, key=lambda group: (-sizes[group], _draw(seed, group)))
        dealt: Counter[str] = Counter()
        seen = 0
        for group in order:
            seen += int(sizes[group])
            # Measured against what has been dealt so far, not against the whole: otherwise every lesion with many
            # pictures would land in the largest split and the others would hold single pictures only.
            target = max(SPLITS, key=lambda split: shares[split] * seen - dealt[split])
            dealt[target] += int(sizes[group])
            assignment[group] = target
    by_image = pd.Series(
        [assignment[group] for group in members["group"]], index=members["image"].tolist(), dtype="object"
    ).sort_index()
    return Split(by_image, seed, dict(shares), split_fingerprint(by_image))


@dataclass(frozen=True, slots=True)
class Gathered:
    """A split in which look-alikes are on one side: `split`, and where each moved picture had been dealt to."""

    split: Split
    moved: Mapping[str, str]


def gather_look_alikes(split: Split, look_alike: "pd.Series[int]", groups: "pd.Series[str]") -> Gathered:
    """Move lesions that look alike and were dealt apart to one side: the first of `SPLITS` that holds one of them.

    `look_alike` and `groups` are indexed by image: pictures with equal values look alike (`duplicates.clusters`), or
    show one lesion. Moving instead of dealing anew leaves all other pictures where they are; and since training comes
    first and the test split last, pictures leave a test split and never come into one, so that a classifier that was
    trained on `split` has seen none of the new test pictures either.
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
    """Deal the pictures of `table` that `existing` (image -> split) does not know; what it knows stays where it is.

    `groups` says which rows of `table` belong together: lesions (`lesion_groups`), or patients where they are known. A
    new picture of a group that was dealt before joins it. All other new groups go to the three learning splits in the
    proportion of their shares and never to the test split, which therefore stays the same and keeps classifiers
    comparable. Raises SplitError where a new picture belongs to a group of the test split: such a picture is the
    caller's to leave out first.
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
        if image not in existing
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
    """The images of every group that carries more than one diagnosis, in image order; empty where all is well."""
    members = table.assign(group=groups)
    labels = members.groupby("group")["diagnosis"].nunique()
    wrong = members[members["group"].isin(labels.index[labels > 1])]
    return [sorted(images) for _, images in wrong.groupby("group")["image"]]


def split_fingerprint(assignment: "pd.Series[str]") -> str:
    """sha256 (hex) over the sorted "image,split" lines: two runs are comparable when theirs are equal."""
    lines = sorted(f"{image},{split}\n" for image, split in assignment.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def lesion_groups(table: pd.DataFrame) -> "pd.Series[str]":
    """The group of each row: pictures connected by a lesion id or by equal content share one.

    A group is named by its first image in name order.
    """
    same = table[["lesion_id", "sha256"]]
    return table["image"].groupby(connected_by_value(same[same != ""])).transform("min").astype(object)


def _draw(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()
