"""Pages of notifications: the list, one notification, and the number of unread ones."""

from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts import notification_texts
from accounts.models import Notification
from accounts.services import mark_read, set_email_switch
from accounts.views.access import SignedInRequest, signed_in

PAGE = 30
"""Notifications on one page."""


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def account_notifications(request: SignedInRequest) -> HttpResponse:
    """Newest first. POST `action`: "read" marks all as read, "email" with or without `on` is the switch for e-mail."""
    user = request.user
    if request.method == "POST":
        match request.POST.get("action"):
            case "read":
                mark_read(user=user)
            case "email":
                set_email_switch(user=user, on="on" in request.POST, by=user)
        return redirect("account-notifications")
    own = Notification.objects.filter(user=user)
    page = Paginator(own, PAGE).get_page(request.GET.get("page"))
    return render(request, "accounts/notifications.html", {"page": page, "unread": own.unread().count()})


@require_safe
@signed_in
def notification(request: SignedInRequest, notification_id: int) -> HttpResponse:
    """Mark a notification as read and redirect to its page. 404 for notifications of other users."""
    found = get_object_or_404(Notification, pk=notification_id, user=request.user)
    mark_read(user=request.user, pk=found.pk)
    return HttpResponseRedirect(found.path)


@require_safe
@signed_in
def notification_count(request: SignedInRequest) -> JsonResponse:
    """The number of unread notifications, as a number and as text, for the badge in the header."""
    unread = Notification.objects.unread().filter(user=request.user).count()
    return JsonResponse({"unread": unread, "words": notification_texts.unread_words(unread)})
