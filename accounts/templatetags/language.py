"""The language switch in templates: `{% language_switch "header" %}`."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from django import template
from django.http import HttpRequest
from django.template import RequestContext
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language

from accounts.models import Language

register = template.Library()

# Shown in the header of narrow pages. The beginning of the full name, so that screen readers match it (WCAG 2.5.3).
SHORT: Final = {Language.KAZAKH: "Қаз", Language.RUSSIAN: "Рус", Language.ENGLISH: "Eng"}


@dataclass(frozen=True)
class LanguageChoice:
    """One language of the switch: code, name in that language, short name, and whether it is active."""

    code: str
    name: str
    short: str
    is_current: bool


@register.inclusion_tag("partials/language.html", takes_context=True)
def language_switch(context: RequestContext, place: str) -> dict[str, Any]:
    """The form that changes the language. `place` is "header" or "footer". Empty without a request."""
    request: HttpRequest | None = context.get("request")
    if request is None:  # error pages that are made without a request: 500, 503
        return {}
    now = get_language()
    choices = [LanguageChoice(code, name, SHORT[Language(code)], code == now) for code, name in Language.choices]
    return {
        "place": place,
        "choices": choices,
        "current": next((choice for choice in choices if choice.is_current), choices[-1]),
        "page": page_of(request),
        "csrf_token": context.get("csrf_token"),
    }


def page_of(request: HttpRequest) -> str:
    """The path and query to return to: this page, or after a form was sent, the page that contained the form.

    The address that receives a form may not be a page that can be shown.
    """
    if request.method in {"GET", "HEAD"}:
        return request.get_full_path()
    sender = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(sender, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        parts = urlsplit(sender)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path
    return request.path
