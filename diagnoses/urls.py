"""The addresses of the pages."""

from django.urls import path

from diagnoses.views import account, agreement, exports, home, lists, media, photo, reading, upload

urlpatterns = [
    path("", home.home, name="home"),
    path("about/", home.about, name="about"),
    path("photos/", lists.photo_list, name="photo-list"),
    path("photos/new/", upload.photo_new, name="photo-new"),
    path("photos/<uuid:photo_id>/", photo.photo, name="photo"),
    path("photos/<uuid:photo_id>/status/", photo.photo_status, name="photo-status"),
    path("photos/<uuid:photo_id>/delete/", photo.photo_delete, name="photo-delete"),
    path("photos/<uuid:photo_id>/retry/", photo.photo_retry, name="photo-retry"),
    path("photos/<uuid:photo_id>/repredict/", photo.photo_repredict, name="photo-repredict"),
    path("photos/<uuid:photo_id>/findings/", photo.photo_finding, name="photo-finding"),
    path("photos/<uuid:photo_id>/image/", media.photo_image, name="photo-image"),
    path("photos/<uuid:photo_id>/thumbnail/", media.photo_thumbnail, name="photo-thumbnail"),
    path("photos/<uuid:photo_id>/heatmap/", media.photo_heatmap, name="photo-heatmap"),
    path("account/looks/", account.account_looks, name="account-looks"),
    path("account/export/", account.account_export, name="account-export"),
    path("account/erase/", account.account_erase, name="account-erase"),
    path("account/erased/", account.account_erased, name="account-erased"),
    path("review/references/<int:picture_id>/", media.reference_picture, name="reference-picture"),
    path("review/", lists.review_list, name="review-list"),
    path("review/next/", lists.review_next, name="review-next"),
    path("review/export/", exports.review_export, name="review-export"),
    path("review/agreement/", agreement.review_agreement, name="review-agreement"),
    path("review/<uuid:photo_id>/", reading.reading, name="reading"),
    path("review/<uuid:photo_id>/second/", reading.reading_second, name="reading-second"),
    path("review/<uuid:photo_id>/settle/", reading.reading_settle, name="reading-settle"),
    path("review/<uuid:photo_id>/agreed/", reading.reading_agreed, name="reading-agreed"),
    path("review/<uuid:photo_id>/histopathology/", reading.reading_histopathology, name="reading-histopathology"),
]
