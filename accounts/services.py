"""Writes to users: demo accounts and roles."""

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEntry, Role, User

DEMO_PASSWORD = "teri-demo"  # noqa: S105 - printed on purpose, local settings only
DEMO_ACCOUNTS = {
    "patient@demo.local": (Role.PATIENT, "Demo patient"),
    "clinician@demo.local": (Role.CLINICIAN, "Demo clinician"),
    "admin@demo.local": (Role.ADMINISTRATOR, "Demo administrator"),
}


@transaction.atomic
def create_demo_accounts() -> list[User]:
    """Make the three demo accounts where they are missing, with verified addresses; existing ones stay as they are."""
    from allauth.account.models import EmailAddress

    users = []
    for email, (role, name) in DEMO_ACCOUNTS.items():
        user = User.objects.filter(email__iexact=email).first()
        if user is None:
            user = User.objects.create_user(email, DEMO_PASSWORD, role=role, name=name)
            EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
        users.append(user)
    return users


@transaction.atomic
def change_role(*, user: User, role: Role, by: User) -> User:
    """Give `user` another role. Only administrators may; nobody changes their own, so one always remains."""
    if not (by.is_active and by.is_administrator) or by.pk == user.pk:
        raise PermissionError("Only another administrator may change a role.")
    locked = User.objects.select_for_update().get(pk=user.pk)
    before = locked.role
    if before != role:
        locked.role = role
        locked.save(update_fields=["role"])
        audit.record(
            actor=by, action=AuditEntry.Action.ROLE_CHANGED, subject=f"user:{user.pk}", before=before, after=str(role)
        )
    return locked


def set_training_consent(*, user: User, given: bool, by: User) -> User:
    """Record that `user` agrees, or no longer agrees, that confirmed photos of theirs may teach a classifier.

    Only the person alone may say so. A withdrawal keeps the photos out of every later data set; sealed ones stay.
    """
    if by.pk != user.pk or not by.is_active:
        raise PermissionError("Only the person alone can agree to this.")
    if given != (user.training_consent is not None):
        user.training_consent = timezone.now() if given else None
        user.save(update_fields=["training_consent"])
    return user
