"""Settings of pytest: as local, with quick password hashing and files in a folder of the test session."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from devtools.local_services.for_tests import start_for_tests

# pytest-django reads the settings before any conftest, and the base settings need the addresses of the servers.
start_for_tests()

from config.settings.base import *  # noqa: E402, F403
from config.settings.base import STORAGES  # noqa: E402

SECRET_KEY = "only-for-tests-" + "0" * 40
ALLOWED_HOSTS = ["*"]
DEMO_ACCOUNTS = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ACCOUNT_EMAIL_VERIFICATION = "optional"

# Worker processes of a test get the folder through the environment; the process that made the folder removes it.
if "MEDIA_ROOT" in os.environ:
    MEDIA_ROOT = Path(os.environ["MEDIA_ROOT"])
else:
    MEDIA_ROOT = Path(tempfile.mkdtemp(prefix="teri-test-media-"))
    atexit.register(shutil.rmtree, MEDIA_ROOT, ignore_errors=True)
STORAGES = STORAGES | {
    "default": {"BACKEND": "diagnoses.photos.storage.PrivateDiskStorage", "OPTIONS": {"location": str(MEDIA_ROOT)}},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
BUNDLE_CACHE_DIR = MEDIA_ROOT / "bundle-cache"

# Static files come straight from their sources: tests do not run collectstatic.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
