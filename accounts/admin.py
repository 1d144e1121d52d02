"""Users and the audit log in the Django admin."""

from typing import Any, TypeVar

from django import forms
from django.contrib import admin
from django.contrib.auth.forms import ReadOnlyPasswordHashField
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.models import AuditEntry, Role, User
from accounts.services import change_role

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


class NewUserForm(forms.ModelForm[User]):
    class Meta:
        model = User
        fields = ["email", "name", "role"]

    def save(self, commit: bool = True) -> User:
        user = super().save(commit=False)
        user.email = user.email.lower()
        user.set_unusable_password()
        if commit:
            user.save()
        return user


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
        assert isinstance(request.user, User)
        if change and "role" in form.changed_data:
            role = Role(form.cleaned_data["role"])
            obj.role = form.initial["role"]
            super().save_model(request, obj, form, change)
            change_role(user=obj, role=role, by=request.user)
            return
        super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # Deleting an account takes photos with it; that is erasure, done by its own service.
        return False


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    list_display = ["created", "actor", "action", "subject"]
    list_filter = ["action"]
    search_fields = ["subject", "actor"]
