"""Own findings in the API: what clinicians say of a photo."""

from uuid import UUID

from django.shortcuts import get_object_or_404
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from diagnoses.api.problems import Problem
from diagnoses.api.schema import LIST_OK, problems
from diagnoses.api.serializers import FindingSerializer
from diagnoses.api.views.base import ApiView
from diagnoses.models import Photo
from diagnoses.services import record_finding


class FindingsView(ApiView):
    """The findings on one photo, for clinicians."""

    serializer_class = FindingSerializer
    pagination_class = None

    def photo(self, photo_id: UUID) -> Photo:
        """The photo: 404 for whom it does not exist, 403 for its owner, who reads the ground truth instead."""
        photo = get_object_or_404(Photo.objects.visible_to(self.user), pk=photo_id)
        if not self.user.sees_all_patients:
            raise Problem(403, "clinicians_only", gettext("Findings are read and written by clinicians."))
        return photo

    @extend_schema(
        summary="List findings, newest first",
        responses={LIST_OK: FindingSerializer(many=True), **problems(401, 403, 404, 429)},
    )
    def get(self, request: Request, photo_id: UUID) -> Response:
        """All of them: a later one does not erase an earlier one."""
        findings = self.photo(photo_id).findings.select_related("recorded_by")
        return Response(self.get_serializer(findings, many=True).data)

    @extend_schema(
        summary="Record a finding",
        responses={201: FindingSerializer, **problems(400, 401, 403, 404, 415, 429)},
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        """Becomes the ground truth of the photo: the newest histopathology, else the newest clinician's assessment."""
        photo = self.photo(photo_id)
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        said = serializer.validated_data
        finding = record_finding(
            photo=photo, by=self.user, diagnosis=said["diagnosis"], source=said["source"], note=said.get("note", "")
        )
        return Response(self.get_serializer(finding).data, status=201)
