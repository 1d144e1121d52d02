"""Own lesions in the API: one's own, to give new photos a place."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from diagnoses.api.paging import NewestFirst
from diagnoses.api.schema import LIST_OK, problems
from diagnoses.api.serializers import LesionSerializer
from diagnoses.api.views.base import ApiView
from diagnoses.models import Lesion
from diagnoses.services import create_lesion


class LesionsView(ApiView):
    """One's own lesions."""

    serializer_class = LesionSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Lesion]:
        """Nobody else's, whatever the role."""
        return Lesion.objects.filter(owner_id=self.request.user.pk)

    @extend_schema(
        summary="List lesions, newest first",
        responses={LIST_OK: LesionSerializer(many=True), **problems(400, 401, 429)},
    )
    def get(self, request: Request) -> Response:
        """Your own."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(summary="Name a lesion", responses={201: LesionSerializer, **problems(400, 401, 415, 429)})
    def post(self, request: Request) -> Response:
        """A spot to follow over time; give its `id` with the photos of it."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        said = serializer.validated_data
        lesion = create_lesion(
            owner=self.user, name=said["name"], anatom_site_general=said.get("anatom_site_general", "")
        )
        return Response(self.get_serializer(lesion).data, status=201)
