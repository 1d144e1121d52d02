"""Users and the audit log in the Django admin."""

from typing import Any, TypeVar

from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin
from django.contrib.auth.forms import ReadOnlyPasswordHashField
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import AuditEntry, Role, User
from accounts.services import change_email, change_role, register_account, switch_account

M = TypeVar("M", bound=Model)


class ReadOnlyAdmin(admin.ModelAdmin[M]):
    """Rows to look at: nothing is added, changed or deleted here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


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


def _free_address(email: str, *, user: User | None) -> str:
    """The address in lower case. ValidationError where somebody else has proved that it is theirs.

    That no other account signs in with it is the model's own check.
    """
    email = email.lower()
    owned = EmailAddress.objects.filter(email__iexact=email, verified=True)
    if (owned.exclude(user=user) if user is not None else owned).exists():
        raise forms.ValidationError(gettext("There is already an account with this e-mail address."))
    return email


@admin.register(User)
class UserAdmin(admin.ModelAdmin[User]):
    form = UserForm
    list_display = ["email", "name", "role", "is_active", "date_joined", "last_login"]
    list_filter = ["role", "is_active"]
    search_fields = ["email", "name"]
    ordering = ["email"]
    readonly_fields = ["date_joined", "last_login"]

    def get_form(self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            return NewUserForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        if obj is None:
            return []
        # Nobody changes their own role or locks themselves out: one administrator always remains.
        own = ["role", "is_active"] if obj.pk == request.user.pk else []
        return [*self.readonly_fields, *own]

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return ["email", "name", "role"]
        return ["email", "name", "role", "is_active", "password", "date_joined", "last_login"]

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """What is more than a name is changed by its service, which asks who is asking and writes it down."""
        by = request.user
        assert isinstance(by, User)
        new = {name: form.cleaned_data[name] for name in ("email", "role", "is_active") if name in form.changed_data}
        try:
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
        except PermissionError as error:
            # Another administrator took the right away between this page and its form.
            raise PermissionDenied from error

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # Deleting an account takes photos with it; that is erasure, done by its own service.
        return False


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    list_display = ["created", "actor", "action", "subject"]
    list_filter = ["action"]
    search_fields = ["subject", "actor"]
