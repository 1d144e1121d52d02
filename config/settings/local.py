"""Settings of `make run` on a developer's machine: demo accounts, mail printed to the log, no HTTPS."""

from config.settings.base import *  # noqa: F403
from config.settings.base import VAR_DIR, env

DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *env.list("ALLOWED_HOSTS", default=[])]
DEMO_ACCOUNTS = True


def _local_secret_key() -> str:
    """The secret key of this checkout; it is kept in var/, so that sessions survive a restart."""
    import secrets

    path = VAR_DIR / "secret-key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x") as file:
                path.chmod(0o600)
                file.write(secrets.token_urlsafe(64))
        except FileExistsError:
            pass
    return path.read_text()


SECRET_KEY = env.str("SECRET_KEY", default="") or _local_secret_key()

# Mail is printed to the log here, so nobody has to find a link there before the first photo.
ACCOUNT_EMAIL_VERIFICATION = "optional"
