"""Joins the tables of several data sets into one in which no lesion and no patient is on two sides of the split.

Each picture keeps the split that its own data set gave it. Where a lesion or a patient has pictures in two splits, all
of them go to the first of these in the order of `SPLITS`: towards training, never towards the test split. So a
classifier that was trained on one of the parts has seen no test picture of the joined data set. Rows without a picture
follow the pictures of their lesion or patient.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recognition.datasets.components import connected, connected_by_value
from recognition.datasets.csv_files import read_csv
from recognition.datasets.duplicates import NearBlock, clusters, near_blocks
from recognition.datasets.layouts import isic_id
from recognition.datasets.problems import ExamplesError
from recognition.datasets.splits import SPLITS, TRAIN

LESION_COLUMN: Final = "lesion_id"
LISTED: Final = 100
"""Most lesions that a report names; its counts are complete."""

ASKED: Final = "named in the file of lesions to leave out"
CONTRADICTED: Final = "the data sets give this lesion different diagnoses"
LOOKS_LIKE_ANOTHER: Final = "its look-alike in another data set carries another diagnosis"


@dataclass(frozen=True, slots=True)
class JoinedTable:
    """`rows`: the columns of the parts and `split` ("" for none of the eight), sorted by image. `report`: counts."""

    rows: pd.DataFrame
    report: dict[str, Any] = field(default_factory=dict)


def read_links(path: Path) -> list[tuple[str, str]]:
    """Pairs of lesion ids that mean one lesion: the two columns of `path` whose names end in lesion_id.

    Raises ExamplesError with every problem of the file.
    """
    found = read_csv(path)
    columns = [name for name in found.columns if name.endswith(LESION_COLUMN)]
    if not found.problems and len(set(columns)) != 2:
        found.add_problem(
            1,
            f"has the columns {', '.join(found.columns)}; expected two whose names end in {LESION_COLUMN}, such as "
            "milk10k_lesion_id,isic2019_lesion_id.",
        )
    links = []
    if not found.problems:
        for line, row in zip(found.lines, found.rows, strict=True):
            first, second = (row[name] for name in columns)
            if not first or not second:
                found.add_problem(line, "lacks one of the two lesion ids.")
            links.append((first, second))
    if found.problems:
        raise ExamplesError(found.problems)
    return links


def read_left_out(path: Path) -> list[str]:
    """The lesion ids in the column lesion_id of `path`. Raises ExamplesError with every problem of the file."""
    found = read_csv(path)
    if not found.problems and LESION_COLUMN not in found.columns:
        found.add_problem(1, f"has the columns {', '.join(found.columns)}; {LESION_COLUMN} is missing.")
    if not found.problems:
        for line, row in zip(found.lines, found.rows, strict=True):
            if not row[LESION_COLUMN]:
                found.add_problem(line, "has no lesion id.")
    if found.problems:
        raise ExamplesError(found.problems)
    return [row[LESION_COLUMN] for row in found.rows]


def join_tables(
    parts: Mapping[str, pd.DataFrame],
    *,
    links: Sequence[tuple[str, str]] = (),
    leave_out: Collection[str] = (),
) -> JoinedTable:
    """Join tables by name of the data set, in the order of `parts`.

    Each table has the columns image, diagnosis, lesion_id, patient_id, sha256, content_hash, split and details, and all
    have the same other columns. Two rows are one image if they have the same name or, in two data sets, the same file;
    the row with a picture is kept, else that of the earlier data set. `links` are pairs of ids of one lesion. All rows
    that links, ids or images connect get one lesion id; the own id goes into `details`, where an earlier one stays and
    still counts as an id of the lesion.

    Lesions of `leave_out` are left out. So are both lesions wherever two data sets do not agree about the diagnosis of
    one lesion, or of two pictures that look alike: nobody can tell which of the two is right. A row without a picture
    puts no picture out: if it contradicts the pictures of its lesion, it is left out alone, so that the same pictures
    are joined with and without tables.
    """
    rows = pd.concat([table.assign(part=number) for number, table in enumerate(parts.values())], ignore_index=True)
    for column in ("lesion_id", "patient_id", "sha256"):
        rows[column] = rows[column].astype(object).where(rows[column].notna() & (rows[column] != ""), None)
    own = rows["lesion_id"]
    # An object column: pandas would make NaN of None in a list.
    earlier = pd.Series([details.get(LESION_COLUMN) for details in rows["details"]], dtype=object)
    asked = (own.isin(set(leave_out)) | earlier.isin(set(leave_out))).to_numpy()
    joined_before = [(old, name) for old, name in zip(earlier, own, strict=True) if old and name]
    one_name = _one_name([*links, *dict.fromkeys(joined_before)], own)
    rows["lesion_id"] = pd.Series([None if name is None else one_name.get(name, name) for name in own], dtype=object)
    keys = rows[["lesion_id", "sha256"]].assign(image=rows["image"].map(isic_id))
    lesion = connected_by_value(keys)
    rows["lesion_id"] = _first_ids(rows["lesion_id"], lesion, asked)
    rows["details"] = pd.Series(
        [
            details if name is None or name == new else {LESION_COLUMN: name, **details}
            for details, name, new in zip(rows["details"], own, rows["lesion_id"], strict=True)
        ],
        dtype=object,
    )
    group = connected_by_value(keys.assign(patient=rows["patient_id"]))
    looks, disputed = _look_alikes(rows, lesion, asked)
    reason = _reasons(rows, lesion, disputed, asked)
    out = reason != ""
    twice = _held_twice(rows) & ~out
    before = rows["split"].to_numpy()
    together = connected_by_value(pd.DataFrame({"group": group, "looks": looks}))
    after = _towards_training(before, together, pictured=rows["sha256"].notna().to_numpy())
    kept = ~out & ~twice
    part = rows["part"].to_numpy()
    moved = kept & (before != after)
    alike = connected_by_value(pd.DataFrame({"lesion": lesion, "looks": looks}))
    shared = _in_two_parts(lesion[~out], part[~out])
    report = {
        "lesions": shared,
        "look_alike_lesions": _in_two_parts(alike[~out], part[~out]) - shared,
        "links": _links_report(links, set(own.dropna())),
        "images_held_twice": int(twice.sum()),
        "left_out": _left_out_report(rows.assign(own=own), lesion, reason),
        "asked_not_there": len(set(leave_out) - set(own.dropna()) - set(earlier.dropna())),
        "moved": dict(Counter(f"{old} to {new}" for old, new in zip(before[moved], after[moved], strict=True))),
        "leakage": {"before": _leakage(group, before), "after": _leakage(group[kept], after[kept])},
    }
    joined = (
        rows.assign(split=after, sha256=rows["sha256"].where(rows["sha256"].notna(), ""))[kept]
        .drop(columns="part")
        .sort_values("image", kind="stable")
    )
    return JoinedTable(joined.reset_index(drop=True), report)


def _one_name(links: Sequence[tuple[str, str]], own: "pd.Series[str]") -> dict[str, str]:
    """The one id of every linked lesion: the first of its ids that the data sets hold, else the first of the links."""
    if not links:
        return {}
    codes, names = pd.factorize(np.array([name for pair in links for name in pair], dtype=object))
    label = connected(len(names), codes[0::2], codes[1::2])
    rank = {name: number for number, name in enumerate(dict.fromkeys(own.dropna()))}
    best: dict[int, str] = {}
    for name, at in sorted(zip(names, label, strict=True), key=lambda each: rank.get(each[0], len(rank))):
        best.setdefault(int(at), str(name))
    return {str(name): best[int(at)] for name, at in zip(names, label, strict=True)}


def _first_ids(named: "pd.Series[str]", lesion: NDArray[np.intp], asked: NDArray[np.bool_]) -> "pd.Series[str]":
    """For each row the first id of its lesion, None where it has none. Rows left out by hand give no id."""
    first = named.where(~asked, None).groupby(lesion).transform("first").astype(object)
    return first.where(first.notna(), None)


def _look_alikes(
    rows: pd.DataFrame, lesion: NDArray[np.intp], asked: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], list[tuple[int, int]]]:
    """The label of near copies of each row, and pairs of lesions of two data sets that look alike and contradict."""
    pictured = np.flatnonzero(rows["content_hash"].notna())
    part, diagnosis = rows["part"].to_numpy(), pd.factorize(rows["diagnosis"])[0]
    disputed: set[tuple[int, int]] = set()

    def watched() -> Iterator[NearBlock]:
        for block in near_blocks([rows["content_hash"][at] for at in pictured]):
            first, second = pictured[block.first], pictured[block.second]
            wrong = (part[first] != part[second]) & (diagnosis[first] != diagnosis[second])
            wrong &= (lesion[first] != lesion[second]) & ~asked[first] & ~asked[second]
            disputed.update(zip(lesion[first[wrong]].tolist(), lesion[second[wrong]].tolist(), strict=True))
            yield block

    looks = np.arange(len(rows))
    looks[pictured] = pictured[clusters(watched(), len(pictured))]
    return looks, sorted(disputed)


def _reasons(
    rows: pd.DataFrame, lesion: NDArray[np.intp], disputed: Sequence[tuple[int, int]], asked: NDArray[np.bool_]
) -> NDArray[np.object_]:
    """Why each row is left out; "" for rows that stay."""
    reason = np.full(len(rows), "", dtype=object)
    reason[np.isin(lesion, [label for pair in disputed for label in pair])] = LOOKS_LIKE_ANOTHER
    pictured = rows["sha256"].notna().to_numpy()
    # A lesion that is left out by hand does not contradict the one that stays.
    contradicted = _with_two_diagnoses(rows, lesion, ~asked)
    among_pictures = _with_two_diagnoses(rows, lesion, ~asked & pictured)
    reason[contradicted & (~pictured | among_pictures)] = CONTRADICTED
    reason[asked] = ASKED
    return reason


def _with_two_diagnoses(rows: pd.DataFrame, lesion: NDArray[np.intp], counted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows belong to a lesion with more than one diagnosis among the rows that are `counted`."""
    said = rows["diagnosis"][counted].groupby(lesion[counted]).nunique()
    return np.isin(lesion, said.index[said > 1])


