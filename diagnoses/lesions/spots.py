"""The data of the spots page: spots with number, time span, advice and reminder, and their dots on the body map.

Only reads, with a constant number of queries for any number of spots and photos.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count, Max, Min
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from diagnoses.fields import SITE_CHOICES
from diagnoses.lesions import bodymap
from diagnoses.lesions.joint import JointAnswer, joint_answers
from diagnoses.lesions.models import BodyView, Lesion, Reminder
from diagnoses.photos.models import Photo
from diagnoses.results.advice import Advice, joint_advice
from diagnoses.results.clinical_outcome import clinical_outcome_of
from diagnoses.results.result import current_advice
from recognition.inference.assessment import Decision

MANIFEST: Final = "assessment__prediction__classifier__manifest"
"""Not shown here, and larger than the rest of the row, so it is deferred."""

DOT_DISTANCE: Final = 15.0
"""Dots closer than this (units of the drawing) would hide each other's numbers."""


@dataclass(frozen=True)
class Span:
    """The time from the first to the newest photo of a spot."""

    first: datetime
    last: datetime
    photos: int

    @property
    def days(self) -> int:
        """Calendar days between the two: "Day 0 to Day 93"."""
        return day_of(self.last, self.first)


@dataclass(frozen=True)
class Spot:
    """One spot on the page. `number` counts the person's spots from the oldest, 1. `newest` is None without photos;
    `advice` is None also while the newest photo has no result.
    """

    number: int
    lesion: Lesion
    newest: Photo | None = None
    advice: Advice | None = None
    span: Span | None = None
    reminder: Reminder | None = None


@dataclass(frozen=True)
class Dot:
    """The position of a spot on a drawing, in its units."""

    spot: Spot
    x: float
    y: float


@dataclass(frozen=True)
class Drawing:
    """One side of the body with the dots on it."""

    view: BodyView
    regions: tuple[bodymap.Region, ...]
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Site:
    """The spots of one ISIC site; `site` is "" for spots without a site."""

    site: str
    label: str | Promise
    spots: tuple[Spot, ...]


def day_of(moment: datetime, first: datetime) -> int:
    """The day of the follow-up: calendar days since the first photo, which is Day 0."""
    return (timezone.localdate(moment) - timezone.localdate(first)).days


def spots_of(owner: User) -> list[Spot]:
    """All spots of a person, oldest first. At most eight queries."""
    lesions = list(Lesion.objects.filter(owner=owner).order_by("created", "pk"))
    photos = Photo.objects.filter(lesion__in=lesions, owner=owner)
    # Select keys first: otherwise the database would sort whole joined rows.
    last = photos.order_by("lesion_id", "-created", "-pk").distinct("lesion_id").values("pk")
    shown = Photo.objects.filter(pk__in=last).for_display().defer(MANIFEST)
    newest = {photo.lesion_id: photo for photo in shown}
    spans = {
        row["lesion"]: Span(row["first"], row["last"], row["photos"])
        for row in photos.order_by()
        .values("lesion")
        .annotate(first=Min("created"), last=Max("created"), photos=Count("pk"))
    }
    reminders = {reminder.lesion_id: reminder for reminder in Reminder.objects.standing().filter(lesion__in=lesions)}
    joint = joint_answers(lesions)
    return [
        Spot(
            number=number,
            lesion=lesion,
            newest=newest.get(lesion.pk),
            advice=advice_for(newest[lesion.pk], joint.get(lesion.pk)) if lesion.pk in newest else None,
            span=spans.get(lesion.pk),
            reminder=reminders.get(lesion.pk),
        )
        for number, lesion in enumerate(lesions, 1)
    ]


def advice_for(newest: Photo, joint: JointAnswer | None) -> Advice | None:
    """The advice for a spot: that of its newest photo, which the joint answer of its photos may raise.

    None while the newest photo has no result. What clinicians have found counts more than the photos together.
    """
    advice = current_advice(newest)
    if advice is None or joint is None or not raises_advice(newest, joint):
        return advice
    return joint_advice(urgent=joint.decision == Decision.URGENT)


def raises_advice(newest: Photo, joint: JointAnswer) -> bool:
    """Whether the joint answer makes the advice for a spot graver than that of its newest photo."""
    return joint.raises(newest.decision) and not clinical_outcome_of(newest).is_read


def span_of(lesion: Lesion) -> Span | None:
    """The time span of one spot; None without photos."""
    row = lesion.photos.aggregate(first=Min("created"), last=Max("created"), photos=Count("pk"))
    return Span(**row) if row["photos"] else None


def by_site(spots: Iterable[Spot]) -> list[Site]:
    """All eight ISIC sites in order. Spots without a site come last, if there are any."""
    spots = list(spots)
    choices = [*SITE_CHOICES, ("", _("No place given"))]
    sites = [
        Site(site, label, tuple(s for s in spots if s.lesion.anatom_site_general == site)) for site, label in choices
    ]
    return sites if sites[-1].spots else sites[:-1]


def drawings(spots: Sequence[Spot]) -> list[Drawing]:
    """The front and back drawing with the dots of all placed spots."""
    return [
        Drawing(view, tuple(bodymap.regions_of(view)), tuple(_dots([s for s in spots if s.lesion.body_view == view])))
        for view in BodyView
    ]


def _dots(spots: Iterable[Spot]) -> list[Dot]:
    """The dots of one drawing. A dot that would cover another one is moved to the nearest free position."""
    dots: list[Dot] = []
    for spot in spots:
        x, y = (spot.lesion.body_x or 0.0) * bodymap.WIDTH, (spot.lesion.body_y or 0.0) * bodymap.HEIGHT
        at = next(
            (point for point in _around(x, y) if all(math.dist(point, (d.x, d.y)) >= DOT_DISTANCE for d in dots)),
            (x, y),
        )
        dots.append(Dot(spot, round(at[0], 1), round(at[1], 1)))
    return dots


def _around(x: float, y: float) -> Iterable[tuple[float, float]]:
    """Candidate positions: the place itself, then points on two rings around it."""
    yield x, y
    for ring in (1, 2):
        for step in range(6 * ring):
            angle = 2 * math.pi * step / (6 * ring)
            yield x + ring * DOT_DISTANCE * math.cos(angle), y + ring * DOT_DISTANCE * math.sin(angle)
