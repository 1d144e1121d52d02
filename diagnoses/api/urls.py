"""The addresses under `/api/v1/`."""

from django.urls import path, re_path

from diagnoses.api.base import NoSuchAddress
from diagnoses.api.notifications import NotificationsView, ReadNotificationsView
from diagnoses.api.schema import DocsView, SchemaView
from diagnoses.api.tokens import TokenView
from diagnoses.lesions.api import LesionDetailView, LesionReminderView, LesionsView
from diagnoses.personal_data.api import ExportView
from diagnoses.readings.api import BlindAnswerView, FinalAnswerView, FindingsView, ReadingsView, ReviewView
from diagnoses.results.api.views import (
    HistoryView,
    PhotoDetailView,
    PhotoHeatmapView,
    PhotoImageView,
    PhotoRetryView,
    PhotosView,
    PhotoThumbnailView,
)
from diagnoses.sharing.api import ShareLinksView, ShareLinkView

urlpatterns = [
    path("token/", TokenView.as_view(), name="api-token"),
    path("photos/", PhotosView.as_view(), name="api-photos"),
    path("photos/<uuid:photo_id>/", PhotoDetailView.as_view(), name="api-photo"),
    path("photos/<uuid:photo_id>/retry/", PhotoRetryView.as_view(), name="api-photo-retry"),
    path("photos/<uuid:photo_id>/findings/", FindingsView.as_view(), name="api-photo-findings"),
    path("photos/<uuid:photo_id>/image/", PhotoImageView.as_view(), name="api-photo-image"),
    path("photos/<uuid:photo_id>/thumbnail/", PhotoThumbnailView.as_view(), name="api-photo-thumbnail"),
    path("photos/<uuid:photo_id>/heatmap/", PhotoHeatmapView.as_view(), name="api-photo-heatmap"),
    path("photos/<uuid:photo_id>/history/", HistoryView.as_view(), name="api-photo-history"),
    path("photos/<uuid:photo_id>/review/", ReviewView.as_view(), name="api-photo-review"),
    path("photos/<uuid:photo_id>/readings/", ReadingsView.as_view(), name="api-photo-readings"),
    path("photos/<uuid:photo_id>/readings/blind/", BlindAnswerView.as_view(), name="api-photo-reading-blind"),
    path("photos/<uuid:photo_id>/readings/final/", FinalAnswerView.as_view(), name="api-photo-reading-final"),
    path("photos/<uuid:photo_id>/share-links/", ShareLinksView.as_view(), name="api-photo-share-links"),
    path("photos/<uuid:photo_id>/share-links/<uuid:link_id>/", ShareLinkView.as_view(), name="api-photo-share-link"),
    path("lesions/", LesionsView.as_view(), name="api-lesions"),
    path("lesions/<uuid:lesion_id>/", LesionDetailView.as_view(), name="api-lesion"),
    path("lesions/<uuid:lesion_id>/reminder/", LesionReminderView.as_view(), name="api-lesion-reminder"),
    path("notifications/", NotificationsView.as_view(), name="api-notifications"),
    path("notifications/read/", ReadNotificationsView.as_view(), name="api-notifications-read"),
    path("account/export/", ExportView.as_view(), name="api-account-export"),
    path("schema/", SchemaView.as_view(), name="api-schema"),
    path("docs/", DocsView.as_view(), name="api-docs"),
    # Last: every other path is a 404 problem, never a redirect that would lose the body of a POST.
    re_path(r"", NoSuchAddress.as_view(), name="api-nothing"),
]
