"""Share links in the API. Only the response that creates a link contains its URL."""

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from diagnoses.api.base import ApiView
from diagnoses.api.problems import Problem
from diagnoses.api.schema import LIST_OK, problems
from diagnoses.photos.models import Photo
from diagnoses.sharing.models import ShareLink
from diagnoses.sharing.services import DAYS, make_share_link, revoke_share_link


class NewShareLinkSerializer(serializers.Serializer[Any]):
    """A new share link: the number of days, and a label."""

    days = serializers.ChoiceField(choices=[(days, str(days)) for days in DAYS])
    label = serializers.CharField(  # type: ignore[assignment]  # a field, not the attribute
        max_length=100, required=False, allow_blank=True
    )


class ShareLinkSerializer(serializers.Serializer[ShareLink]):
    """A link by which somebody without an account can read one result until it expires."""

    id = serializers.UUIDField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]  # a field, not the attribute
    created = serializers.DateTimeField()
    expires = serializers.DateTimeField()
    revoked = serializers.DateTimeField(allow_null=True)
    times_opened = serializers.IntegerField()
    last_opened = serializers.DateTimeField(allow_null=True)


class MadeShareLinkSerializer(ShareLinkSerializer):
    """The new link with its URL, which is shown only once."""

    url = serializers.URLField(help_text=_("Keep it: it cannot be had a second time."))


class SharingView(ApiView):
    """Base of the views of share links: only for the owner of the photo."""

    serializer_class = ShareLinkSerializer
    pagination_class = None

    def own(self, photo_id: UUID) -> Photo:
        """The user's own photo: 404 for users who may not see it, 403 for those who may only read it."""
        photo = get_object_or_404(Photo.objects.visible_to(self.user), pk=photo_id)
        if photo.owner_id != self.user.pk:
            raise Problem(403, "not_owner", gettext("Only the person whose photo it is shares it."))
        return photo


class ShareLinksView(SharingView):
    """The share links of one photo."""

    @extend_schema(
        summary="List share links, newest first",
        responses={LIST_OK: ShareLinkSerializer(many=True), **problems(401, 403, 404, 429)},
    )
    def get(self, request: Request, photo_id: UUID) -> Response:
        """All links: open, expired and revoked. Without their URLs, which are shown only once."""
        return Response(self.get_serializer(self.own(photo_id).share_links.all(), many=True).data)

    @extend_schema(
        summary="Make a share link",
        request=NewShareLinkSerializer,
        responses={201: MadeShareLinkSerializer, **problems(400, 401, 403, 404, 415, 429)},
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        """Creates a link for somebody without an account. Anybody with the URL can read the result until it expires."""
        photo = self.own(photo_id)
        serializer = NewShareLinkSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        said = serializer.validated_data
        link, token = make_share_link(photo=photo, by=self.user, days=said["days"], label=said.get("label", ""))
        address = request.build_absolute_uri(reverse("shared", args=[token]))
        answer: dict[str, Any] = {**ShareLinkSerializer(link).data, "url": address}
        return Response(answer, status=201)


class ShareLinkView(SharingView):
    """One share link."""

    @extend_schema(summary="Close a share link", request=None, responses={204: None, **problems(401, 403, 404, 429)})
    def delete(self, request: Request, photo_id: UUID, link_id: UUID) -> Response:
        """Revokes the link. 204 also if it has expired."""
        link = get_object_or_404(ShareLink.objects.filter(photo=self.own(photo_id)).select_related("photo"), pk=link_id)
        revoke_share_link(link=link, by=self.user)
        return Response(status=204)
