"""Writes to users: demo accounts, roles, addresses, switching accounts off."""

from django.db import transaction

from accounts import audit
from accounts.models import AuditEntry, Purpose, Role, User
from accounts.permissions import NotAllowed
from accounts.services.consent import give_consent, needs_consent

DEMO_PASSWORD = "teri-demo"  # noqa: S105 - printed on purpose, local settings only
DEMO_ACCOUNTS = {
    "patient@demo.local": (Role.PATIENT, "Demo patient"),
    "clinician@demo.local": (Role.CLINICIAN, "Demo clinician"),
    "admin@demo.local": (Role.ADMINISTRATOR, "Demo administrator"),
}


@transaction.atomic
def create_demo_accounts() -> list[User]:
    """Create the missing demo accounts with verified addresses. Existing ones are not changed.

    The patient has agreed to the text about diagnosis, so that a photo can be uploaded at once.
    """
    from allauth.account.models import EmailAddress

    users = []
    for email, (role, name) in DEMO_ACCOUNTS.items():
        user = User.objects.filter(email__iexact=email).first()
        if user is None:
            user = User.objects.create_user(email, DEMO_PASSWORD, role=role, name=name)
            EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
        # A demo patient who withdrew consent is still asked for it.
        if needs_consent(user) and not user.consents.exists():
            give_consent(user=user, purpose=Purpose.DIAGNOSIS, by=user)
        users.append(user)
    return users


@transaction.atomic
def register_account(*, user: User, by: User) -> User:
    """Save a new account that an administrator creates, with any role. Raises NotAllowed."""
    _require_administrator(by)
    user.save(force_insert=True)
    audit.record(actor=by, action=AuditEntry.Action.ACCOUNT_CREATED, subject=f"user:{user.pk}", role=str(user.role))
    return user


@transaction.atomic
def change_role(*, user: User, role: Role, by: User) -> User:
    """Change the role of `user`. Only administrators may, and not their own, so one administrator always remains."""
    _require_administrator(by, other_than=user)
    locked = User.objects.select_for_update().get(pk=user.pk)
    before = locked.role
    if before != role:
        locked.role = role
        locked.save(update_fields=["role"])
        audit.record(
            actor=by, action=AuditEntry.Action.ROLE_CHANGED, subject=f"user:{user.pk}", before=before, after=str(role)
        )
    return locked


@transaction.atomic
def switch_account(*, user: User, active: bool, by: User) -> User:
    """Switch an account off or on. Only administrators may, and not their own."""
    _require_administrator(by, other_than=user)
    locked = User.objects.select_for_update().get(pk=user.pk)
    if locked.is_active != active:
        locked.is_active = active
        locked.save(update_fields=["is_active"])
        audit.record(actor=by, action=AuditEntry.Action.ACCOUNT_SWITCHED, subject=f"user:{user.pk}", active=active)
    return locked


@transaction.atomic
def change_email(*, user: User, email: str, by: User) -> User:
    """Change the address of an account. The old address no longer works for signing in or for a password reset.

    The new address is unverified; a link is sent to it at the next sign-in. Raises NotAllowed unless `by` is an
    administrator, IntegrityError if another account has the address.
    """
    from allauth.account.models import EmailAddress

    _require_administrator(by)
    locked = User.objects.select_for_update().get(pk=user.pk)
    email = email.lower()
    if locked.email != email:
        locked.email = email
        locked.save(update_fields=["email"])
        EmailAddress.objects.filter(user=locked).delete()
        EmailAddress.objects.create(user=locked, email=email, primary=True, verified=False)
        # The log is kept after the person is erased, so it holds no address.
        audit.record(actor=by, action=AuditEntry.Action.EMAIL_CHANGED, subject=f"user:{user.pk}")
    return locked


def _require_administrator(by: User, *, other_than: User | None = None) -> None:
    """Check that `by` is an administrator, and keep it so until the transaction ends. Raises NotAllowed.

    Locks the rows of all administrators in one order. If two administrators demote each other at the same moment, the
    second waits and is then refused.
    """
    rows = User.objects.select_for_update().filter(role=Role.ADMINISTRATOR, is_active=True).order_by("pk")
    administrators = set(rows.values_list("pk", flat=True))
    if not (by.is_active and by.is_administrator) or by.pk not in administrators:
        raise NotAllowed("Only an administrator may change accounts.")
    if other_than is not None and other_than.pk == by.pk:
        raise NotAllowed("Nobody changes their own role or switches themselves off.")
