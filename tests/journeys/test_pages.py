"""Every page of the journeys in every language: accessible, no wider than a small phone, fully translated."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from django.urls import reverse

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from tests.journeys.practice import PASSWORD, Practice, make_practice

pytestmark = [pytest.mark.journey, pytest.mark.stack, pytest.mark.django_db(transaction=True)]

LANGUAGES: Final = ("kk", "ru", "en")
NARROW: Final = 320  # CSS pixels: WCAG 2.2, 1.4.10
WIDE: Final = 1280
# Width and dark mode for each language. Together they cover every layout and both colour schemes.
LOOKS: Final = {"kk": (NARROW, False), "ru": (WIDE, True), "en": (WIDE, False)}

# Two words in Latin letters on a page in Cyrillic letters: an untranslated English text.
ENGLISH: Final = re.compile(r"\b[A-Za-z][a-z’']+(?:,? [a-z’']{2,})+")
# Exceptions: user text and names. Their elements are marked, or they are in this list.
# The audit log shows what was recorded as it was recorded.
KEPT: Final = re.compile(r"MacKie 1990|NICE|Walter|^\w+: ")
# A practice that axe's authors recommend and Django's search field does not follow: its label is an icon with a name.
DJANGOS: Final = re.compile(r'label-title-only.*id="searchbar"')
# The text a page shows, without what is marked as being in another language or as a name.
SHOWN: Final = """() => {
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (parent.closest("script, style, template, noscript, svg, code, pre, bdi, kbd, [lang=en]")) continue;
    texts.push(walker.currentNode.textContent);
  }
  for (const element of document.querySelectorAll("[alt], [aria-label], [placeholder], [title]")) {
    if (element.closest("[lang=en]")) continue;
    for (const name of ["alt", "aria-label", "placeholder", "title"]) texts.push(element.getAttribute(name) ?? "");
  }
  return texts.map(text => text.replace(/\\s+/g, " ").trim()).filter(Boolean);
}"""
# The elements that overflow to the right, innermost first, for debugging.
STICKING_OUT: Final = """() => [...document.body.querySelectorAll("*")]
  .filter(element => element.getBoundingClientRect().right > window.innerWidth + 1)
  .slice(-3).map(element => element.outerHTML.slice(0, 120))"""

EVERYBODY: Final = ("about", "account_login", "account_signup", "account_reset_password", "home")
PATIENT: Final = (
    "account", "account-profile", "account-privacy", "account-notifications", "account-looks", "account-export",
    "account-erase", "account_email", "account_change_password", "mfa_index", "lesion-list", "lesion-new", "photo-list",
    "photo-new",
)  # fmt: skip
SPOT: Final = ("lesion", "lesion-edit", "lesion-compare", "lesion-delete")
PHOTO: Final = ("photo", "photo-share", "photo-delete")
CLINICIAN: Final = ("review-list", "review-agreement")
ADMINISTRATOR: Final = (
    "admin:index", "admin:accounts_auditentry_changelist", "admin:accounts_consenttext_changelist",
    "admin:accounts_consenttext_add", "admin:diagnoses_classifier_changelist", "admin:training_dataset_changelist",
    "admin:diagnoses_classifier_drift",
)  # fmt: skip


SETTLED = """() => Promise.all(
    document.getAnimations().filter(each => each instanceof CSSTransition).map(each => each.finished.catch(() => null))
)"""
"""Links of the admin take 0.15 s from one scheme's colour to the other's, and no contrast holds in between."""


def pages_of(role: str, practice: Practice) -> Iterator[str]:
    """The URLs of all pages that differ by role."""
    if role == "anonymous":
        yield from (reverse(name) for name in EVERYBODY)
        yield reverse("shared", args=[practice.token])
        yield reverse("shared", args=["opens-nothing"])
        yield "/no/such/page/"
    elif role == "patient":
        yield from (reverse(name) for name in PATIENT)
        yield from (reverse(name, args=[practice.spots["followed"].pk]) for name in SPOT)
        yield reverse("lesion", args=[practice.spots["calm"].pk])
        yield from (reverse(name, args=[practice.photos["followed-2"].pk]) for name in PHOTO)
        yield from (reverse("photo", args=[practice.photos[key].pk]) for key in ("urgent", "calm", "refused", "failed"))
        yield reverse("photo", args=[practice.photos["waiting"].pk])
        yield reverse("photo-history", args=[practice.photos["calm"].pk])
    elif role == "clinician":
        yield from (reverse(name) for name in CLINICIAN)
        yield f"{reverse('review-list')}?state=all&sort=newest"
        yield from (reverse("reading", args=[practice.photos[key].pk]) for key in ("blind", "revealed", "urgent"))
        yield reverse("photo", args=[practice.photos["urgent"].pk])
        yield reverse("lesion", args=[practice.spots["followed"].pk])
    else:
        yield from (reverse(name) for name in ADMINISTRATOR)


@pytest.mark.parametrize("role", ["anonymous", "patient", "clinician", "administrator"])
def test_pages(live_web: Any, visit: Callable[..., Any], tiny_classifier: Classifier, role: str) -> None:
    practice = make_practice(tiny_classifier)
    people = {
        "patient": practice.patient,
        "clinician": practice.clinicians[0],
        "administrator": practice.administrator,
    }
    visitor = visit(live_web.url, width=NARROW)
    if role in people:
        visitor.sign_in(people[role].email, PASSWORD)
    faults: list[str] = []
    for language in LANGUAGES:
        if role in people:
            User.objects.filter(pk=people[role].pk).update(language=language)
        else:
            visitor.page.context.add_cookies([{"name": "django_language", "value": language, "url": live_web.url}])
        for path in pages_of(role, practice):
            faults += [f"{language} {path}: {fault}" for fault in faults_of(visitor, path, language)]
    # Pages for missing objects have an error status, and the browser logs it.
    visitor.complaints[:] = [line for line in visitor.complaints if "404" not in line]
    assert not faults, f"{len(faults)} faults\n" + "\n".join(faults)


def faults_of(visitor: Any, path: str, language: str) -> Iterator[str]:
    """The problems of one page in one language."""
    page = visitor.page
    page.set_viewport_size({"width": NARROW, "height": 900})
    visitor.go(path)
    if (said := page.locator("html").get_attribute("lang")) != language:
        yield f"<html lang={said}>"
    if not visitor.fits():
        yield f"sticks out at {NARROW} px: {page.evaluate(STICKING_OUT)}"
    if language != "en":
        forgotten = {text for text in page.evaluate(SHOWN) if ENGLISH.search(text) and not KEPT.search(text)}
        yield from (f"English: {text[:100]!r}" for text in sorted(forgotten))
    width, dark = LOOKS[language]
    page.emulate_media(color_scheme="dark" if dark else "light")
    if width != NARROW:
        page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(SETTLED)
    yield from (fault for fault in visitor.violations() if not DJANGOS.search(fault))
