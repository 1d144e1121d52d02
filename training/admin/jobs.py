"""Own what the pages of all jobs share: who may see them, and that there is nothing to edit or delete."""

from typing import Any, TypeVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from accounts.admin import ReadOnlyAdmin
from accounts.models import User
from training.models import Job

J = TypeVar("J", bound=Job)


def administrator(request: HttpRequest) -> User:
    """Who asks. Raises PermissionDenied for anybody but an administrator."""
    user = request.user
    if not isinstance(user, User) or not user.is_administrator:
        raise PermissionDenied
    return user


class JobAdmin(ReadOnlyAdmin[J]):
    """Jobs, newest first. A job is asked for and cancelled; it is never edited, and its row is not deleted.

    A kind of job says with `adds` whether it is asked for on a page of its own.
    """

    adds = True
    key = "int"  # the converter of its primary key in addresses

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.adds and admin.ModelAdmin.has_add_permission(self, request)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def own(self, address: str, view: Any, name: str) -> URLPattern:
        """An address below that of one job, for administrators."""
        whole = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        address_of: URLPattern = path(f"<{self.key}:pk>/{address}", self.admin_site.admin_view(view), name=whole)
        return address_of

    def back(self, request: HttpRequest, pk: Any, *, done: bool, said: str, otherwise: str) -> HttpResponse:
        """To the page of the job, with a sentence on what was done or why not."""
        if done:
            messages.success(request, said)
        else:
            messages.info(request, otherwise)
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk]))
