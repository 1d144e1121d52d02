"""URLs of the pages."""

from django.urls import path

from diagnoses.lesions.views import changes, spots, upload
from diagnoses.personal_data import views as personal_data
from diagnoses.photos import views as pictures
from diagnoses.readings.views import agreement, reading, worklist
from diagnoses.results.views import photo, report
from diagnoses.sharing import views as sharing
from diagnoses.site import home

urlpatterns = [
    path("", home.home, name="home"),
    path("about/", home.about, name="about"),
    path("spots/", spots.lesion_list, name="lesion-list"),
    path("spots/new/", changes.lesion_new, name="lesion-new"),
    path("spots/photos/", changes.photos_move, name="photos-move"),
    path("spots/<uuid:lesion_id>/", spots.lesion, name="lesion"),
    path("spots/<uuid:lesion_id>/compare/", spots.lesion_compare, name="lesion-compare"),
    path("spots/<uuid:lesion_id>/edit/", changes.lesion_edit, name="lesion-edit"),
    path("spots/<uuid:lesion_id>/delete/", changes.lesion_delete, name="lesion-delete"),
    path("spots/<uuid:lesion_id>/reminder/", changes.lesion_reminder, name="lesion-reminder"),
    path("photos/", photo.photo_list, name="photo-list"),
    path("photos/new/", upload.photo_new, name="photo-new"),
    path("photos/<uuid:photo_id>/", photo.photo, name="photo"),
    path("photos/<uuid:photo_id>/status/", photo.photo_status, name="photo-status"),
    path("photos/<uuid:photo_id>/delete/", photo.photo_delete, name="photo-delete"),
    path("photos/<uuid:photo_id>/history/", changes.photo_history, name="photo-history"),
    path("photos/<uuid:photo_id>/image-type/", photo.photo_image_type, name="photo-image-type"),
    path("photos/<uuid:photo_id>/retry/", photo.photo_retry, name="photo-retry"),
    path("photos/<uuid:photo_id>/repredict/", photo.photo_repredict, name="photo-repredict"),
    path("photos/<uuid:photo_id>/findings/", photo.photo_finding, name="photo-finding"),
    path("photos/<uuid:photo_id>/request-review/", photo.photo_request_review, name="photo-request-review"),
    path("photos/<uuid:photo_id>/report.pdf", report.photo_report, name="photo-report"),
    path("photos/<uuid:photo_id>/share/", sharing.photo_share, name="photo-share"),
    path("photos/<uuid:photo_id>/share/<uuid:link_id>/revoke/", sharing.photo_share_revoke, name="photo-share-revoke"),
    path("s/<str:token>/", sharing.shared, name="shared"),
    path("s/<str:token>/image/", sharing.shared_image, name="shared-image"),
    path("s/<str:token>/heatmap/", sharing.shared_heatmap, name="shared-heatmap"),
    path("s/<str:token>/report.pdf", sharing.shared_report, name="shared-report"),
    path("photos/<uuid:photo_id>/image/", pictures.photo_image, name="photo-image"),
    path("photos/<uuid:photo_id>/thumbnail/", pictures.photo_thumbnail, name="photo-thumbnail"),
    path("photos/<uuid:photo_id>/heatmap/", pictures.photo_heatmap, name="photo-heatmap"),
    path("account/looks/", personal_data.account_access_log, name="account-looks"),
    path("account/export/", personal_data.account_export, name="account-export"),
    path("account/erase/", personal_data.account_erase, name="account-erase"),
    path("account/erased/", personal_data.account_erased, name="account-erased"),
    path("review/references/<int:picture_id>/", pictures.reference_picture, name="reference-picture"),
    path("review/", worklist.review_list, name="review-list"),
    path("review/next/", worklist.review_next, name="review-next"),
    path("review/export/", worklist.review_export, name="review-export"),
    path("review/agreement/", agreement.review_agreement, name="review-agreement"),
    path("review/<uuid:photo_id>/", reading.reading, name="reading"),
    path("review/<uuid:photo_id>/second/", reading.reading_second, name="reading-second"),
    path("review/<uuid:photo_id>/settle/", reading.reading_settle, name="reading-settle"),
    path("review/<uuid:photo_id>/agreed/", reading.reading_agreed, name="reading-agreed"),
    path("review/<uuid:photo_id>/histopathology/", reading.reading_histopathology, name="reading-histopathology"),
]
