"""Rules for every page: style, content security policy, errors; and the pages of the site itself."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils.html import escape

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from diagnoses.photos.models import Photo
from diagnoses.templatetags.words import bar_width, duration, percent
from recognition.datasets.sources import ISIC_2019, MILK10K, PAD_UFES
from recognition.taxonomy import CLOSE_UP, Diagnosis

ROOT = Path(settings.BASE_DIR)
SignIn = Callable[[User], Client]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("who", "where"),
    [
        ("patient", "/spots/"),
        ("clinician", "/review/"),
        ("administrator", "/review/"),
    ],
)
def test_home_leads_everybody_to_their_own(
    who: str, where: str, request: pytest.FixtureRequest, sign_in: SignIn
) -> None:
    response = sign_in(request.getfixturevalue(who)).get("/")
    assert (response.status_code, response.headers["Location"]) == (302, where)


@pytest.mark.django_db
def test_strangers_read_what_it_is(client: Client) -> None:
    html = client.get("/").content.decode()
    assert reverse("account_signup") in html
    assert "It is not a diagnosis" in html


@pytest.mark.django_db
def test_about_explains_all_eight(client: Client, classifier_row: Classifier) -> None:
    html = client.get("/about/").content.decode()
    for diagnosis in Diagnosis:
        assert diagnosis.full_name in html
        assert escape(diagnosis.plain_words) in html
    assert classifier_row.version in html
    Classifier.objects.all().delete()
    assert "No classifier is live" in client.get("/about/").content.decode()


def about_of(client: Client, classifier: Classifier, manifest: dict[str, Any]) -> str:
    classifier.manifest = manifest
    classifier.save()
    return " ".join(client.get("/about/").content.decode().split())


def test_about_says_what_the_live_classifier_is(client: Client, classifier_row: Classifier) -> None:
    """A toy network was called an EfficientNetB4 there."""
    toy = about_of(client, classifier_row, {"architecture": {"backbone": "tiny", "input_size": 32}})
    assert "Its answers mean nothing" in toy and "EfficientNet" not in toy
    manifest = {
        "architecture": {"backbone": "efficientnetb4", "input_size": 256},
        "image_types": {CLOSE_UP: {}},
        "dataset": {"sources": [PAD_UFES.name]},
    }
    real = about_of(client, classifier_row, manifest)
    assert "a neural network (EfficientNetB4) that looks at every picture at 256 × 256 pixels" in real
    assert "<li>With a phone or a camera</li>" in real and "Through a dermatoscope</li>" not in real
    assert PAD_UFES.references[0] in real and "CC BY 4.0" in real
    assert "not for sale" not in real and MILK10K.name not in real


def test_about_says_what_may_not_be_sold(client: Client, classifier_row: Classifier) -> None:
    manifest = {"dataset": {"sources": [MILK10K.name, PAD_UFES.name]}}
    assert "it is not for sale" in about_of(client, classifier_row, manifest)
    # Bundles from before they named their sources learned from ISIC 2019.
    older = about_of(client, classifier_row, {"format_version": 3})
    assert ISIC_2019.references[0] in older and "it is not for sale" in older
    assert "<li>Through a dermatoscope</li>" in older


ALLAUTH_OUT = [
    "account_login",
    "account_signup",
    "account_reset_password",
    "account_reset_password_done",
    "account_inactive",
]
ALLAUTH_IN = ["account_email", "account_change_password", "account_logout", "mfa_index", "account_reauthenticate"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ALLAUTH_OUT + ALLAUTH_IN)
def test_the_sign_in_pages_wear_the_same_clothes(name: str, client: Client, patient: User, sign_in: SignIn) -> None:
    response = (sign_in(patient) if name in ALLAUTH_IN else client).get(reverse(name))
    html = response.content.decode()
    assert response.status_code == 200
    assert 'class="site-footer"' in html
    assert 'class="page page--' in html
    # The language names in the footer look like links.
    for button in re.findall(r"<button(?![^>]*name=\"language\")[^>]*>", html):
        assert 'class="' in button


PAGES = ["/", "/about/", "/accounts/login/", "/accounts/signup/", "/photos/", "/photos/new/", "/review/", "/nothing/"]


@pytest.mark.django_db
@pytest.mark.parametrize("address", PAGES)
def test_pages_need_nothing_that_the_policy_forbids(
    address: str, clinician: User, client: Client, sign_in: SignIn
) -> None:
    response = (client if address in {"/", "/accounts/login/", "/accounts/signup/"} else sign_in(clinician)).get(
        address
    )
    html = response.content.decode()
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)
    for attributes, body in re.findall(r"<script([^>]*)>(.*?)</script>", html, re.DOTALL):
        assert "src=" in attributes
        assert not body.strip()
    assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", html)


@pytest.mark.django_db
def test_pages_with_patients_on_them_are_kept_nowhere(
    clinician: User, patient: User, make_photo: Callable[..., Photo], sign_in: SignIn
) -> None:
    photo = make_photo(patient)
    for address in ("/photos/", "/review/", "/photos/new/", reverse("photo", args=[photo.pk])):
        assert "no-store" in sign_in(clinician).get(address).headers["Cache-Control"]


@pytest.mark.parametrize("code", ["400", "413", "500", "503"])
def test_error_pages_render_when_nothing_else_works(code: str) -> None:
    """Without a request, a user or a database: pytest-django refuses the database to this test."""
    html = render_to_string(f"{code}.html")
    assert "<h1>" in html
    assert 'class="site-footer"' in html


@pytest.mark.parametrize("code", ["403", "403_csrf", "404", "429"])
def test_error_pages_render_for_a_request(code: str) -> None:
    html = render_to_string(f"{code}.html", request=RequestFactory().get("/"))
    assert "<h1>" in html


@pytest.mark.django_db
def test_a_missing_page_is_a_404_in_the_same_look(client: Client) -> None:
    response = client.get("/nothing/here/")
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/", "/about/", "/photos/", "/review/"])
def test_reading_pages_refuse_to_be_written_to(address: str, clinician: User, sign_in: SignIn) -> None:
    assert sign_in(clinician).post(address).status_code == 405


@pytest.mark.django_db
def test_broken_multipart_is_a_400(patient: User, sign_in: SignIn) -> None:
    response = sign_in(patient).generic("POST", "/photos/new/", b"--x\r\ngarbage", content_type="multipart/form-data")
    assert response.status_code == 400
    assert "could not be read" in response.content.decode()


def test_style_sheets_use_only_tokens_that_exist() -> None:
    """A misspelt custom property has no effect and no error."""
    sheets = re.findall(r"css/[\w-]+\.css", (ROOT / "templates/base.html").read_text())
    assert sheets
    css = "".join((ROOT / "static" / sheet).read_text() for sheet in sheets)
    defined = set(re.findall(r"^\s*(--[\w-]+):", css, re.MULTILINE))
    used = set(re.findall(r"var\((--[\w-]+)", css))
    assert used <= defined
    assert "url(" not in css


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


TEXT_ON = [
    ("ink", ("paper", "surface", "sunken", "accent-soft", "warm-soft")),
    ("ink-soft", ("paper", "surface", "sunken")),
    ("accent", ("paper", "surface", "sunken")),
    ("warm-ink", ("paper", "surface", "warm-soft")),
    ("on-accent", ("accent", "accent-strong")),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(scheme: str) -> None:
    css = (ROOT / "static/css/tokens.css").read_text()
    light, dark = css.split("@media (prefers-color-scheme: dark)")
    colours = dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", light if scheme == "light" else dark))
    for text, surfaces in TEXT_ON:
        for surface in surfaces:
            lighter, darker = sorted((_luminance(colours[text]), _luminance(colours[surface])), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, surface)


def test_every_icon_that_a_template_names_is_drawn() -> None:
    sprite = Path(str(finders.find("img/icons.svg"))).read_text()
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', sprite))
    named = {
        name
        for path in (ROOT / "templates").rglob("*.html")
        for name in re.findall(r'{% icon "([\w-]+)"', path.read_text())
    }
    assert named
    assert named <= drawn


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (None, "–"),
        (0, "0\xa0%"),
        (0.0001, "under 1\xa0%"),
        (0.873, "87\xa0%"),
        (0.994, "99\xa0%"),
        (0.9999, "over 99\xa0%"),
    ],
)
def test_no_share_is_rounded_to_certainty(share: float | None, words: str) -> None:
    assert percent(share) == words


def test_bars_have_widths_that_svg_reads() -> None:
    assert [bar_width(share) for share in (-0.1, 0.5, 1.1)] == ["0.00%", "50.00%", "100.00%"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 seconds"), (1, "1 second"), (61, "1 minute"), (7200, "2 hours"), (180_000, "2 days")]
)
def test_lengths_of_time_in_words(seconds: int, words: str) -> None:
    assert duration(seconds) == words