def _held_twice(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows whose image another row holds: by name, or by the same file in another data set."""
    twice = np.zeros(len(rows), dtype=bool)
    names: set[str] = set()
    files: dict[str, int] = {}
    order = rows.assign(bare=rows["sha256"].isna()).sort_values(["bare", "part"], kind="stable").index
    for at in order:
        image, digest, part = isic_id(rows["image"][at]), rows["sha256"][at], rows["part"][at]
        if image in names or (digest is not None and files.get(digest, part) != part):
            twice[at] = True
            continue
        names.add(image)
        if digest is not None:
            files[digest] = part
    return twice


def _towards_training(
    split: NDArray[np.object_], together: NDArray[np.intp], *, pictured: NDArray[np.bool_]
) -> NDArray[np.object_]:
    """The first split, in the order of `SPLITS`, that a group has a picture in; "" stays, it was never dealt.

    In a group without pictures it is the first split of its rows.
    """
    place = pd.Series(split).map({name: number for number, name in enumerate(SPLITS)})
    of_pictures = place.where(pictured).groupby(together).transform("min")
    first = of_pictures.fillna(place.groupby(together).transform("min"))
    return np.array(
        [SPLITS[int(at)] if name else "" for at, name in zip(first.fillna(0), split, strict=True)], dtype=object
    )


def _leakage(group: NDArray[np.intp], split: NDArray[np.object_]) -> int:
    """How many pictures of other splits have a lesion or a patient in training."""
    elsewhere = (split != TRAIN) & (split != "")
    return int(np.isin(group[elsewhere], group[split == TRAIN]).sum())


def _in_two_parts(label: NDArray[np.intp], part: NDArray[np.int64]) -> int:
    return int((pd.Series(part).groupby(label).nunique() > 1).sum())


def _links_report(links: Sequence[tuple[str, str]], there: set[str]) -> dict[str, int]:
    used = sum(first in there and second in there for first, second in links)
    return {"rows": len(links), "used": used, "not_there": len(links) - used}


def _left_out_report(
    rows: pd.DataFrame, lesion: NDArray[np.intp], reason: NDArray[np.object_]
) -> dict[str, dict[str, Any]]:
    """By reason: how many lesions and images, and the ids of the lesions (the image where a lesion has none)."""
    report = {}
    for why in sorted({each for each in reason if each}):
        found = rows[reason == why]
        names = found["own"].where(found["own"].notna(), found["image"])
        named = [
            {"lesions": sorted(set(ids)), "diagnoses": sorted(set(found.loc[ids.index, "diagnosis"]))}
            for _, ids in names.groupby(lesion[reason == why])
        ]
        report[why] = {
            "lesions": int(names.nunique()),
            "images": len(found),
            "named": sorted(named, key=lambda each: each["lesions"])[:LISTED],
        }
    return report
