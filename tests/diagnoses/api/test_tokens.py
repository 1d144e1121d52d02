"""Signing in to and out of the API; failed attempts reveal nothing."""

import datetime
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from knox.models import AuthToken

from accounts.models import User
from diagnoses.api.tokens import TOKENS_PER_USER

URL = "/api/v1/token/"
PASSWORD = "correct horse battery"


def ask(client: Any, email: str, password: str = PASSWORD, **more: Any) -> Any:
    return client.post(URL, {"email": email, "password": password, **more}, format="json")


def test_a_token_opens_the_api_and_its_deletion_closes_it(api: Any, patient: User, problem: Any) -> None:
    response = ask(api(), patient.email)
    assert response.status_code == 200
    assert set(response.json()) == {"token", "expiry"}
    assert "no-store" in response.headers["Cache-Control"]
    token = response.json()["token"]
    assert token not in str(list(AuthToken.objects.values())), "only a hash is stored"

    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    assert client.get("/api/v1/photos/").status_code == 200
    assert client.delete(URL).status_code == 204
    body = problem(client.get("/api/v1/photos/"), 401, "authentication_failed")
    assert token not in str(body)


def test_the_address_may_be_written_in_any_case(api: Any, patient: User) -> None:
    assert ask(api(), patient.email.upper()).status_code == 200


def test_an_expired_token_is_void_and_does_not_stand_in_the_way_of_a_new_one(
    api: Any, patient: User, problem: Any
) -> None:
    client = api(patient)
    AuthToken.objects.update(expiry=timezone.now() - datetime.timedelta(seconds=1))
    problem(client.get("/api/v1/photos/"), 401, "authentication_failed")
    assert ask(client, patient.email).status_code == 200


def test_unknown_wrong_and_switched_off_get_one_answer(
    api: Any, patient: User, deactivated: User, problem: Any
) -> None:
    answers = [
        ask(api(), "nobody@example.org"),
        ask(api(), patient.email, "wrong password!"),
        ask(api(), deactivated.email),
        ask(api(), deactivated.email, "wrong password!"),
    ]
    for answer in answers:
        problem(answer, 401, "invalid_credentials")
        assert answer.headers["WWW-Authenticate"] == "Token"
    assert len({answer.content for answer in answers}) == 1
    assert not AuthToken.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "x", "password": "y"},
        {"email": ["a@example.org"], "password": "y"},
        {"email": "a@example.org", "password": ""},
        {"email": "a@example.org", "password": "x" * 2000},
        {"email": "a@example.org\x00", "password": "nul"},
        {"email": "a@example.org", "password": "n\x00l"},
        ["a@example.org", "y"],
        "text",
        None,
    ],
)
def test_what_is_no_sign_in_is_400(api: Any, db: None, problem: Any, body: Any) -> None:
    assert problem(api().post(URL, body, format="json"), 400, "invalid")["errors"]


def test_malformed_json_is_400_and_other_types_415(api: Any, db: None, problem: Any) -> None:
    problem(api().generic("POST", URL, b"{", content_type="application/json"), 400, "parse_error")
    problem(api().generic("POST", URL, b"\xff\xfe", content_type="application/json"), 400, "parse_error")
    problem(api().generic("POST", URL, b"[" * 100_000, content_type="application/json"), 400, "parse_error")
    problem(
        api().generic("POST", URL, b"{}" + b" " * 3_000_000, content_type="application/json"), 413, "request_too_large"
    )
    problem(api().post(URL, {"email": "a"}, format="multipart"), 415, "unsupported_media_type")


