"""Lesions in the API: create, change, delete and get reminders of one's own; clinicians read those of all patients."""

from typing import Any
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
from diagnoses.api.paging import NewestFirst
from diagnoses.api.problems import Problem
from diagnoses.api.schema import LIST_OK, problems
from diagnoses.fields import DECISION_CHOICES, SITE_CHOICES
from diagnoses.lesions.joint import JointAnswer, joint_answer
from diagnoses.lesions.models import MONTHS, BodyView, Lesion, Reminder
from diagnoses.lesions.reminders import ReminderRefusal, ReminderRefused, end_reminder, set_reminder
from diagnoses.lesions.services import BodyPlace, change_lesion, create_lesion, delete_lesion, view_lesion
from diagnoses.photos.api import CaseMixSerializer, DiagnosisSerializer, ProbabilitiesSerializer, diagnosis_named


class PlaceSerializer(serializers.Serializer[Any]):
    """A point on the drawing of the body."""

    view = serializers.ChoiceField(choices=BodyView.choices)
    x = serializers.FloatField(min_value=0, max_value=1, help_text=_("Share of the width of the drawing, from left."))
    y = serializers.FloatField(min_value=0, max_value=1, help_text=_("Share of its height, from the top."))


class LesionSerializer(serializers.Serializer[Lesion]):
    """One spot on the skin that its owner follows over time."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    anatom_site_general = serializers.ChoiceField(choices=SITE_CHOICES, allow_blank=True)
    place = serializers.SerializerMethodField(help_text=_("Where on the body map; null: not placed."))
    created = serializers.DateTimeField()

    @extend_schema_field(PlaceSerializer(allow_null=True))
    def get_place(self, lesion: Lesion) -> dict[str, Any] | None:
        if not lesion.body_view:
            return None
        return {"view": lesion.body_view, "x": lesion.body_x, "y": lesion.body_y}


class JointPredictionSerializer(serializers.Serializer[JointAnswer]):
    """What the photos of one day say of a spot together. It may raise the advice, and never lowers it."""

    diagnosis = serializers.SerializerMethodField()
    probabilities = ProbabilitiesSerializer(source="by_code")
    case_mix = serializers.SerializerMethodField()
    malignant_score = serializers.FloatField(min_value=0, max_value=1)
    decision = serializers.ChoiceField(choices=DECISION_CHOICES)
    photos = serializers.ListField(
        child=serializers.UUIDField(), help_text=_("The photos of that day, newest first; refused ones do not count.")
    )
    date = serializers.DateField()

    @extend_schema_field(DiagnosisSerializer)
    def get_diagnosis(self, joint: JointAnswer) -> dict[str, str]:
        return diagnosis_named(joint.diagnosis)

    @extend_schema_field(CaseMixSerializer)
    def get_case_mix(self, joint: JointAnswer) -> dict[str, Any]:
        return joint.case_mix.as_json()


class WholeLesionSerializer(LesionSerializer):
    """One spot, with what its photos say together."""

    joint_prediction = serializers.SerializerMethodField(
        help_text=_("Of the newest day with at least two analysed photos; null without such a day.")
    )

    @extend_schema_field(JointPredictionSerializer(allow_null=True))
    def get_joint_prediction(self, lesion: Lesion) -> Any:
        joint = joint_answer(lesion)
        return JointPredictionSerializer(joint, context=self.context).data if joint is not None else None


class NewLesionSerializer(serializers.Serializer[Any]):
    """The new state of a spot. Missing fields become empty."""

    name = serializers.CharField(max_length=100)
    anatom_site_general = serializers.ChoiceField(choices=SITE_CHOICES, required=False, allow_blank=True)
    place = PlaceSerializer(required=False, allow_null=True)


class NewReminderSerializer(serializers.Serializer[Any]):
    """The number of months until the reminder."""

    months = serializers.ChoiceField(choices=[(months, str(months)) for months in MONTHS])


class ReminderSerializer(serializers.Serializer[Reminder]):
    """The day on which the spot should be photographed again."""

    months = serializers.IntegerField()
    due = serializers.DateField()
    created = serializers.DateTimeField()


class LesionsView(ApiView):
    """The lesions of the user."""

    serializer_class = LesionSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Lesion]:
        """Only the user's own, for every role."""
        return Lesion.objects.filter(owner_id=self.request.user.pk)

    @extend_schema(
        summary="List lesions, newest first",
        responses={LIST_OK: LesionSerializer(many=True), **problems(400, 401, 429)},
    )
    def get(self, request: Request) -> Response:
        """Your own lesions."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        summary="Name a lesion",
        request=NewLesionSerializer,
        responses={201: LesionSerializer, **problems(400, 401, 415, 429)},
    )
    def post(self, request: Request) -> Response:
        """Creates a spot. Send its `id` with photos of it. A place on the body map also sets the site."""
        lesion = create_lesion(owner=self.user, **_said(request))
        return Response(self.get_serializer(lesion).data, status=201)


class LesionView(ApiView):
    """Base of the views of one lesion: visibility and ownership."""

    def lesion(self, lesion_id: UUID) -> Lesion:
        """The lesion, or 404."""
        return get_object_or_404(Lesion.objects.visible_to(self.user), pk=lesion_id)

    def own(self, lesion_id: UUID) -> Lesion:
        """The user's own lesion: 404 if they may not see it, 403 if they may only read it."""
        lesion = self.lesion(lesion_id)
        if lesion.owner_id != self.user.pk:
            raise Problem(403, "not_owner", gettext("Only the person whose spot it is can change it."))
        return lesion


