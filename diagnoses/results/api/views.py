"""Photos in the API: upload, list, read, correct, delete, retry, their files and the reported history."""

import re
from dataclasses import fields
from typing import Final
from uuid import UUID

from django.http import FileResponse
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from diagnoses.api.base import UploadThrottle
from diagnoses.api.paging import NewestFirst
from diagnoses.api.problems import Problem
from diagnoses.api.schema import IDEMPOTENCY_KEY, LIST_OK, binary, problems
from diagnoses.photos.api import PhotoView
from diagnoses.photos.histories import HistoryAnswers, record_history
from diagnoses.photos.media import stream
from diagnoses.photos.services import (
    IdempotencyConflict,
    PhotoMetadata,
    change_image_type,
    delete_photo,
    retry_photo,
    submit_photo,
    view_photo,
)
from diagnoses.results.api.serializers import (
    HistorySerializer,
    ImageTypeSerializer,
    PhotoSerializer,
    ReceiptSerializer,
    UploadSerializer,
)
from recognition.sandbox import IntakeLimits, PhotoRejected

MEBIBYTE: Final = 1024 * 1024
# A generous limit: boundaries, headers and the other fields of a multipart upload take a few hundred bytes.
FORM_OVERHEAD: Final = 64 * 1024
QUESTIONS: Final = tuple(field.name for field in fields(HistoryAnswers))
KEY_FORM: Final = re.compile(r"[\x21-\x7e]{1,200}")


