"""The body map: outline and regions of the front and back drawing, and the ISIC site of each region.

Drawn by hand for Teri. Points are in units of the drawing, `WIDTH` by `HEIGHT` from the upper left. Places are stored
as shares of both (`Lesion.body_x`, `body_y`), so that the drawing can be replaced by one of the same proportions. The
regions overlap the outline: together they contain every point of the silhouette, and the page clips them to it.

Left and right are those of the person, as on a doctor's drawing: on the front, their right is on the viewer's left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

WIDTH: Final = 200
HEIGHT: Final = 480
MIDDLE: Final = WIDTH / 2

FRONT: Final = "front"
BACK: Final = "back"

Point = tuple[float, float]


@dataclass(frozen=True)
class Region:
    """A region of one drawing. `key` names it in URLs and forms. `centre` is the position of spots that have only a
    region. `polygon` is in units of the drawing.
    """

    key: str
    view: str
    site: str
    label: str | Promise
    centre: Point
    polygon: tuple[Point, ...]

    @property
    def points(self) -> str:
        """The polygon as an SVG attribute."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.polygon)

    @property
    def share(self) -> Point:
        """The centre in shares of the drawing."""
        return self.centre[0] / WIDTH, self.centre[1] / HEIGHT


# One half of the outline: distance from the middle, and height. The other half is mirrored.
_HALF: Final[tuple[Point, ...]] = (
    (0, 9), (8, 10.5), (14.5, 15.5), (19, 25), (20.5, 38), (17, 54), (11, 65), (10, 72), (15, 80), (32, 87), (44, 93),
    (51, 106),
    (54, 126), (58, 148), (63, 168), (69, 192), (74, 218), (77, 234), (83, 247), (86, 262), (82, 277), (75, 278),
    (70, 264), (67, 248), (66, 236), (60, 214), (53, 190), (48, 168), (43, 146), (38.5, 122), (36, 144), (33.5, 166),
    (34, 186), (38, 206), (41.5, 230), (42, 256), (39, 290), (34, 322), (31.5, 340), (33.5, 362), (31, 392),
    (24, 424), (23, 438), (29, 455), (28, 465), (15, 467), (9, 458), (10.5, 438), (10, 420), (8, 392), (9, 362),
    (9.5, 340), (8, 316), (4.5, 284), (1.5, 254), (0, 249),
)  # fmt: skip


def _mirrored(half: Sequence[Point]) -> tuple[Point, ...]:
    right = [(MIDDLE + x, y) for x, y in half]
    left = [(MIDDLE - x, y) for x, y in reversed(half) if x]
    return (*right, *left)


OUTLINE: Final = _mirrored(_HALF)
"""The silhouette, clockwise from the top of the head; the same from the front and from behind."""


def smooth(points: Sequence[Point]) -> str:
    """A closed SVG path through `points`: Catmull-Rom segments (1974) written as cubic Bézier curves."""
    count = len(points)
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for i in range(count):
        before, start, end, after = (points[(i + k) % count] for k in (-1, 0, 1, 2))
        one = (start[0] + (end[0] - before[0]) / 6, start[1] + (end[1] - before[1]) / 6)
        two = (end[0] - (after[0] - start[0]) / 6, end[1] - (after[1] - start[1]) / 6)
        path.append("C" + " ".join(f"{x:.1f} {y:.1f}" for x, y in (one, two, end)))
    return "".join(path) + "Z"


SILHOUETTE: Final = smooth(OUTLINE)

# Halves of the regions, as distances from the middle. Where regions overlap, the first one wins.
_MOUTH: Final = ((-8, 51), (-4, 49.5), (4, 49.5), (8, 51), (8, 55), (4, 56.5), (-4, 56.5), (-8, 55))
_GENITALS: Final = ((-12.5, 234), (12.5, 234), (5, 256), (-5, 256))
_HEAD: Final = ((-60, 0), (60, 0), (60, 62), (18, 74), (19, 81.5), (-19, 81.5), (-18, 74), (-60, 62))
_HAND: Final = ((60, 237), (78, 231), (100, 231), (100, 300), (60, 300))
_SOLE: Final = ((0, 442), (60, 442), (60, 480), (0, 480))
_FLANK: Final = ((24, 116), (38, 116), (44, 146), (48, 168), (48, 220), (28, 220), (21, 175))
_ARM: Final = ((31, 81), (60, 70), (100, 70), (100, 300), (60, 300), (60, 232), (48, 168), (44, 146), (38, 120))
_FRONT_LEG: Final = ((46, 221), (12, 238), (0, 249), (0, 480), (60, 480), (60, 221))
_BACK_LEG: Final = ((60, 250), (24, 261), (0, 254), (0, 480), (60, 480))
_CHEST: Final = ((0, 70), (20, 79), (32, 82), (39, 118), (46, 221), (12, 239), (0, 252))
_BACK: Final = ((0, 70), (20, 79), (32, 82), (39, 118), (48, 230), (48, 254), (24, 262), (0, 256))


