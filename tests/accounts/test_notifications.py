"""Notifications: made once, read only by their user, sent by e-mail in their language and without medical words."""

import smtplib
import socket
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from accounts import notification_texts, outbox, tasks
from accounts.models import Language, Notification, Role, User
from accounts.permissions import NotAllowed
from accounts.services import forget, mark_read, notify, set_email_switch
from accounts.services.people import switch_account

PASSWORD = "correct horse battery"


@pytest.fixture
def patient(db: None) -> User:
    return User.objects.create_user("patient@example.org", PASSWORD, name="Aigerim")


@pytest.fixture
def stranger(db: None) -> User:
    return User.objects.create_user("stranger@example.org", PASSWORD)


def tell(user: User, key: str = "result:1", **changes: Any) -> Notification | None:
    what: dict[str, Any] = {
        "kind": "result",
        "subject": "photo:1",
        "path": "/photos/1/",
        "data": {"spot": "left shoulder"},
    }
    return notify(user=user, key=key, **what | changes)


def notified(user: User, key: str = "result:1", **changes: Any) -> Notification:
    notification = tell(user, key, **changes)
    assert notification is not None
    return notification


def some_minutes_later(*notifications: Notification) -> None:
    """Make the notifications ten minutes old."""
    pks = [notification.pk for notification in notifications]
    Notification.objects.filter(pk__in=pks).update(created=timezone.now() - timedelta(minutes=10))


class TestTelling:
    def test_the_same_news_twice_is_one(self, patient: User, stranger: User) -> None:
        assert tell(patient) is not None
        assert tell(patient) is None
        assert tell(stranger) is not None
        assert Notification.objects.filter(user=patient).count() == 1

    def test_nobody_is_told_whose_account_is_off(self, patient: User) -> None:
        administrator = User.objects.create_user("a@example.org", "x", role=Role.ADMINISTRATOR)
        off = switch_account(user=patient, active=False, by=administrator)
        assert tell(off) is None

    @pytest.mark.parametrize("path", ["https://elsewhere.example/", "//elsewhere.example/", "photos/"])
    def test_it_leads_nowhere_else(self, patient: User, path: str) -> None:
        with pytest.raises(ValueError, match="no path"):
            tell(patient, path=path)

    def test_only_known_kinds(self, patient: User) -> None:
        with pytest.raises(ValueError, match="gossip"):
            tell(patient, kind="gossip")

    def test_what_is_gone_is_forgotten(self, patient: User) -> None:
        tell(patient)
        tell(patient, "other", subject="photo:2")
        assert forget("photo:1") == 1
        assert Notification.objects.get().subject == "photo:2"

    def test_reading_is_ones_own(self, patient: User, stranger: User) -> None:
        first, _second, others = (
            notified(patient),
            notified(patient, "b", subject="photo:2"),
            notified(stranger),
        )
        assert mark_read(user=stranger, pk=first.pk) == 0
        assert mark_read(user=patient, subject="photo:1") == 1
        assert mark_read(user=patient) == 1
        others.refresh_from_db()
        assert others.read is None and others.email_due


class TestWords:
    @pytest.mark.parametrize("kind", Notification.Kind.values)
    @pytest.mark.parametrize("language", Language.values)
    def test_every_kind_has_words_that_name_the_spot(self, kind: str, language: str) -> None:
        with translation.override(language):
            for data in ({"spot": "қол", "months": 3}, {"spot": "", "months": 1}, {}):
                notification = Notification(kind=kind, data=data)
                words = [
                    notification_texts.title(notification),
                    notification_texts.sentence(notification),
                    notification_texts.email_subject(notification),
                ]
                assert all(words) and all("%(" not in each for each in words)
            readings = {Notification.Kind.SECOND_READING, Notification.Kind.ADJUDICATION}
            if kind not in readings:
                assert "қол" in notification_texts.sentence(Notification(kind=kind, data={"spot": "қол", "months": 3}))

    def test_a_name_with_a_per_cent_sign_is_only_a_name(self) -> None:
        sentence = notification_texts.sentence(Notification(kind="result", data={"spot": "100 %(x)s"}))
        assert "100 %(x)s" in sentence


