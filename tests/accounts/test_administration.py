"""Changes of accounts by administrators: by services, audited, and at least one administrator always remains."""

import threading
import time

import pytest
from allauth.account.models import EmailAddress
from django.db import connection, connections, transaction
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, Role, User
from accounts.permissions import NotAllowed
from accounts.services import change_email, change_role, register_account, switch_account

PASSWORD = "correct horse battery"
PATIENCE_S = 30.0  # only reached if the test fails


@pytest.fixture
def patient(db: None) -> User:
    user = User.objects.create_user("patient@example.org", PASSWORD)
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    return user


@pytest.fixture
def administrator(db: None) -> User:
    return User.objects.create_user("admin@example.org", PASSWORD, role=Role.ADMINISTRATOR)


@pytest.fixture
def browser(administrator: User) -> Client:
    client = Client()
    client.force_login(administrator)
    return client


def written(action: AuditEntry.Action) -> list[tuple[str, str, dict[str, object]]]:
    return [(entry.actor, entry.subject, entry.detail) for entry in AuditEntry.objects.filter(action=action)]


def signs_in(email: str) -> bool:
    client = Client()
    client.post(reverse("account_login"), {"login": email, "password": PASSWORD})
    return client.get(reverse("photo-list")).status_code == 200


def saved(browser: Client, user: User, **changes: str) -> None:
    form = {"email": user.email, "name": user.name, "role": user.role, "is_active": "on"} | changes
    form = {name: value for name, value in form.items() if value}
    response = browser.post(reverse("admin:accounts_user_change", args=[user.pk]), form)
    assert response.status_code == 302, response.content.decode()
    user.refresh_from_db()


class TestAddress:
    def test_the_old_one_opens_nothing_any_more(self, browser: Client, administrator: User, patient: User) -> None:
        EmailAddress.objects.create(user=patient, email="second@example.org", verified=True)
        assert signs_in("patient@example.org")
        saved(browser, patient, email="New@Example.org")
        assert patient.email == "new@example.org"
        rows = EmailAddress.objects.filter(user=patient)
        assert [(row.email, row.primary, row.verified) for row in rows] == [("new@example.org", True, False)]
        assert signs_in("new@example.org")
        assert not signs_in("patient@example.org")
        assert not signs_in("second@example.org")
        assert written(AuditEntry.Action.EMAIL_CHANGED) == [(str(administrator.pk), f"user:{patient.pk}", {})]

    def test_another_persons_proved_address_is_refused(self, browser: Client, patient: User) -> None:
        other = User.objects.create_user("other@example.org", PASSWORD)
        EmailAddress.objects.create(user=other, email="spare@example.org", verified=True)
        form = {"email": "Spare@example.org", "name": "", "role": "patient", "is_active": "on"}
        response = browser.post(reverse("admin:accounts_user_change", args=[patient.pk]), form)
        assert response.status_code == 200
        assert "already an account" in response.content.decode()
        response = browser.post(reverse("admin:accounts_user_add"), form)
        assert "already an account" in response.content.decode()
        assert User.objects.count() == 3

    def test_only_administrators_change_it_so(self, patient: User) -> None:
        with pytest.raises(NotAllowed):
            change_email(user=patient, email="x@example.org", by=patient)


class TestWrittenDown:
    def test_an_account_made_in_the_admin(self, browser: Client, administrator: User) -> None:
        form = {"email": "Dr@Example.org", "name": "Dr C", "role": "clinician"}
        assert browser.post(reverse("admin:accounts_user_add"), form).status_code == 302
        made = User.objects.get(email="dr@example.org")
        assert made.is_clinician
        assert not made.has_usable_password()
        expected = (str(administrator.pk), f"user:{made.pk}", {"role": "clinician"})
        assert written(AuditEntry.Action.ACCOUNT_CREATED) == [expected]

    def test_switching_off_and_on(self, browser: Client, administrator: User, patient: User) -> None:
        seen = []
        for active in ("", "on"):
            saved(browser, patient, is_active=active)
            seen.append(patient.is_active)
        assert seen == [False, True]
        details = [detail for _actor, _subject, detail in written(AuditEntry.Action.ACCOUNT_SWITCHED)]
        assert details == [{"active": True}, {"active": False}]

    def test_several_changes_at_once(self, browser: Client, patient: User) -> None:
        saved(browser, patient, role="clinician", is_active="", name="Dr P", email="p@example.org")
        assert (patient.role, patient.is_active, patient.name) == ("clinician", False, "Dr P")
        assert patient.email == "p@example.org"
        actions = set(AuditEntry.objects.values_list("action", flat=True))
        assert {"role-changed", "account-switched", "email-changed"} <= actions

    def test_a_new_name_is_no_event(self, browser: Client, patient: User) -> None:
        saved(browser, patient, name="Another")
        assert patient.name == "Another"
        assert not AuditEntry.objects.exists()


def test_passwords_are_changed_on_the_sites_own_page(browser: Client) -> None:
    for name in ("admin:password_change", "admin:password_change_done"):
        answer = browser.get(reverse(name))
        assert (answer.status_code, answer.headers["Location"]) == (302, reverse("account_change_password"))


class TestOneAdministratorRemains:
    def test_nobody_touches_their_own_access(self, administrator: User, patient: User) -> None:
        with pytest.raises(NotAllowed):
            switch_account(user=administrator, active=False, by=administrator)
        with pytest.raises(NotAllowed):
            switch_account(user=administrator, active=False, by=patient)
        with pytest.raises(NotAllowed):
            register_account(user=User(email="x@example.org"), by=patient)
        assert User.objects.filter(role=Role.ADMINISTRATOR, is_active=True).count() == 1

    def test_a_right_lost_meanwhile_is_no_right(self, administrator: User, patient: User) -> None:
        User.objects.filter(pk=administrator.pk).update(role=Role.CLINICIAN)
        with pytest.raises(NotAllowed):
            change_role(user=patient, role=Role.CLINICIAN, by=administrator)

    @pytest.mark.parametrize("how", ["demote", "switch off"])
    def test_two_who_remove_each_other_at_the_same_moment(self, transactional_db: None, how: str) -> None:
        first = User.objects.create_user("one@example.org", PASSWORD, role=Role.ADMINISTRATOR)
        second = User.objects.create_user("two@example.org", PASSWORD, role=Role.ADMINISTRATOR)
        outcome: list[str] = []

        def remove(user: User, by: User) -> None:
            if how == "demote":
                change_role(user=user, role=Role.PATIENT, by=by)
            else:
                switch_account(user=user, active=False, by=by)

        def the_other_way() -> None:
            try:
                remove(first, by=second)
                outcome.append("done")
            except NotAllowed:
                outcome.append("refused")
            finally:
                connections.close_all()

        thread = threading.Thread(target=the_other_way)
        with transaction.atomic():
            remove(second, by=first)
            thread.start()
            # The first has not committed. The second must wait; if it has finished, the lock is missing.
            deadline = time.monotonic() + PATIENCE_S
            while not outcome and not _somebody_waits_for_a_lock() and time.monotonic() < deadline:
                time.sleep(0.02)
        thread.join()
        assert outcome == ["refused"]
        assert [user.email for user in User.objects.all() if user.is_administrator and user.is_active] == [first.email]


def _somebody_waits_for_a_lock() -> bool:
    # Not pg_stat_activity: inside a transaction PostgreSQL returns its state of the first query.
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])
