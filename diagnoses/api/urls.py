"""The addresses under `/api/v1/`."""

from django.urls import path, re_path

from diagnoses.api.views.docs import DocsView, SchemaView
from diagnoses.api.views.findings import FindingsView
from diagnoses.api.views.lesions import LesionsView
from diagnoses.api.views.photos import (
    PhotoDetailView,
    PhotoHeatmapView,
    PhotoImageView,
    PhotoRetryView,
    PhotosView,
    PhotoThumbnailView,
)
from diagnoses.api.views.problems import NoSuchAddress
from diagnoses.api.views.tokens import TokenView

urlpatterns = [
    path("token/", TokenView.as_view(), name="api-token"),
    path("photos/", PhotosView.as_view(), name="api-photos"),
    path("photos/<uuid:photo_id>/", PhotoDetailView.as_view(), name="api-photo"),
    path("photos/<uuid:photo_id>/retry/", PhotoRetryView.as_view(), name="api-photo-retry"),
    path("photos/<uuid:photo_id>/findings/", FindingsView.as_view(), name="api-photo-findings"),
    path("photos/<uuid:photo_id>/image/", PhotoImageView.as_view(), name="api-photo-image"),
    path("photos/<uuid:photo_id>/thumbnail/", PhotoThumbnailView.as_view(), name="api-photo-thumbnail"),
    path("photos/<uuid:photo_id>/heatmap/", PhotoHeatmapView.as_view(), name="api-photo-heatmap"),
    path("lesions/", LesionsView.as_view(), name="api-lesions"),
    path("schema/", SchemaView.as_view(), name="api-schema"),
    path("docs/", DocsView.as_view(), name="api-docs"),
    # Last: whatever is left is a 404 in this API's own form, and never a redirect that loses the body of a POST.
    re_path(r"", NoSuchAddress.as_view(), name="api-nothing"),
]