class TestEmail:
    def test_waits_for_a_reader_before_the_page(self, patient: User) -> None:
        notification = notified(patient)
        assert outbox.send_due() == 0
        some_minutes_later(notification)
        assert outbox.send_due() == 1
        assert outbox.send_due() == 0
        notification.refresh_from_db()
        assert notification.emailed is not None

    def test_is_not_sent_for_what_was_read_or_switched_off(self, patient: User, stranger: User) -> None:
        read, silent, quiet = notified(patient), notified(patient, "silent", email=False), notified(stranger)
        some_minutes_later(read, silent, quiet)
        mark_read(user=patient, pk=read.pk)
        set_email_switch(user=stranger, on=False, by=stranger)
        assert outbox.send_due() == 0
        notified_later = notified(stranger, "later")
        assert not notified_later.email_due

    def test_says_nothing_medical_and_leads_to_the_page(self, patient: User, settings: Any) -> None:
        settings.PUBLIC_URL = "https://teri.example.org"
        for number, kind in enumerate(Notification.Kind.values):
            some_minutes_later(notified(patient, f"{number}", kind=kind, data={"spot": "left breast", "months": 3}))
        assert outbox.send_due() == len(Notification.Kind.values)
        for message in mail.outbox:
            assert message.to == [patient.email]
            assert "\n" not in message.subject
            words = f"{message.subject} {message.body}".lower()
            secrets = ("breast", "melanoma", "cancer", "histo", "biopsy", "result", "review", "laboratory")
            assert not [secret for secret in secrets if secret in words]
            assert "https://teri.example.org/account/notifications/" in message.body
            assert "Hello Aigerim" in message.body
            assert message.extra_headers["Auto-Submitted"] == "auto-generated"

    @pytest.mark.parametrize("language", Language.values)
    def test_is_in_the_language_of_whoever_gets_it(self, patient: User, language: str) -> None:
        User.objects.filter(pk=patient.pk).update(language=language)
        notification = notified(patient)
        some_minutes_later(notification)
        with translation.override("en" if language != "en" else "ru"):
            assert outbox.send_due() == 1
        with translation.override(language):
            assert notification_texts.email_subject(notification) in mail.outbox[0].subject
            assert notification_texts.email_greeting("Aigerim") in mail.outbox[0].body

    def test_a_server_that_cannot_be_reached_costs_no_attempt(self, patient: User, settings: Any) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_TIMEOUT = 1
        notification = notified(patient)
        some_minutes_later(notification)
        # Nobody accepts the connection, as with a frozen server.
        with socket.create_server(("127.0.0.1", 0)) as frozen:
            settings.EMAIL_HOST, settings.EMAIL_PORT = frozen.getsockname()[:2]
            assert outbox.send_due() == 0
        settings.EMAIL_PORT = 1
        assert outbox.send_due() == 0
        notification.refresh_from_db()
        assert (notification.email_attempts, notification.email_due) == (0, True)
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        assert outbox.send_due() == 1

    def test_a_refused_mail_is_tried_again_after_growing_pauses_and_then_given_up(
        self, patient: User, stranger: User, monkeypatch: Any
    ) -> None:
        def refuse(self: Any, messages: Any) -> int:
            if messages[0].to == [patient.email]:
                raise smtplib.SMTPRecipientsRefused({patient.email: (550, b"no such mailbox")})
            return len(messages)

        monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
        refused, fine = notified(patient), notified(stranger)
        some_minutes_later(refused, fine)
        assert outbox.send_due() == 1  # a refused e-mail does not block the others
        for number, pause in enumerate(outbox.PAUSES, start=1):
            refused.refresh_from_db()
            assert refused.email_attempts == number
            for passed, expected in ((pause / 2, number), (pause, number + 1)):
                Notification.objects.filter(pk=refused.pk).update(email_tried=timezone.now() - passed)
                outbox.send_due()
                refused.refresh_from_db()
                assert refused.email_attempts == expected
        Notification.objects.filter(pk=refused.pk).update(email_tried=timezone.now() - timedelta(days=9))
        outbox.send_due()
        refused.refresh_from_db()
        assert refused.email_attempts == outbox.ATTEMPTS and refused.emailed is None

    def test_two_workers_send_one_mail(self, patient: User) -> None:
        notification = notified(patient)
        some_minutes_later(notification)
        assert outbox._claim(notification.pk, 0) is not None
        assert outbox._claim(notification.pk, 0) is None
        assert outbox.send_due() == 0


