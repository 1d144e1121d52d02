"""Share links in the admin: read only."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from accounts.admin.rows import LongListAdmin
from diagnoses.sharing.models import ShareLink


@admin.register(ShareLink)
class ShareLinkAdmin(LongListAdmin[ShareLink]):
    """Share links, read only. Only a hash of the token is stored, so the admin cannot show the URL."""

    list_display = ["id", "photo_id", "made_by", "created", "expires", "revoked", "times_opened", "last_opened"]
    list_filter = ["created", "expires"]
    list_select_related = ["made_by"]
    search_fields = ["id__exact", "photo__id__exact", "made_by__email"]
    search_help_text = _("A link's or photo's id, or the e-mail address of who made it.")
    fields = ["id", "photo", "made_by", "created", "expires", "revoked", "times_opened", "last_opened"]
