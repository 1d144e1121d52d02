"""The chart of each section. It uses the numbers of the section's table, so chart and table always agree."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from matplotlib.figure import Figure

from training.charts.bars import Bar, Pair, Part, bars, divided_bars, pairs
from training.charts.distributions import Range, columns, ranges
from training.charts.grids import grid
from training.charts.style import AMBER, BLUE, GREY, TEAL, VERMILION
from training.eda.sections import NBSP, Section, count, percent

KINDS: Final = {
    "malignant": Part("malignant", VERMILION),
    "precursor": Part("can become malignant", AMBER),
    "benign": Part("benign", BLUE),
}
NONE: Final = Part("none of the eight", GREY)
WOMEN: Final = Part("women", TEAL)
MEN: Final = Part("men", BLUE)
NOT_STATED: Final = Part("not stated", GREY)
MISSING: Final = Part("where missing", VERMILION)
STATED: Final = Part("where stated", BLUE)
MOST_LESION_SIZES: Final = 12


def draw(section: Section) -> Figure | None:
    """The chart of a section; None if it has nothing to draw."""
    drawing = _DRAWINGS.get(section.key)
    return drawing(section) if drawing is not None and section.rows else None


def _records(section: Section) -> list[dict[str, Any]]:
    keys = [column.key for column in section.columns]
    return [dict(zip(keys, row, strict=True)) for row in section.rows]


def _share_note(number: int, share: float) -> str:
    return f"{count(number)}{NBSP}·{NBSP}{percent(share)}"


def _class_distribution(section: Section) -> Figure:
    rows = _records(section)
    return bars(
        [
            Bar(f"{row['diagnosis']} ({row['code']})", row["images"], _share_note(row["images"], row["share"]),
                KINDS[row["kind"]].colour)
            if row["code"]
            else Bar(row["diagnosis"], row["images"], count(row["images"]), NONE.colour)
            for row in rows
        ],
        key=list(KINDS.values()),
    )  # fmt: skip


def _image_types(section: Section) -> Figure:
    rows = _records(section)
    return divided_bars(
        [row["image_type"] for row in rows],
        [[row[key] / row["images"] for key in (*KINDS, "none")] for row in rows],
        (*KINDS.values(), NONE),
        notes=[f"n{NBSP}={NBSP}{count(row['images'])}" for row in rows],
    )


def _age(section: Section) -> Figure:
    rows = _records(section)
    figures = section.figures
    first = float(str(rows[0]["age"]).split(" ", maxsplit=1)[0])
    # A column is centred on its age if ages are rounded to five, and begins at it otherwise.
    offset = 0.0 if figures["in_steps_of_five"] else -0.5

    def at(age: float) -> float:
        return (age - first) / 5 + offset

    mean, sd = figures["mean"], figures["sd"]
    return columns(
        [str(row["age"]).split(" ", maxsplit=1)[0] for row in rows],
        [row["images"] for row in rows],
        axis="age in years",
        mark=at(mean),
        band=(at(mean - sd), at(mean + sd)) if sd is not None else None,
        mark_label=f"mean {mean:.1f}" + (f", SD {sd:.1f}" if sd is not None else ""),
    )


def _age_by_diagnosis(section: Section) -> Figure:
    items = [
        Range(
            row["code"],
            (row["p5"], row["p25"], row["p50"], row["p75"], row["p95"]),
            f"n{NBSP}={NBSP}{count(row['known'])}",
        )
        for row in _records(section)
    ]
    high = max(item.quantiles[-1] for item in items)
    return ranges(items, axis="age in years: median, middle half, middle 90 %", low=0, high=max(high, 10.0))


def _sex_by_diagnosis(section: Section) -> Figure:
    rows = _records(section)
    totals = [row["female"] + row["male"] + row["missing"] for row in rows]
    return divided_bars(
        [row["code"] for row in rows],
        [[row[key] / total for key in ("female", "male", "missing")] for row, total in zip(rows, totals, strict=True)],
        (WOMEN, MEN, NOT_STATED),
        notes=[f"n{NBSP}={NBSP}{count(total)}" for total in totals],
    )


def _site(section: Section) -> Figure:
    return bars(
        [
            Bar(row["site"], row["images"], _share_note(row["images"], row["share"]),
                GREY if row["site"] == "not stated" else BLUE)
            for row in _records(section)
        ]
    )  # fmt: skip


def _site_by_diagnosis(section: Section) -> Figure:
    shown = [column for column in section.columns if column.kind == "share"]
    rows = _records(section)
    return grid(
        [row["code"] for row in rows],
        [column.label for column in shown],
        [[row[column.key] for column in shown] for row in rows],
    )


def _missing(section: Section) -> Figure:
    return bars(
        [Bar(row["column"], row["share"], _share_note(row["missing"], row["share"]), GREY) for row in _records(section)]
    )


def _malignant_where_missing(section: Section) -> Figure:
    overall = section.figures["overall"]
    return pairs(
        [
            Pair(row["column"], row["where_missing"], row["where_known"], f"{count(row['missing'])} missing")
            for row in _records(section)
        ],
        first=MISSING,
        second=STATED,
        reference=overall,
        reference_label=f"{percent(overall)} of all images are malignant",
    )


def _images_per_lesion(section: Section) -> Figure:
    rows = _records(section)
    first, rest = rows[:MOST_LESION_SIZES], rows[MOST_LESION_SIZES:]
    labels = [str(row["images"]) for row in first]
    values = [row["lesions"] for row in first]
    if rest:
        labels.append(f"{rest[0]['images']}+")
        values.append(sum(row["lesions"] for row in rest))
    return columns(labels, values, axis="images of one lesion")


def _image_sizes(section: Section) -> Figure:
    return bars(
        [Bar(row["size"], row["images"], _share_note(row["images"], row["share"])) for row in _records(section)]
    )


_DRAWINGS: Final[Mapping[str, Callable[[Section], Figure]]] = {
    "class-distribution": _class_distribution,
    "image_type": _image_types,
    "age": _age,
    "age-by-diagnosis": _age_by_diagnosis,
    "sex-by-diagnosis": _sex_by_diagnosis,
    "site": _site,
    "site-by-diagnosis": _site_by_diagnosis,
    "missing": _missing,
    "malignant-where-missing": _malignant_where_missing,
    "images-per-lesion": _images_per_lesion,
    "image-sizes": _image_sizes,
}
