"""The consent texts in the admin: all versions, how many people agreed, and publishing the next version.

A version is published in three steps on one address: write, preview, confirm. A published version never changes (a
database trigger), because people agreed to exactly these words.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.admin.rows import ReadOnlyAdmin
from accounts.models import Consent, ConsentText, Purpose, User
from accounts.services import publish_consent_text

LONGEST = 20_000
"""Characters. The database column has the same limit."""


def _area(language: str) -> forms.Textarea:
    return forms.Textarea(attrs={"lang": language})


class ConsentTextForm(forms.Form):
    """The next version of a text; all three languages are needed."""

    purpose = forms.ChoiceField(label=_("Purpose"), choices=Purpose.choices)
    text_kk = forms.CharField(label=_("Text in Kazakh"), max_length=LONGEST, widget=_area("kk"))
    text_ru = forms.CharField(label=_("Text in Russian"), max_length=LONGEST, widget=_area("ru"))
    text_en = forms.CharField(label=_("Text in English"), max_length=LONGEST, widget=_area("en"))
    # The version that the author started from.
    based_on = forms.IntegerField(widget=forms.HiddenInput, required=False, min_value=0)

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or {}
        for name in ("text_kk", "text_ru", "text_en"):
            if name in said:  # browsers send CRLF line ends
                said[name] = said[name].replace("\r\n", "\n")
        if "purpose" in said and said.get("based_on") is not None:
            current = ConsentText.objects.current(Purpose(said["purpose"]))
            if (current.version if current is not None else 0) != said["based_on"]:
                raise ValidationError(
                    gettext("Another version has been published since you began. Compare it with yours and try again.")
                )
        return said


@admin.register(ConsentText)
class ConsentTextAdmin(ReadOnlyAdmin[ConsentText]):
    """All published versions, and how many people agreed to each."""

    list_display = ["__str__", "purpose", "version", "is_current", "published", "publisher", "standing", "withdrawn"]
    list_filter = ["purpose"]
    list_select_related = ["published_by"]
    fields = [
        "purpose", "version", "published", "publisher", "standing", "withdrawn", "text_kk", "text_ru", "text_en",
    ]  # fmt: skip
    readonly_fields = ["publisher", "standing", "withdrawn"]

    class Media:
        css = {"all": ["css/admin-home.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ConsentText]:
        newest = ConsentText.objects.order_by("purpose", "-version").distinct("purpose").values_list("pk", flat=True)
        return (
            super()
            .get_queryset(request)
            .annotate(
                given=Count("consents", filter=Q(consents__withdrawn__isnull=True)),
                taken_back=Count("consents", filter=Q(consents__withdrawn__isnull=False)),
                current=Q(pk__in=list(newest)),
            )
        )

    @admin.display(description=_("in force"), boolean=True)
    def is_current(self, text: ConsentText) -> bool:
        return bool(getattr(text, "current", False))

    @admin.display(description=_("published by"), ordering="published_by")
    def publisher(self, text: ConsentText) -> str:
        return str(text.published_by) if text.published_by is not None else ""

    @admin.display(description=_("agreed"), ordering="given")
    def standing(self, text: ConsentText) -> int:
        return int(getattr(text, "given", 0))

    @admin.display(description=_("withdrawn"), ordering="taken_back")
    def withdrawn(self, text: ConsentText) -> int:
        return int(getattr(text, "taken_back", 0))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The three steps: write, preview, confirm."""
        user = request.user
        if not isinstance(user, User) or not self.has_add_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            asked = request.GET.get("purpose", "")
            purpose = Purpose(asked) if asked in Purpose.values else Purpose.DIAGNOSIS
            return self._written(request, ConsentTextForm(initial=_words_in_force(purpose)))
        form = ConsentTextForm(request.POST)
        if not form.is_valid() or "again" in request.POST:
            return self._written(request, form)
        said = {name: value for name, value in form.cleaned_data.items() if name != "based_on"}
        if "confirmed" not in request.POST:
            return self._read(request, form)
        try:
            text = publish_consent_text(**{**said, "purpose": Purpose(said["purpose"])}, by=user)
        except ValidationError as error:
            form.add_error(None, error.messages[0] if error.messages else str(error))
            return self._written(request, form)
        messages.success(request, gettext("%(text)s is in force now.") % {"text": text})
        return HttpResponseRedirect(reverse("admin:accounts_consenttext_changelist"))

    def _written(self, request: HttpRequest, form: ConsentTextForm) -> HttpResponse:
        context = {**self._context(request), "title": gettext("Publish a consent text"), "form": form}
        status = 422 if form.is_bound and form.errors else 200
        return TemplateResponse(request, "admin/accounts/consenttext/write.html", context, status=status)

    def _read(self, request: HttpRequest, form: ConsentTextForm) -> HttpResponse:
        said = form.cleaned_data
        purpose = Purpose(said["purpose"])
        current = ConsentText.objects.current(purpose)
        asked = Consent.objects.standing().filter(text=current).count() if current is not None else 0
        context = {
            **self._context(request),
            "title": gettext("Read it as people will read it"),
            "form": form,
            "current": current,
            "version": current.version + 1 if current is not None else 1,
            "asked": asked,
            "asks_again": purpose == Purpose.DIAGNOSIS,
            "purpose": purpose.label,
            "texts": [
                {"lang": "kk", "language": _("Kazakh"), "words": said["text_kk"]},
                {"lang": "ru", "language": _("Russian"), "words": said["text_ru"]},
                {"lang": "en", "language": _("English"), "words": said["text_en"]},
            ],
        }
        return TemplateResponse(request, "admin/accounts/consenttext/read.html", context)

    def _context(self, request: HttpRequest) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}


def _words_in_force(purpose: Purpose) -> dict[str, Any]:
    """The text in force, as initial values of the form."""
    current = ConsentText.objects.current(purpose)
    if current is None:
        return {"purpose": purpose, "based_on": 0}
    return {
        "purpose": purpose,
        "text_kk": current.text_kk,
        "text_ru": current.text_ru,
        "text_en": current.text_en,
        "based_on": current.version,
    }
