"""Own the patient's history of a spot in the API, for photos that were sent without one."""

from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from diagnoses.api.problems import Problem
from diagnoses.api.schema import problems
from diagnoses.api.serializers import HistorySerializer, PhotoSerializer
from diagnoses.api.views.photos import PhotoView
from diagnoses.services import HistoryAnswers, record_history


class HistoryView(PhotoView):
    """What the patient says of the spot on one photo, told once."""

    @extend_schema(
        summary="Tell the history of a spot",
        request=HistorySerializer,
        responses={201: PhotoSerializer, **problems(400, 401, 403, 404, 409, 415, 429)},
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        """The photo as it is afterwards: a spot that is raised or changing is never only watched. Only its owner may,
        and once.
        """
        photo = self.photo(photo_id)
        if photo.owner_id != self.user.pk:
            raise Problem(403, "not_owner", gettext("Only the person whose photo it is can tell its history."))
        serializer = HistorySerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            record_history(photo=photo, by=self.user, answers=HistoryAnswers(**serializer.validated_data))
        except ValidationError as error:
            if getattr(error, "code", "") == "told":
                raise Problem(409, "already_told", error.messages[0]) from error
            raise
        return Response(self.get_serializer(self.photo(photo_id)).data, status=201)
