"""Settings of a public server. It does not start with a setting that would expose patients (RELIABILITY R13)."""

from urllib.parse import urlsplit

from environ import ImproperlyConfigured

from config.settings.base import *  # noqa: F403
from config.settings.base import ALLOWED_HOSTS, REDIS_URL, SECRET_KEY, env

DEMO_ACCOUNTS = False
MINIMUM_KEY_LENGTH = 50  # as Django's deployment check demands (security.W009)

if env.bool("DEBUG", default=False):
    raise ImproperlyConfigured("DEBUG must not be set in production.")
if len(SECRET_KEY) < MINIMUM_KEY_LENGTH or len(set(SECRET_KEY)) < 5:
    raise ImproperlyConfigured("SECRET_KEY must be a random string of at least 50 characters.")
if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured("ALLOWED_HOSTS must name the hosts this site answers to, not '*'.")
if not urlsplit(REDIS_URL).password:
    raise ImproperlyConfigured("REDIS_URL must carry a password.")
if env.str("FAULTS_FILE", default=""):
    raise ImproperlyConfigured("FAULTS_FILE is a drill for test machines.")

# The first allowed host is a good guess of the address of the site.
PUBLIC_URL = env.str("PUBLIC_URL", default=f"https://{ALLOWED_HOSTS[0].lstrip('.')}").rstrip("/")

SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
SECURE_REDIRECT_EXEMPT = [r"^health/"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_TLS_PROXY", default=False) else None
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
LANGUAGE_COOKIE_SECURE = True
