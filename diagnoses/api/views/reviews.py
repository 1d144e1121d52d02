"""Own reviews in the API: asking for one, what came of it, and readings of clinicians, blind first.

Blindness holds for a reading alone: before its blind answer it carries nothing of the prediction or of other readers.
A clinician's program that asks for the photo itself is shown the prediction, as on the photo's page.
"""

from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from diagnoses.api.problems import Problem
from diagnoses.api.schema import LIST_OK, problems
from diagnoses.api.serializers import (
    BlindAnswerSerializer,
    FinalAnswerSerializer,
    ReadingSerializer,
    ReviewSerializer,
)
from diagnoses.api.views.base import ApiView
from diagnoses.api.views.photos import PhotoView
from diagnoses.models import Photo, Reading
from diagnoses.services import ReadingRefused, begin_reading, record_blind, record_final, view_photo
from diagnoses.services.readings import Refusal, outcome_of, wants_a_visit
from diagnoses.services.reviews import request_review

GIVEN: Final = ("answer", "diagnosis", "management", "override_reason", "note")


class ReviewView(PhotoView):
    """Where a photo is with the clinicians."""

    serializer_class = ReviewSerializer

    @extend_schema(summary="Read the review", responses={200: ReviewSerializer, **problems(401, 404, 429)})
    def get(self, request: Request, photo_id: UUID) -> Response:
        """What clinicians found stands here once they have settled it. A clinician's look is audited."""
        photo = self.photo(photo_id)
        view_photo(photo=photo, by=self.user)
        return Response(self._answer(photo))

    @extend_schema(
        summary="Ask for a review",
        request=None,
        responses={202: ReviewSerializer, **problems(401, 403, 404, 409, 429)},
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        """Asks clinicians to look at the photo. 409 where that was asked, or a clinician has read it."""
        photo = self.photo(photo_id)
        if photo.owner_id != self.user.pk:
            raise Problem(403, "not_owner", gettext("Only the person whose photo it is can ask for a review."))
        if not request_review(photo=photo, by=self.user):
            detail = gettext("A review was asked for already, or a clinician has read the photo.")
            raise Problem(409, "review_under_way", detail)
        return Response(self._answer(self.photo(photo_id)), status=202)

    def _answer(self, photo: Photo) -> Any:
        return self.get_serializer(
            {
                "state": photo.review_state,
                "requested": photo.review_requested,
                "closed": photo.review_closed,
                "wants_a_visit": wants_a_visit(photo),
                "outcome": outcome_of(photo),
            }
        ).data


class ReadingView(ApiView):
    """What the views of readings share: clinicians alone, and photos they may see."""

    serializer_class = ReadingSerializer
    pagination_class = None

    def photo(self, photo_id: UUID) -> Photo:
        """The photo: 404 for whom it does not exist, 403 for its owner, who reads the review instead."""
        photo = get_object_or_404(Photo.objects.visible_to(self.user), pk=photo_id)
        if not self.user.sees_all_patients:
            raise Problem(403, "clinicians_only", gettext("Readings are written and read by clinicians."))
        return photo

    def own(self, photo_id: UUID) -> Reading:
        """The reading of this photo by whoever asks, or 404."""
        reading = self.rows(self.photo(photo_id)).filter(reader_id=self.user.pk).first()
        if reading is None:
            raise Problem(404, "not_begun", gettext("You have not begun to read this photo."))
        return reading

    def rows(self, photo: Photo) -> QuerySet[Reading]:
        """The readings of a photo with all that an answer needs."""
        rows = Reading.objects.filter(photo=photo).select_related("reader", "prediction__classifier")
        return rows.defer("prediction__classifier__manifest")


class ReadingsView(ReadingView):
    """The readings of one photo."""

    @extend_schema(
        summary="List readings",
        responses={LIST_OK: ReadingSerializer(many=True), **problems(401, 403, 404, 429)},
    )
    def get(self, request: Request, photo_id: UUID) -> Response:
        """One's own. Those of others as well once one's own is recorded, once an adjudicator has answered blind, or
        where the photo is settled and one has no part in it: whoever is still to read must not know what others said.
        """
        photo = self.photo(photo_id)
        rows = list(self.rows(photo))
        own = [reading for reading in rows if reading.reader_id == self.user.pk]
        if not _may_know_others(own, is_settled=photo.review_state == Photo.ReviewState.READ):
            rows = own
        return Response(self.get_serializer(rows, many=True).data)

    @extend_schema(
        summary="Begin to read",
        request=None,
        responses={201: ReadingSerializer, **problems(401, 403, 404, 409, 429)},
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        """One reading for each reader; asked again, the one already begun. 409 where it is recorded or settled."""
        try:
            begun = begin_reading(photo=self.photo(photo_id), by=self.user)
        except ReadingRefused as error:
            raise _refused(error.code) from error
        return Response(self.get_serializer(begun).data, status=201)


class BlindAnswerView(ReadingView):
    """The first of the two answers."""

    @extend_schema(
        summary="Answer blind",
        request=BlindAnswerSerializer,
        responses={200: ReadingSerializer, **problems(400, 401, 403, 404, 409, 415, 429)},
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        """What you say before the prediction; the answer carries it. It stands once it is given."""
        reading = self.own(photo_id)
        serializer = BlindAnswerSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        said = serializer.validated_data
        try:
            record_blind(reading=reading, by=self.user, answer=said["answer"], diagnosis=said.get("diagnosis", ""))
        except ReadingRefused as error:
            raise _refused(error.code) from error
        return Response(self.get_serializer(self.own(photo_id)).data)


class FinalAnswerView(ReadingView):
    """The second of the two answers, which counts."""

    @extend_schema(
        summary="Answer finally",
        request=FinalAnswerSerializer,
        responses={200: ReadingSerializer, **problems(400, 401, 403, 404, 409, 415, 429)},
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        """What you say with the prediction in sight, and what should be done. It settles the photo, or another
        reader is waited for.
        """
        reading = self.own(photo_id)
        serializer = FinalAnswerSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        said = serializer.validated_data
        try:
            record_final(
                reading=reading,
                by=self.user,
                **{name: said.get(name, "") for name in GIVEN},
                monitor_months=said.get("monitor_months"),
                second_reading=said["second_reading"],
                insist=said["insist"],
                shown_role=reading.role,
            )
        except ReadingRefused as error:
            raise _refused(error.code) from error
        return Response(self.get_serializer(self.own(photo_id)).data)


def _may_know_others(own: list[Reading], *, is_settled: bool) -> bool:
    """Whether whoever gave these readings (one at most) may know what others said of the photo."""
    if not own:
        return is_settled
    adjudicates = own[0].role == Reading.Role.ADJUDICATION and own[0].revealed is not None
    return own[0].recorded is not None or adjudicates


def _refused(refusal: Refusal) -> Problem:
    details = {
        Refusal.CLOSED: gettext("Somebody else has settled this photo meanwhile. Send `insist` to read it as second."),
        Refusal.SETTLED: gettext("This photo is settled: nobody is waited for."),
        Refusal.ALREADY: gettext("You have read this photo."),
        Refusal.BLIND_STANDS: gettext("Your blind answer was given before and stands."),
        Refusal.NOT_REVEALED: gettext("Give your blind answer first."),
        Refusal.ADJUDICATES: gettext("Two others disagree meanwhile. Read what they said, then answer on the page."),
        Refusal.NOBODY: gettext("There is nobody else who could read this photo."),
        Refusal.NOT_SO: gettext("This photo is not in a state for this."),
    }
    return Problem(409, f"reading_{refusal.value.replace('-', '_')}", details[refusal])
