"""The language of pages, e-mails and API responses, and that the choice is stored."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import date_format, localize

from accounts.models import User
from accounts.services.language import in_language_of, language_of, set_language
from accounts.templatetags.language import page_of

PASSWORD = "correct horse battery"
KAZAKH, RUSSIAN = {"accept-language": "kk-KZ,kk;q=0.9,en;q=0.5"}, {"accept-language": "ru"}


@pytest.fixture
def patient(db: None) -> User:
    user = User.objects.create_user("patient@example.org", PASSWORD)
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    return user


def language(answer: Any) -> str:
    """The language that the page declares: in its `html` tag and in the header."""
    found = re.search(r'<html lang="(\w+)"', answer.content.decode())
    assert found is not None
    assert answer.headers["Content-Language"] == found[1]
    return found[1]


def switch(browser: Client, to: str, **fields: str) -> Any:
    return browser.post(reverse("switch-language"), {"language": to, "next": "/about/", **fields})


def sign_in(browser: Client) -> Any:
    return browser.post(reverse("account_login"), {"login": "patient@example.org", "password": PASSWORD})


class TestVisitors:
    @pytest.mark.parametrize(
        ("asked", "given"), [("kk", "kk"), ("ru-RU,ru;q=0.9", "ru"), ("de,kk;q=0.3", "kk"), ("de", "en"), ("", "en")]
    )
    def test_the_browser_is_asked_first(self, db: None, asked: str, given: str) -> None:
        answer = Client().get("/about/", headers={"accept-language": asked})
        assert language(answer) == given
        assert "Accept-Language" in answer.headers["Vary"]

    def test_a_choice_outweighs_the_browser_and_stays(self, db: None) -> None:
        browser = Client(headers=RUSSIAN)
        assert switch(browser, "kk").status_code == 302
        assert language(browser.get("/about/")) == "kk"
        kept = browser.cookies["django_language"]
        assert int(kept["max-age"]) > 300 * 24 * 3600
        assert kept["httponly"] and kept["samesite"] == "Lax"

    def test_the_page_stays_with_its_query(self, db: None) -> None:
        browser = Client()
        html = browser.get("/about/?a=1&b=%D3%98").content.decode()
        assert 'name="next" value="/about/?a=1&amp;b=%D3%98"' in html
        assert switch(browser, "ru", next="/about/?a=1&b=%D3%98").headers["Location"] == "/about/?a=1&b=%D3%98"

    @pytest.mark.parametrize("elsewhere", ["", "https://evil.example/", "//evil.example", "javascript:0", "\\\\x"])
    def test_the_switch_leads_nowhere_else(self, db: None, elsewhere: str) -> None:
        assert switch(Client(), "ru", next=elsewhere).headers["Location"] == "/"

    @pytest.mark.parametrize("unknown", ["", "de", "kk\r\nSet-Cookie: a=b", "en-gb", "KK"])
    def test_a_language_nobody_speaks_is_refused(self, db: None, unknown: str) -> None:
        answer = switch(Client(), unknown)
        assert answer.status_code == 400
        assert "django_language" not in answer.cookies

    def test_only_a_form_switches(self, db: None) -> None:
        assert Client().get(reverse("switch-language"), {"language": "kk"}).status_code == 405
        browser = Client(enforce_csrf_checks=True)
        assert switch(browser, "kk").status_code == 403

    def test_each_language_is_named_in_itself(self, db: None) -> None:
        html = Client().get("/about/", headers=KAZAKH).content.decode()
        for code, name in (("kk", "Қазақша"), ("ru", "Русский"), ("en", "English")):
            assert len(re.findall(rf'<button[^>]* value="{code}" lang="{code}"[^>]*>{name}</button>', html)) == 2
        assert len(re.findall(r'value="kk" lang="kk" aria-current="true"', html)) == 2

    def test_after_a_form_one_comes_back_to_the_page_it_stands_on(self, rf: RequestFactory) -> None:
        request = rf.post("/photos/1/findings/", headers={"referer": "http://testserver/photos/1/?x=1"})
        assert page_of(request) == "/photos/1/?x=1"
        assert page_of(rf.post("/photos/new/", headers={"referer": "https://evil.example/"})) == "/photos/new/"
        assert page_of(rf.get("/review/?q=1", headers={"referer": "http://testserver/"})) == "/review/?q=1"


class TestAccounts:
    def test_a_choice_is_kept_in_the_account_and_met_on_another_device(self, patient: User) -> None:
        first = Client()
        first.force_login(patient)
        switch(first, "kk")
        patient.refresh_from_db()
        assert patient.language == "kk"

        other = Client(headers=RUSSIAN)
        assert language(other.get("/about/")) == "ru"
        sign_in(other)
        assert language(other.get("/about/")) == "kk"
        other.post(reverse("account_logout"))
        assert language(other.get("/about/")) == "kk"

    def test_the_account_outweighs_cookie_and_browser(self, patient: User) -> None:
        set_language(user=patient, language="ru")
        browser = Client(headers=KAZAKH)
        browser.cookies["django_language"] = "en"
        browser.force_login(patient)
        assert language(browser.get("/about/")) == "ru"

    def test_a_sign_in_gives_an_account_without_a_language_that_of_the_page(self, patient: User) -> None:
        sign_in(Client(headers=KAZAKH))
        patient.refresh_from_db()
        assert patient.language == "kk"
        sign_in(Client(headers=RUSSIAN))
        patient.refresh_from_db()
        assert patient.language == "kk"

    def test_an_account_without_a_language_reads_that_of_the_browser(self, patient: User) -> None:
        browser = Client(headers=RUSSIAN)
        browser.force_login(patient)
        assert language(browser.get("/about/")) == "ru"
        patient.refresh_from_db()
        assert patient.language == ""

    def test_a_sign_up_remembers_the_language(self, db: None) -> None:
        form = {"email": "new@example.org", "password1": PASSWORD, "password2": PASSWORD, "diagnosis_consent": "on"}
        Client(headers=KAZAKH).post(reverse("account_signup"), form)
        assert User.objects.get().language == "kk"

    def test_the_admin_speaks_it_too(self, patient: User) -> None:
        User.objects.update(role="administrator", language="ru")
        browser = Client()
        browser.force_login(patient)
        answer = browser.get(reverse("admin:index"))
        assert language(answer) == "ru"
        assert 'value="kk" lang="kk"' in answer.content.decode()

    def test_an_unknown_language_is_refused_everywhere(self, patient: User) -> None:
        with pytest.raises(ValueError, match="de"):
            set_language(user=patient, language="de")
        with pytest.raises(IntegrityError, match="user_language_known"), transaction.atomic():
            User.objects.update(language="de")

    def test_the_liveness_of_the_process_asks_nobody(
        self, patient: User, django_assert_num_queries: Callable[..., Any]
    ) -> None:
        browser = Client()
        browser.force_login(patient)
        with django_assert_num_queries(0):
            assert browser.get(reverse("health-live")).status_code == 200


class TestWritingToSomebody:
    def test_everything_inside_is_in_the_readers_language(self, patient: User) -> None:
        set_language(user=patient, language="ru")
        with translation.override("kk"):
            with in_language_of(patient) as code:
                assert code == translation.get_language() == "ru"
            assert translation.get_language() == "kk"

    def test_where_nothing_is_known_it_is_the_language_of_the_installation(self, patient: User) -> None:
        assert language_of(None) == language_of(patient) == "en"

    def test_a_mail_is_in_the_language_of_its_reader_and_the_page_in_that_of_the_visitor(self, patient: User) -> None:
        set_language(user=patient, language="ru")
        answer = Client().post(reverse("account_reset_password"), {"email": patient.email}, follow=True)
        assert language(answer) == "en"
        assert re.search("[а-я]{4}", f"{mail.outbox[0].subject} {mail.outbox[0].body}")


class TestForPrograms:
    def test_the_api_explains_in_the_language_asked_for_and_keeps_its_codes(self, db: None) -> None:
        answers = [Client().get("/api/v1/photos/", headers={"accept-language": code}).json() for code in ("en", "ru")]
        assert answers[0]["code"] == answers[1]["code"]
        assert answers[0]["detail"] != answers[1]["detail"]


class TestFormats:
    DAY = date(2026, 3, 3)

    @pytest.mark.parametrize(
        ("code", "day", "moment", "number"),
        [
            ("en", "3 March 2026", "3 March 2026, 09:05", "1234.5"),
            ("ru", "3 марта 2026", "3 марта 2026, 09:05", "1234,5"),
            ("kk", "2026 ж. 3 наурыз", "2026 ж. 3 наурыз, 09:05", "1234,5"),
        ],
    )
    def test_dates_and_numbers_as_they_are_written(self, code: str, day: str, moment: str, number: str) -> None:
        nine = datetime(2026, 3, 3, 9, 5, tzinfo=timezone.get_current_timezone())
        with translation.override(code):
            assert date_format(self.DAY) == day
            assert date_format(nine, "DATETIME_FORMAT") == moment
            assert localize(1234.5) == number


def test_a_request_without_a_session_asks_nothing(
    rf: RequestFactory, django_assert_num_queries: Callable[..., Any]
) -> None:
    """Token authentication comes after the middleware, and does not change the account's language."""
    from django.contrib.auth.models import AnonymousUser
    from django.contrib.sessions.backends.db import SessionStore

    from accounts.middleware import AccountLanguageMiddleware

    request = rf.get("/api/v1/photos/")
    request.session = SessionStore()
    request.user = AnonymousUser()

    def view(inner: HttpRequest) -> HttpResponse:
        inner.user = User(pk=1, email="token@example.org")  # REST framework does this
        return HttpResponse()

    answer = AccountLanguageMiddleware(view)(request)
    assert "django_language" not in answer.cookies
