"""Reviews, readings and findings in the API. A reading contains no prediction before its blind answer."""

from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from diagnoses.api.base import ApiView
from diagnoses.api.problems import Problem
from diagnoses.api.schema import LIST_OK, problems
from diagnoses.fields import DIAGNOSIS_CHOICES
from diagnoses.photos.api import DiagnosisSerializer, PhotoView, PredictionSerializer, diagnosis_named
from diagnoses.photos.models import Photo
from diagnoses.photos.services import view_photo
from diagnoses.readings.findings import record_finding
from diagnoses.readings.models import MONITOR_MONTHS, Finding, Reading
from diagnoses.readings.outcome import outcome_of, wants_a_visit
from diagnoses.readings.rules import OVERRIDE_REASON_MAX
from diagnoses.readings.services import (
    ReadingRefusal,
    ReadingRefused,
    begin_reading,
    record_blind,
    record_final,
    request_review,
)

NOTE_MAX: Final = 2000
"""Characters. The database column has the same limit."""

GIVEN: Final = ("answer", "diagnosis", "management", "override_reason", "note")


class FindingSerializer(serializers.Serializer[Finding]):
    """The diagnosis of a lesion by a clinician or a pathologist."""

    id = serializers.IntegerField(read_only=True)
    diagnosis = serializers.ChoiceField(choices=DIAGNOSIS_CHOICES)
    source = serializers.ChoiceField(  # type: ignore[assignment]  # a field, not the attribute
        choices=Finding.Source.choices
    )
    note = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    recorded_by = serializers.CharField(read_only=True)
    created = serializers.DateTimeField(read_only=True)


class OutcomeSerializer(serializers.Serializer[Any]):
    """The clinicians' result of a settled photo."""

    answer = serializers.ChoiceField(choices=Reading.Answer.choices)
    diagnosis = serializers.SerializerMethodField()
    management = serializers.ChoiceField(choices=Reading.Management.choices, allow_blank=True)
    monitor_months = serializers.IntegerField(allow_null=True)
    notes = serializers.ListField(child=serializers.CharField())
    recorded = serializers.DateTimeField()

    @extend_schema_field(DiagnosisSerializer(allow_null=True))
    def get_diagnosis(self, outcome: Any) -> dict[str, str] | None:
        return diagnosis_named(outcome.diagnosis) if outcome.diagnosis else None


class ReviewSerializer(serializers.Serializer[Any]):
    """Where a photo is with the clinicians."""

    state = serializers.ChoiceField(choices=Photo.ReviewState.choices)
    requested = serializers.DateTimeField(allow_null=True)
    closed = serializers.DateTimeField(allow_null=True)
    wants_a_visit = serializers.BooleanField(
        help_text=_("A clinician wants the spot examined in person; true also before the review is settled.")
    )
    outcome = OutcomeSerializer(allow_null=True, help_text=_("Null until the clinicians have settled it."))


class BlindAnswerSerializer(serializers.Serializer[Any]):
    """The blind answer: given before the prediction is shown."""

    answer = serializers.ChoiceField(choices=Reading.Answer.choices)
    diagnosis = serializers.ChoiceField(
        choices=DIAGNOSIS_CHOICES, required=False, allow_blank=True, help_text=_("With the answer `diagnosis`.")
    )


class FinalAnswerSerializer(BlindAnswerSerializer):
    """The final answer: given after the prediction was shown, with the management."""

    management = serializers.ChoiceField(choices=Reading.Management.choices, required=False, allow_blank=True)
    monitor_months = serializers.ChoiceField(
        choices=[(months, str(months)) for months in MONITOR_MONTHS], required=False, allow_null=True
    )
    override_reason = serializers.CharField(
        max_length=OVERRIDE_REASON_MAX,
        required=False,
        allow_blank=True,
        help_text=_("Needed where the diagnosis differs from the prediction."),
    )
    note = serializers.CharField(max_length=NOTE_MAX, required=False, allow_blank=True)
    second_reading = serializers.BooleanField(required=False, default=False)
    insist = serializers.BooleanField(
        required=False,
        default=False,
        help_text=_("Count it as a second reading where somebody else has settled the photo meanwhile."),
    )


class ReadingSerializer(serializers.Serializer[Reading]):
    """The user's own reading, or one of a photo that they have read. No prediction before the blind answer."""

    id = serializers.IntegerField()
    role = serializers.ChoiceField(choices=Reading.Role.choices)
    reader = serializers.CharField()
    begun = serializers.DateTimeField()
    blind_answer = serializers.ChoiceField(choices=Reading.Answer.choices, allow_blank=True)
    blind_diagnosis = serializers.ChoiceField(choices=DIAGNOSIS_CHOICES, allow_blank=True)
    revealed = serializers.DateTimeField(allow_null=True)
    prediction = serializers.SerializerMethodField(
        help_text=_("Null until the blind answer is given, and where the photo has none.")
    )
    answer = serializers.ChoiceField(choices=Reading.Answer.choices, allow_blank=True)
    diagnosis = serializers.ChoiceField(choices=DIAGNOSIS_CHOICES, allow_blank=True)
    management = serializers.ChoiceField(choices=Reading.Management.choices, allow_blank=True)
    monitor_months = serializers.IntegerField(allow_null=True)
    override_reason = serializers.CharField(allow_blank=True)
    note = serializers.CharField(allow_blank=True)
    recorded = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(PredictionSerializer(allow_null=True))
    def get_prediction(self, reading: Reading) -> Any:
        if reading.revealed is None or reading.assessment is None:
            return None
        return PredictionSerializer(reading.assessment, context=self.context).data