class HistoryView(PhotoView):
    """The reported history of a photo; it can be told again."""

    serializer_class = PhotoSerializer

    @extend_schema(
        summary="Tell the history of a spot",
        request=HistorySerializer,
        responses={201: PhotoSerializer, **problems(400, 401, 403, 404, 415, 429)},
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        """Saves the history and returns the photo, assessed again with it. Told again, it replaces all earlier answers,
        which are kept. A raised or changing spot is never only monitored. Only the owner may.
        """
        photo = self.photo(photo_id)
        if photo.owner_id != self.user.pk:
            raise Problem(403, "not_owner", gettext("Only the person whose photo it is can tell its history."))
        serializer = HistorySerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        record_history(photo=photo, by=self.user, answers=HistoryAnswers(**serializer.validated_data))
        return Response(self.get_serializer(self.photo(photo_id)).data, status=201)


class PhotosView(PhotoView):
    """All photos the user may see, and the upload of new ones."""

    serializer_class = PhotoSerializer
    parser_classes = [MultiPartParser]
    pagination_class = NewestFirst

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Refuse a too large body before the CSRF check reads it."""
        limit = IntakeLimits().max_bytes
        if request.method == "POST" and _content_length(request) > limit + FORM_OVERHEAD:
            raise PhotoRejected("too_large_bytes", megabytes=limit // MEBIBYTE)
        super().initial(request, *args, **kwargs)

    def get_throttles(self) -> list[BaseThrottle]:
        throttles = super().get_throttles()
        return [*throttles, UploadThrottle()] if self.request.method == "POST" else throttles

    @extend_schema(
        summary="List photos, newest first", responses={LIST_OK: PhotoSerializer(many=True), **problems(400, 401, 429)}
    )
    def get(self, request: Request) -> Response:
        """Your own photos; all photos for clinicians and administrators."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        summary="Upload a photo",
        parameters=[IDEMPOTENCY_KEY],
        request={"multipart/form-data": UploadSerializer},
        responses={202: ReceiptSerializer, **problems(400, 401, 403, 413, 415, 422, 429, 503, 507)},
    )
    def post(self, request: Request) -> Response:
        """Stores and queues the photo. The response means that it cannot be lost. Request `url` for the result."""
        key = _idempotency_key(request)
        serializer = UploadSerializer(data=request.data, owner=self.user)
        serializer.is_valid(raise_exception=True)
        data = serializer.validated_data
        image = data["image"]
        limit = IntakeLimits().max_bytes
        if image.size > limit:
            raise PhotoRejected("too_large_bytes", megabytes=limit // MEBIBYTE)
        try:
            photo = submit_photo(
                owner=self.user,
                data=image.read(),
                file_name=image.name or "",
                metadata=PhotoMetadata(
                    lesion=data.get("lesion"),
                    age_approx=data.get("age_approx"),
                    sex=data.get("sex", ""),
                    anatom_site_general=data.get("anatom_site_general", ""),
                    image_type=data.get("image_type", ""),
                ),
                history=HistoryAnswers(**{name: data[name] for name in QUESTIONS if name in data}),
                idempotency_key=key,
            )
        except IdempotencyConflict as error:
            detail = gettext("This Idempotency-Key was used for another upload. Use a new key for a new upload.")
            raise Problem(422, "idempotency_conflict", detail) from error
        receipt = ReceiptSerializer(photo, context=self.get_serializer_context()).data
        return Response(receipt, status=202, headers={"Location": receipt["url"]})


class PhotoDetailView(PhotoView):
    """One photo."""

    serializer_class = PhotoSerializer
    http_method_names = ["get", "head", "patch", "delete"]

    @extend_schema(summary="Read a photo", responses={200: PhotoSerializer, **problems(401, 404, 429)})
    def get(self, request: Request, photo_id: UUID) -> Response:
        """Status, prediction, ground truth if known. A clinician's access is audited."""
        photo = self.photo(photo_id)
        view_photo(photo=photo, by=self.user)
        return Response(self.get_serializer(photo).data)

    @extend_schema(
        summary="Correct the kind of picture",
        request=ImageTypeSerializer,
        responses={200: PhotoSerializer, **problems(400, 401, 403, 404, 415, 429)},
    )
    def patch(self, request: Request, photo_id: UUID) -> Response:
        """Says how the picture was taken, or leaves it to be recognised. Returns the photo, assessed again. The owner,
        clinicians and administrators may; audited.
        """
        photo = self.photo(photo_id)
        serializer = ImageTypeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        change_image_type(photo=photo, by=self.user, image_type=serializer.validated_data["image_type"])
        view_photo(photo=photo, by=self.user)
        return Response(self.get_serializer(self.photo(photo_id)).data)

    @extend_schema(summary="Delete a photo", request=None, responses={204: None, **problems(401, 403, 404, 429)})
    def delete(self, request: Request, photo_id: UUID) -> Response:
        """Deletes picture, thumbnail, heatmap, predictions and findings permanently. Only the owner may."""
        photo = self.photo(photo_id)
        if photo.owner_id != self.user.pk:
            raise Problem(403, "not_owner", gettext("Only the person whose photo it is can delete it."))
        delete_photo(photo=photo, by=self.user)
        return Response(status=204)


class PhotoRetryView(PhotoView):
    """Another attempt for a photo whose analysis failed."""

    serializer_class = PhotoSerializer

    @extend_schema(
        summary="Try the analysis again", request=None, responses={202: PhotoSerializer, **problems(401, 404, 409, 429)}
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        """Queues a failed photo again. 409 if it has not failed."""
        if not retry_photo(photo=self.photo(photo_id), by=self.user):
            raise Problem(409, "not_failed", gettext("The analysis of this photo has not failed."))
        return Response(self.get_serializer(self.photo(photo_id)).data, status=202)


class PhotoImageView(PhotoView):
    """The picture itself."""

    serializer_class = PhotoSerializer

    @extend_schema(
        summary="The picture",
        responses=binary("image/jpeg", "A clean, upright JPEG without metadata.") | problems(401, 404),
    )
    def get(self, request: Request, photo_id: UUID) -> FileResponse:
        """The picture as it is stored. A clinician's access is audited."""
        photo = self.photo(photo_id)
        view_photo(photo=photo, by=self.user)
        return stream(photo.image.name, "image/jpeg", f"photo-{photo.pk}.jpg")


class PhotoThumbnailView(PhotoView):
    """The thumbnail for lists."""

    serializer_class = PhotoSerializer

    @extend_schema(
        summary="The picture, small", responses=binary("image/jpeg", "At most 320 pixels a side.") | problems(401, 404)
    )
    def get(self, request: Request, photo_id: UUID) -> FileResponse:
        """The thumbnail for lists. Not audited, as lists are not."""
        photo = self.photo(photo_id)
        return stream(photo.thumbnail.name, "image/jpeg", f"thumbnail-{photo.pk}.jpg")


class PhotoHeatmapView(PhotoView):
    """The heatmap: evidence for the diagnosis in the picture."""

    serializer_class = PhotoSerializer

    @extend_schema(
        summary="The heatmap",
        responses=binary("image/png", "Transparent where there is no evidence.") | problems(401, 404),
    )
    def get(self, request: Request, photo_id: UUID) -> FileResponse:
        """A PNG overlay with the photo's aspect ratio. 404 if there is none, or if the answer is not for this user."""
        photo = self.photo(photo_id)
        heatmap = photo.heatmap_for(for_clinician=self.user.sees_all_patients)
        if not heatmap:
            raise Problem(404, "no_heatmap", gettext("There is no heatmap for this photo."))
        view_photo(photo=photo, by=self.user)
        return stream(heatmap, "image/png", f"heatmap-{photo.pk}.png")


def _content_length(request: Request) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not KEY_FORM.fullmatch(key):
        detail = gettext("An Idempotency-Key is 1 to 200 printable ASCII characters without spaces.")
        raise Problem(400, "invalid_idempotency_key", detail)
    return key