@pytest.mark.django_db(transaction=True)
def test_the_task_returns_while_the_mail_server_is_frozen(monkeypatch: Any) -> None:
    let_go, began = threading.Event(), threading.Event()

    def frozen() -> int:
        began.set()
        let_go.wait(30)
        connection.ensure_connection()
        return 0

    monkeypatch.setattr(outbox, "send_due", frozen)
    tasks.send_notifications_task()
    assert began.wait(10)
    assert not outbox.send_in_background()
    let_go.set()
    assert outbox._sending.acquire(timeout=10)
    outbox._sending.release()


class TestPages:
    @pytest.fixture
    def browser(self, patient: User) -> Client:
        browser = Client()
        browser.force_login(patient)
        return browser

    def test_the_list_marks_what_is_new_and_the_header_counts_it(self, patient: User, browser: Client) -> None:
        notification = notified(patient)
        html = browser.get(reverse("account-notifications")).content.decode()
        assert "Your photo of “left shoulder” has been analysed." in html
        assert "notifications__item--unread" in html and "1 unread message" in html
        assert browser.get(reverse("account-notification-count")).json() == {
            "unread": 1,
            "words": "1 unread message",
        }
        answer = browser.get(reverse("account-notification", args=[notification.pk]))
        assert answer.headers["Location"] == "/photos/1/"
        html = browser.get(reverse("account-notifications")).content.decode()
        assert "notifications__item--unread" not in html
        assert browser.get(reverse("account-notification-count")).json() == {"unread": 0, "words": ""}

    def test_somebody_elses_news_does_not_exist(self, stranger: User, browser: Client) -> None:
        notification = notified(stranger)
        assert browser.get(reverse("account-notification", args=[notification.pk])).status_code == 404
        assert "left shoulder" not in browser.get(reverse("account-notifications")).content.decode()
        browser.post(reverse("account-notifications"), {"action": "read"})
        notification.refresh_from_db()
        assert notification.read is None

    def test_all_can_be_marked_and_mails_switched(self, patient: User, browser: Client) -> None:
        notified(patient)
        browser.post(reverse("account-notifications"), {"action": "read"})
        assert not Notification.objects.unread().exists()
        for data, expected in (({"action": "email"}, False), ({"action": "email", "on": "1"}, True)):
            browser.post(reverse("account-notifications"), data)
            patient.refresh_from_db()
            assert patient.notify_by_email is expected

    def test_thousands_are_read_page_by_page(self, patient: User, browser: Client) -> None:
        for number in range(35):
            notified(patient, f"{number}")
        html = browser.get(reverse("account-notifications"), {"page": "2"}).content.decode()
        assert html.count('class="notifications__item ') == 5
        assert browser.get(reverse("account-notifications"), {"page": "nonsense"}).status_code == 200


def test_only_the_person_alone_switches_mails(patient: User, stranger: User) -> None:
    with pytest.raises(NotAllowed):
        set_email_switch(user=patient, on=False, by=stranger)
    patient.refresh_from_db()
    assert patient.notify_by_email