class TestLimits:
    """R11: wrong passwords on pages and API, from all addresses and in all spellings, are counted together."""

    def test_at_most_five_for_one_account_then_429_even_for_the_right_one(
        self, api: Any, patient: User, problem: Any
    ) -> None:
        spellings = [patient.email, patient.email.upper(), f" {patient.email} ", patient.email.title()]
        answers = [ask(api(), spellings[i % 4], "wrong password!").status_code for i in range(8)]
        assert answers == [401] * 5 + [429] * 3
        response = ask(api(), patient.email)
        problem(response, 429, "too_many_login_attempts")
        assert int(response.headers["Retry-After"]) > 0

    def test_a_forged_address_or_host_makes_no_second_chance(self, api: Any, patient: User) -> None:
        answers = []
        for i in range(9):
            client = api()
            client.credentials(HTTP_X_FORWARDED_FOR=f"10.0.0.{i}", HTTP_HOST=f"testserver:{8000 + i}")
            answers.append(ask(client, patient.email, "wrong password!").status_code)
        assert answers == [401] * 5 + [429] * 4

    def test_one_address_may_not_try_many_accounts(self, api: Any, db: None) -> None:
        answers = [ask(api(), f"somebody{i}@example.org", "wrong password!").status_code for i in range(14)]
        assert answers == [401] * 10 + [429] * 4

    def test_site_and_api_count_together(self, api: Any, patient: User, problem: Any) -> None:
        browser = Client()
        form = {"login": patient.email, "password": "wrong password!"}
        for _ in range(5):
            assert browser.post(reverse("account_login"), form).status_code == 200
        problem(ask(api(), patient.email), 429, "too_many_login_attempts")

    def test_right_passwords_are_not_counted_by_allauth_but_throttled(self, api: Any, patient: User) -> None:
        assert {ask(api(), patient.email).status_code for _ in range(15)} == {200}

    def test_the_oldest_tokens_go(self, api: Any, patient: User) -> None:
        first = AuthToken.objects.create(user=patient)[0]
        for _ in range(TOKENS_PER_USER - 1):
            AuthToken.objects.create(user=patient)
        assert ask(api(), patient.email).status_code == 200
        assert AuthToken.objects.filter(user=patient).count() == TOKENS_PER_USER
        assert not AuthToken.objects.filter(pk=first.pk).exists()


class TestSecondStep:
    SECRET = "JBSWY3DPEHPK3PXP"

    @pytest.fixture
    def guarded(self, patient: User) -> User:
        Authenticator.objects.create(user=patient, type=Authenticator.Type.TOTP, data={"secret": self.SECRET})
        return patient

    def code(self) -> str:
        counters = list(yield_hotp_counters_from_time())
        return str(format_hotp_value(hotp_value(self.SECRET, counters[len(counters) // 2])))

    def test_a_token_is_no_way_around_it(self, api: Any, guarded: User, problem: Any) -> None:
        problem(ask(api(), guarded.email), 401, "second_factor_required")
        problem(ask(api(), guarded.email, code="000000"), 401, "second_factor_wrong")
        problem(ask(api(), guarded.email, "wrong password!", code=self.code()), 401, "invalid_credentials")
        assert not AuthToken.objects.exists()
        assert ask(api(), guarded.email, code=self.code()).status_code == 200

    def test_codes_cannot_be_guessed(self, api: Any, guarded: User) -> None:
        answers = [ask(api(), guarded.email, code=f"{i:06}").status_code for i in range(8)]
        assert answers == [401] * 5 + [429] * 3


def test_an_unconfirmed_address_gets_no_token_where_confirming_is_mandatory(
    api: Any, patient: User, problem: Any, settings: Any
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    address = EmailAddress.objects.create(user=patient, email=patient.email, primary=True, verified=False)
    problem(ask(api(), patient.email), 403, "email_unverified")
    problem(ask(api(), patient.email, "wrong password!"), 401, "invalid_credentials")
    address.verified = True
    address.save()
    assert ask(api(), patient.email).status_code == 200


def test_a_browser_without_a_token_has_none_to_delete(patient: User, problem: Any) -> None:
    browser = Client()
    browser.force_login(patient)
    problem(browser.delete(URL), 400, "no_token")


@pytest.mark.parametrize(
    "header",
    ["Token", "Token a b", "Token x", "Token \xff\xfe", "Token " + "a" * 100_000, "Token ;DROP", "Token a\x00b"],
)
def test_made_up_tokens_are_401(db: None, problem: Any, header: str) -> None:
    response = Client(raise_request_exception=False).get("/api/v1/photos/", HTTP_AUTHORIZATION=header)
    problem(response, 401, "authentication_failed")
    assert response.headers["WWW-Authenticate"] == "Token"


def test_a_deactivated_account_loses_its_tokens(api: Any, patient: User, problem: Any) -> None:
    client = api(patient)
    User.objects.filter(pk=patient.pk).update(is_active=False)
    problem(client.get("/api/v1/photos/"), 401, "authentication_failed")


def test_a_new_password_voids_all_tokens(api: Any, patient: User, problem: Any) -> None:
    """R12: the old password, and tokens made with it, stop working."""
    client = api(patient)
    browser = Client()
    browser.force_login(patient)
    new = "another horse battery"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert browser.post(reverse("account_change_password"), form).status_code == 302
    problem(client.get("/api/v1/photos/"), 401, "authentication_failed")
    assert ask(api(), patient.email, new).status_code == 200