class LesionDetailView(LesionView):
    """One lesion."""

    serializer_class = WholeLesionSerializer
    http_method_names = ["get", "head", "put", "delete"]

    @extend_schema(summary="Read a lesion", responses={200: WholeLesionSerializer, **problems(401, 404, 429)})
    def get(self, request: Request, lesion_id: UUID) -> Response:
        """Name, site, place, and what the photos say together. A clinician's access is written into the audit log."""
        lesion = self.lesion(lesion_id)
        view_lesion(lesion=lesion, by=self.user)
        return Response(self.get_serializer(lesion).data)

    @extend_schema(
        summary="Change a lesion",
        request=NewLesionSerializer,
        responses={200: LesionSerializer, **problems(400, 401, 403, 404, 415, 429)},
    )
    def put(self, request: Request, lesion_id: UUID) -> Response:
        """Replaces name, site and place; missing fields become empty. Only the owner may."""
        lesion = change_lesion(lesion=self.own(lesion_id), by=self.user, **_said(request))
        return Response(LesionSerializer(lesion).data)

    @extend_schema(summary="Delete a lesion", request=None, responses={204: None, **problems(401, 403, 404, 429)})
    def delete(self, request: Request, lesion_id: UUID) -> Response:
        """Deletes the spot permanently, with all its photos and their results. Only the owner may."""
        delete_lesion(lesion=self.own(lesion_id), by=self.user)
        return Response(status=204)


class LesionReminderView(LesionView):
    """The reminder of a spot."""

    serializer_class = ReminderSerializer

    @extend_schema(summary="Read the reminder", responses={200: ReminderSerializer, **problems(401, 403, 404, 429)})
    def get(self, request: Request, lesion_id: UUID) -> Response:
        """The active reminder; 404 if there is none."""
        reminder = Reminder.objects.standing().filter(lesion=self.own(lesion_id)).first()
        if reminder is None:
            raise Problem(404, "no_reminder", gettext("No reminder is set for this spot."))
        return Response(self.get_serializer(reminder).data)

    @extend_schema(
        summary="Set a reminder",
        request=NewReminderSerializer,
        responses={201: ReminderSerializer, **problems(400, 401, 403, 404, 409, 415, 429)},
    )
    def post(self, request: Request, lesion_id: UUID) -> Response:
        """Sets or replaces the reminder. 409 if the spot should be seen by a doctor, or has no result yet."""
        lesion = self.own(lesion_id)
        serializer = NewReminderSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            reminder = set_reminder(lesion=lesion, months=serializer.validated_data["months"], by=self.user)
        except ReminderRefused as error:
            raise _refused(error.refusal) from error
        return Response(self.get_serializer(reminder).data, status=201)

    @extend_schema(summary="Call the reminder off", request=None, responses={204: None, **problems(401, 403, 404, 429)})
    def delete(self, request: Request, lesion_id: UUID) -> Response:
        """Deletes the reminder. 204 also if there is none."""
        end_reminder(lesion=self.own(lesion_id), by=self.user)
        return Response(status=204)


def _said(request: Request) -> dict[str, Any]:
    """The new state of a lesion, as arguments of the services."""
    serializer = NewLesionSerializer(data=request.data)
    serializer.is_valid(raise_exception=True)
    said = serializer.validated_data
    place = said.get("place")
    return {
        "name": said["name"],
        "anatom_site_general": said.get("anatom_site_general", ""),
        "place": BodyPlace(place["view"], place["x"], place["y"]) if place else None,
    }


def _refused(refusal: ReminderRefusal) -> Problem:
    details = {
        ReminderRefusal.NO_PHOTO: gettext("There is no photo of this spot yet that another could be compared with."),
        ReminderRefusal.WAITING: gettext("The newest photo of this spot has no result yet."),
        ReminderRefusal.NOT_ASSESSED: gettext(
            "The newest photo of this spot could not be assessed. Please take another now."
        ),
        ReminderRefusal.DOCTOR: gettext("This spot should be seen by a doctor; a reminder would not replace that."),
    }
    code = f"reminder_{refusal.value.replace('-', '_')}"
    return Problem(409, code, details[refusal])