class FindingsView(ApiView):
    """The findings of one photo, for clinicians."""

    serializer_class = FindingSerializer
    pagination_class = None

    def photo(self, photo_id: UUID) -> Photo:
        """The photo: 404 for users who may not see it, 403 for its owner, who reads the ground truth instead."""
        photo = get_object_or_404(Photo.objects.visible_to(self.user), pk=photo_id)
        if not self.user.sees_all_patients:
            raise Problem(403, "clinicians_only", gettext("Findings are read and written by clinicians."))
        return photo

    @extend_schema(
        summary="List findings, newest first",
        responses={LIST_OK: FindingSerializer(many=True), **problems(401, 403, 404, 429)},
    )
    def get(self, request: Request, photo_id: UUID) -> Response:
        """All findings. A later one does not delete an earlier one."""
        findings = self.photo(photo_id).findings.select_related("recorded_by")
        return Response(self.get_serializer(findings, many=True).data)

    @extend_schema(
        summary="Record a finding",
        responses={201: FindingSerializer, **problems(400, 401, 403, 404, 415, 429)},
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        """Adds a finding. The newest histopathology is the ground truth, else the newest clinician's assessment."""
        photo = self.photo(photo_id)
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        said = serializer.validated_data
        finding = record_finding(
            photo=photo, by=self.user, diagnosis=said["diagnosis"], source=said["source"], note=said.get("note", "")
        )
        return Response(self.get_serializer(finding).data, status=201)


class ReviewView(PhotoView):
    """Where a photo is with the clinicians."""

    serializer_class = ReviewSerializer

    @extend_schema(summary="Read the review", responses={200: ReviewSerializer, **problems(401, 404, 429)})
    def get(self, request: Request, photo_id: UUID) -> Response:
        """The state of the review, with the result once it is settled. A clinician's access is audited."""
        photo = self.photo(photo_id)
        view_photo(photo=photo, by=self.user)
        return Response(self._answer(photo))

    @extend_schema(
        summary="Ask for a review",
        request=None,
        responses={202: ReviewSerializer, **problems(401, 403, 404, 409, 429)},
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        """Asks clinicians to read the photo. 409 if this was asked before, or a clinician has read it."""
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
    """Base of the views of readings: only for clinicians, and photos they may see."""

    serializer_class = ReadingSerializer
    pagination_class = None

    def photo(self, photo_id: UUID) -> Photo:
        """The photo: 404 for users who may not see it, 403 for its owner, who reads the review instead."""
        photo = get_object_or_404(Photo.objects.visible_to(self.user), pk=photo_id)
        if not self.user.sees_all_patients:
            raise Problem(403, "clinicians_only", gettext("Readings are written and read by clinicians."))
        return photo

    def own(self, photo_id: UUID) -> Reading:
        """The user's reading of this photo, or 404."""
        reading = self.rows(self.photo(photo_id)).filter(reader_id=self.user.pk).first()
        if reading is None:
            raise Problem(404, "not_begun", gettext("You have not begun to read this photo."))
        return reading

    def rows(self, photo: Photo) -> QuerySet[Reading]:
        """The readings of a photo with all related rows of a response."""
        rows = Reading.objects.filter(photo=photo).select_related("reader", "assessment__prediction__classifier")
        return rows.defer("assessment__prediction__classifier__manifest")


class ReadingsView(ReadingView):
    """The readings of one photo."""

    @extend_schema(
        summary="List readings",
        responses={LIST_OK: ReadingSerializer(many=True), **problems(401, 403, 404, 429)},
    )
    def get(self, request: Request, photo_id: UUID) -> Response:
        """Your own reading. Also those of others after you have recorded yours, as an adjudicator after your blind
        answer, or for a settled photo that you have not begun: whoever still reads must not know the other answers.
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
        """Begins your reading, or returns the one you have begun. 409 if it is recorded or the photo is settled."""
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
        """Records your answer before the prediction. The response contains the prediction. It cannot be changed."""
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
        """Records your answer after the prediction, and what should be done. It settles the photo, or the photo waits
        for another reader.
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
    """Whether the reader with these readings (at most one) may see the answers of others."""
    if not own:
        return is_settled
    adjudicates = own[0].role == Reading.Role.ADJUDICATION and own[0].revealed is not None
    return own[0].recorded is not None or adjudicates


def _refused(refusal: ReadingRefusal) -> Problem:
    details = {
        ReadingRefusal.CLOSED: gettext(
            "Somebody else has settled this photo meanwhile. Send `insist` to read it as second."
        ),
        ReadingRefusal.SETTLED: gettext("This photo is settled: it waits for no further reading."),
        ReadingRefusal.ALREADY: gettext("You have read this photo."),
        ReadingRefusal.BLIND_STANDS: gettext("Your blind answer was given before and stands."),
        ReadingRefusal.NOT_REVEALED: gettext("Give your blind answer first."),
        ReadingRefusal.ADJUDICATES: gettext(
            "Two others disagree meanwhile. Read what they said, then answer on the page."
        ),
        ReadingRefusal.NOBODY: gettext("There is nobody else who could read this photo."),
        ReadingRefusal.NOT_SO: gettext("This photo is not in a state for this."),
    }
    return Problem(409, f"reading_{refusal.value.replace('-', '_')}", details[refusal])
