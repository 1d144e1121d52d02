"""Users in the admin: role, whether they may sign in, and their consents."""

from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin
from django.contrib.auth.forms import ReadOnlyPasswordHashField
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Consent, ConsentText, Purpose, Role, User
from accounts.services import change_email, change_role, register_account, switch_account


class UserForm(forms.ModelForm[User]):
    password = ReadOnlyPasswordHashField(
        label=_("password"), help_text=_("Passwords are not stored readably; people reset theirs by e-mail.")
    )

    class Meta:
        model = User
        fields = ["email", "name", "role", "is_active", "password"]

    def clean_email(self) -> str:
        return _free_address(self.cleaned_data["email"], user=self.instance)


class NewUserForm(forms.ModelForm[User]):
    class Meta:
        model = User
        fields = ["email", "name", "role"]

    def clean_email(self) -> str:
        return _free_address(self.cleaned_data["email"], user=None)

    def save(self, commit: bool = True) -> User:
        user = super().save(commit=False)
        user.set_unusable_password()
        if commit:
            user.save()
        return user


def _day(moment: datetime) -> str:
    return date_format(localtime(moment), "DATE_FORMAT")


def _free_address(email: str, *, user: User | None) -> str:
    """The address in lower case. Raises ValidationError if another account has verified this address.

    The model checks that no other account signs in with it.
    """
    email = email.lower()
    owned = EmailAddress.objects.filter(email__iexact=email, verified=True)
    if (owned.exclude(user=user) if user is not None else owned).exists():
        raise forms.ValidationError(gettext("There is already an account with this e-mail address."))
    return email


class ConsentFilter(admin.SimpleListFilter):
    """Filter: people who agreed to the current text about diagnosis, or to training."""

    title = _("consent")
    parameter_name = "consent"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [
            ("diagnosis", _("Agreed to the current text about diagnosis")),
            ("not-diagnosis", _("Not agreed to the current text about diagnosis")),
            ("training", _("Agreed to training")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        if self.value() == "training":
            return queryset.filter(training_consent__isnull=False)
        if self.value() in {"diagnosis", "not-diagnosis"}:
            current = ConsentText.objects.current(Purpose.DIAGNOSIS)
            agreed = Exists(Consent.objects.standing().filter(user=OuterRef("pk"), text=current))
            return queryset.filter(agreed if self.value() == "diagnosis" else ~agreed)
        return queryset


@admin.register(User)
class UserAdmin(admin.ModelAdmin[User]):
    """All accounts. Services change role, address and the active flag, and audit it."""

    form = UserForm
    list_display = [
        "email", "name", "role", "is_active", "agreed_version", "agreed_to_training", "last_login",
    ]  # fmt: skip
    list_filter = ["role", "is_active", ConsentFilter, "last_login"]
    list_per_page = 50
    search_fields = ["email", "name"]
    ordering = ["email"]
    readonly_fields = ["date_joined", "last_login", "consents"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        newest = Consent.objects.standing().filter(user=OuterRef("pk"), text__purpose=Purpose.DIAGNOSIS)
        version = Subquery(newest.order_by("-text__version").values("text__version")[:1])
        return super().get_queryset(request).annotate(agreed=version)

    @admin.display(description=_("consent to diagnosis"), ordering="agreed")
    def agreed_version(self, user: User) -> str:
        version = getattr(user, "agreed", None)
        return gettext("version %(number)d") % {"number": version} if version else "–"

    @admin.display(description=_("training"), boolean=True)
    def agreed_to_training(self, user: User) -> bool:
        return user.training_consent is not None

    @admin.display(description=_("consents"))
    def consents(self, user: User) -> str:
        """All consents of this person, newest first."""
        said = [
            gettext("%(text)s: agreed on %(given)s, withdrawn on %(withdrawn)s")
            % {"text": consent.text, "given": _day(consent.given), "withdrawn": _day(consent.withdrawn)}
            if consent.withdrawn
            else gettext("%(text)s: agreed on %(given)s") % {"text": consent.text, "given": _day(consent.given)}
            for consent in user.consents.select_related("text")
        ]
        return format_html_join("", "<p>{}</p>", ((line,) for line in said)) or "–"

    def get_form(self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            return NewUserForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        if obj is None:
            return []
        # Nobody can change their own role or lock themselves out. So one administrator always remains.
        own = ["role", "is_active"] if obj.pk == request.user.pk else []
        return [*self.readonly_fields, *own]

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return ["email", "name", "role"]
        return ["email", "name", "role", "is_active", "password", "date_joined", "last_login", "consents"]

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save the name directly. Services save everything else: they check permission and write the audit log."""
        by = request.user
        assert isinstance(by, User)
        new = {name: form.cleaned_data[name] for name in ("email", "role", "is_active") if name in form.changed_data}
        if not change:
            register_account(user=obj, by=by)
            return
        for name in new:
            setattr(obj, name, form.initial[name])
        super().save_model(request, obj, form, change)
        if "email" in new:
            change_email(user=obj, email=new["email"], by=by)
        if "role" in new:
            change_role(user=obj, role=Role(new["role"]), by=by)
        if "is_active" in new:
            switch_account(user=obj, active=new["is_active"], by=by)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # Deleting an account also deletes its photos. The erasure service does that.
        return False