def _region(
    key: str, site: str, label: str | Promise, centre: Point, half: Sequence[Point], *, left: bool = False
) -> Region:
    """A region from distances to the middle, on the viewer's right or (`left`) left. The key begins with the view."""
    side = -1 if left else 1
    return Region(
        key=key,
        view=key.partition("-")[0],
        site=site,
        label=label,
        centre=(MIDDLE + side * centre[0], centre[1]),
        polygon=tuple((MIDDLE + side * x, y) for x, y in half),
    )


def _whole(half: Sequence[Point]) -> tuple[Point, ...]:
    return (*half, *((-x, y) for x, y in reversed(half)))


REGIONS: Final[tuple[Region, ...]] = (
    _region("front-mouth", "oral/genital", _("Mouth"), (0, 53), _MOUTH),
    _region("front-genitals", "oral/genital", _("Genital area"), (0, 242), _GENITALS),
    _region("front-head", "head/neck", _("Face and front of the neck"), (0, 34), _HEAD),
    _region("front-right-palm", "palms/soles", _("Right palm"), (77, 257), _HAND, left=True),
    _region("front-left-palm", "palms/soles", _("Left palm"), (77, 257), _HAND),
    _region("front-right-flank", "lateral torso", _("Right side, from the front"), (30, 170), _FLANK, left=True),
    _region("front-left-flank", "lateral torso", _("Left side, from the front"), (30, 170), _FLANK),
    _region("front-trunk", "anterior torso", _("Chest and belly"), (0, 140), _whole(_CHEST)),
    _region("front-right-arm", "upper extremity", _("Right arm, from the front"), (52, 150), _ARM, left=True),
    _region("front-left-arm", "upper extremity", _("Left arm, from the front"), (52, 150), _ARM),
    _region("front-right-leg", "lower extremity", _("Right leg, from the front"), (23, 300), _FRONT_LEG, left=True),
    _region("front-left-leg", "lower extremity", _("Left leg, from the front"), (23, 300), _FRONT_LEG),
    _region("back-head", "head/neck", _("Back of the head and of the neck"), (0, 40), _HEAD),
    _region("back-left-sole", "palms/soles", _("Left sole"), (19, 455), _SOLE, left=True),
    _region("back-right-sole", "palms/soles", _("Right sole"), (19, 455), _SOLE),
    _region("back-left-flank", "lateral torso", _("Left side, from behind"), (30, 170), _FLANK, left=True),
    _region("back-right-flank", "lateral torso", _("Right side, from behind"), (30, 170), _FLANK),
    _region("back-trunk", "posterior torso", _("Back and buttocks"), (0, 140), _whole(_BACK)),
    _region("back-left-arm", "upper extremity", _("Left arm and hand, from behind"), (52, 150), _ARM, left=True),
    _region("back-right-arm", "upper extremity", _("Right arm and hand, from behind"), (52, 150), _ARM),
    _region("back-left-leg", "lower extremity", _("Left leg, from behind"), (23, 320), _BACK_LEG, left=True),
    _region("back-right-leg", "lower extremity", _("Right leg, from behind"), (23, 320), _BACK_LEG),
)  # fmt: skip
"""All regions. Smaller ones come before the larger ones that they overlap."""

BY_KEY: Final = {region.key: region for region in REGIONS}


def regions_of(view: str) -> list[Region]:
    """The regions of one drawing."""
    return [region for region in REGIONS if region.view == view]


def region_at(view: str, x: float, y: float) -> Region | None:
    """The region of a place, given as shares of the drawing (0 to 1). None outside the body."""
    point = (x * WIDTH, y * HEIGHT)
    return next((region for region in regions_of(view) if _holds(region.polygon, point)), None)


def _holds(polygon: Sequence[Point], point: Point) -> bool:
    """Whether a point is inside: a ray to the right crosses the border an odd number of times (Shimrat 1962)."""
    x, y = point
    inside = False
    for (ax, ay), (bx, by) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            inside = not inside
    return inside
