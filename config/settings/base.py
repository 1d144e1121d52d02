"""Settings shared by every environment; `local`, `test` and `production` hold only the differences.

Everything an operator may change is read from the environment here, once, and listed in docs/operations.md.
`DATABASE_URL` and `REDIS_URL` are always set before the settings load: by the operator, or by
`devtools.local_services`, which starts the servers that pip installed.
"""

from datetime import timedelta
from pathlib import Path

import django_stubs_ext
import environ

# Generic classes (ModelAdmin[User], CharField[str, str]) work at run time as they do for mypy.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.Env()

DEBUG = False
SECRET_KEY = env.str("SECRET_KEY", default="")
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# How many proxies stand before the application and report the address of the client.
ALLAUTH_TRUSTED_PROXY_COUNT: int = env.int("TRUSTED_PROXY_COUNT", default=0)

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "accounts",
    "diagnoses",
    "training",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.AccountLanguageMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.middleware.NotAllowedMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    }
]

DATABASES = {"default": env.db_url("DATABASE_URL")}
DATABASES["default"].setdefault("CONN_MAX_AGE", 60)
DATABASES["default"].setdefault("CONN_HEALTH_CHECKS", True)
# A database that does not answer gives an error within seconds. connect_timeout is in seconds; tcp_user_timeout is in
# milliseconds: how long a sent packet may stay unacknowledged, for servers across a network.
DATABASES["default"].setdefault("OPTIONS", {}).update({"connect_timeout": 5, "tcp_user_timeout": 10_000})
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The cache (rate limits, throttles) is in PostgreSQL on purpose: Redis is only the broker, so a stopped or frozen
# Redis delays predictions and breaks nothing (RELIABILITY R1).
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "teri_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

# --- Accounts ---------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
# A constraint makes the e-mail address unique without regard to case; this check does not see constraints.
SILENCED_SYSTEM_CHECKS = ["auth.W004"]
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"

ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {"add_email": "accounts.forms.AddEmailForm", "signup": "accounts.forms.SignupForm"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_CONFIRM_EMAIL_ON_GET = False
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
ACCOUNT_SESSION_REMEMBER = None
# Wrong passwords: at most 10 a minute from one address and 5 in 5 minutes for one account. The sign-in page, the admin
# and API tokens count together, because all three use the allauth adapter.
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/5m/key"}
ACCOUNT_EMAIL_SUBJECT_PREFIX = "Teri: "
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Teri"

SESSION_COOKIE_AGE = int(timedelta(days=14).total_seconds())
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"

EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Teri <noreply@localhost>")
# Seconds for each step with the mail server, so that a frozen server does not keep a page waiting for long.
EMAIL_TIMEOUT = 10
# The address of this site, for links in e-mails that are sent without a request.
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://localhost:{env.str('PORT', default='8000')}").rstrip("/")
# How often due e-mails are looked for.
EMAIL_INTERVAL = timedelta(seconds=60)

# --- Language and time -------------------------------------------------------------------------------------------

# The texts are written in English. A visitor gets English if the browser asks for none of the three languages. Workers
# and commands run in English, so that stored texts do not depend on who asked.
LANGUAGE_CODE = "en"
LANGUAGES = [("kk", "Қазақша"), ("ru", "Русский"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "config.formats"
LANGUAGE_COOKIE_AGE = int(timedelta(days=365).total_seconds())
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = env.str("TIME_ZONE", default="Asia/Almaty")
USE_I18N = True
USE_TZ = True

# --- Files -------------------------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(VAR_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]

# Private files: no URL leads to them; a view checks the permission and then sends the bytes (RELIABILITY R9).
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(VAR_DIR / "media")))
FILE_STORAGE = env.str("FILE_STORAGE", default="disk")

if FILE_STORAGE == "s3":
    _private_files: dict[str, object] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": env.str("S3_BUCKET"),
            "endpoint_url": env.str("S3_ENDPOINT_URL", default=None),
            "region_name": env.str("S3_REGION", default=None),
            "access_key": env.str("S3_ACCESS_KEY", default=None),
            "secret_key": env.str("S3_SECRET_KEY", default=None),
            "default_acl": "private",
            "querystring_auth": True,
            "querystring_expire": 300,
            "file_overwrite": False,
        },
    }
elif FILE_STORAGE == "disk":
    _private_files = {
        "BACKEND": "diagnoses.photos.storage.PrivateDiskStorage",
        "OPTIONS": {"location": str(MEDIA_ROOT)},
    }
else:
    raise environ.ImproperlyConfigured(f"FILE_STORAGE is 'disk' or 's3', not {FILE_STORAGE!r}")

STORAGES = {
    "default": _private_files,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# An upload is read into memory before it is checked; its limit is IntakeLimits.max_bytes (20 MB).
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
DATA_UPLOAD_MAX_NUMBER_FILES = 20

# --- The classifier ------------------------------------------------------------------------------------------------

# "onnx" (CPU, no TensorFlow), "keras" (TensorFlow) or "auto": keras where there is a GPU, onnx elsewhere.
INFERENCE_RUNTIME = env.str("INFERENCE_RUNTIME", default="auto")
# None: the runtime chooses (all cores).
INFERENCE_THREADS: int | None = env.int("INFERENCE_THREADS", default=0) or None
# A JSON file with eight shares: the case mix of this site, for which probabilities are shown. Empty: the sealed one.
CASE_MIX = env.str("CASE_MIX", default="")
DEFAULT_BUNDLE_DIR = BASE_DIR / "bundles" / "default"
# Where a worker keeps the verified copy of a bundle that lives on remote storage.
BUNDLE_CACHE_DIR = Path(env.str("BUNDLE_CACHE_DIR", default=str(VAR_DIR / "bundles")))

# A prediction takes well under a second on a CPU; these limits bound the worst case. The lease is longer than the hard
# limit, so that a second worker never gets a photo while the first may still be writing.
PREDICTION_SOFT_TIME_LIMIT = env.int("PREDICTION_SOFT_TIME_LIMIT", default=20)
PREDICTION_TIME_LIMIT = env.int("PREDICTION_TIME_LIMIT", default=25)
PREDICTION_LEASE = timedelta(seconds=env.int("PREDICTION_LEASE_SECONDS", default=30))
SWEEP_INTERVAL = timedelta(seconds=env.int("SWEEP_INTERVAL_SECONDS", default=5))
# If a photo is still QUEUED after this time and its message is not in the broker, the message is sent again.
REPUBLISH_AFTER = timedelta(seconds=env.int("REPUBLISH_AFTER_SECONDS", default=20))
# A worker that has sent no sign of life for this long counts as down.
WORKER_SILENCE = timedelta(seconds=env.int("WORKER_SILENCE_SECONDS", default=30))

# How long an inference worker indexes pictures for similar cases before it does other work. It is less than the
# interval, and the worker stops at once when a photo waits.
INDEXING_SLICE = timedelta(seconds=4)
INDEXING_INTERVAL = timedelta(seconds=10)
# How often the recent answers of the live classifier are checked.
WATCH_INTERVAL = timedelta(seconds=60)
# How often reminders to photograph a spot again are checked; they are due on a day, not at a time.
REMINDER_INTERVAL = timedelta(hours=1)

# --- Reading -------------------------------------------------------------------------------------------------------

# When a second clinician reads a photo although the first did not ask for it: "malignant" (the first found a cancer),
# "disagreement" (the first and the classifier disagree). Empty: only on request.
SECOND_READING_RULES: list[str] = env.list("SECOND_READING_RULES", default=["malignant", "disagreement"])
if not set(SECOND_READING_RULES) <= {"malignant", "disagreement"}:
    raise environ.ImproperlyConfigured(f"SECOND_READING_RULES holds {SECOND_READING_RULES!r}")

# --- Training ------------------------------------------------------------------------------------------------------

# The only folder the admin may import from, and where the command line finds the data by default.
TRAINING_DATA_DIR = Path(env.str("TRAINING_DATA_DIR", default=str(BASE_DIR.parent / "shared" / "data")))
# The ImageNet weights of EfficientNetB4 without the top, as .npz. If the file is missing, Keras's own are downloaded
# into TRAINING_WORK_DIR, with their checksum.
IMAGENET_WEIGHTS = Path(
    env.str(
        "IMAGENET_WEIGHTS",
        default=str(BASE_DIR.parent / "shared/weights/efficientnetb4_notop_imagenet_block7b-identity.fp16.npz"),
    )
)
# Checkpoints and cached features of runs; safe to delete when nothing is running.
TRAINING_WORK_DIR = Path(env.str("TRAINING_WORK_DIR", default=str(VAR_DIR / "training")))
# A run without a heartbeat for this long goes back to the queue and resumes from its checkpoint.
TRAINING_LEASE = timedelta(seconds=env.int("TRAINING_LEASE_SECONDS", default=60))

# --- Operation -----------------------------------------------------------------------------------------------------

# After this time without a backup the first page of the admin shows a notice.
BACKUP_EXPECTED_EVERY = timedelta(hours=env.int("BACKUP_EXPECTED_EVERY_HOURS", default=48))

# --- Celery --------------------------------------------------------------------------------------------------------

REDIS_URL = env.str("REDIS_URL")
# redis-py wants unix://, kombu wants redis+socket://; operators may write either.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "health_check_interval": 10,
    "visibility_timeout": 3600,
}
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
# The message of a lost worker is dropped: the lease in the database brings the photo back, at most three times
# (R3, R5).
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_ACKS_ON_FAILURE_OR_TIMEOUT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 120
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_TASK_DEFAULT_QUEUE = "maintenance"
CELERY_TASK_ROUTES = {
    "diagnoses.predict_photo": {"queue": "inference"},
    "training.sweep": {"queue": "maintenance"},
    "training.*": {"queue": "training"},
}
CELERY_TASK_SOFT_TIME_LIMIT = 60
CELERY_TASK_TIME_LIMIT = 90
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "diagnoses.sweep",
        "schedule": SWEEP_INTERVAL,
        # A sweep that waits longer than this is dropped; the next one does its work.
        "options": {"expires": SWEEP_INTERVAL.total_seconds()},
    },
    "index-similar-cases": {
        "task": "diagnoses.index_similar_cases",
        "schedule": INDEXING_INTERVAL,
        "options": {"expires": INDEXING_INTERVAL.total_seconds()},
    },
    "watch-live-classifier": {
        "task": "diagnoses.watch_live_classifier",
        "schedule": WATCH_INTERVAL,
        "options": {"expires": WATCH_INTERVAL.total_seconds()},
    },
    "remind": {
        "task": "diagnoses.remind",
        "schedule": REMINDER_INTERVAL,
        "options": {"expires": REMINDER_INTERVAL.total_seconds()},
    },
    "send-notifications": {
        "task": "accounts.send_notifications",
        "schedule": EMAIL_INTERVAL,
        "options": {"expires": EMAIL_INTERVAL.total_seconds()},
    },
    "training-sweep": {
        "task": "training.sweep",
        "schedule": SWEEP_INTERVAL,
        "options": {"expires": SWEEP_INTERVAL.total_seconds()},
    },
}

# --- API -----------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "diagnoses.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"user": "600/min", "anon": "60/min", "upload": "120/min"},
    "NUM_PROXIES": ALLAUTH_TRUSTED_PROXY_COUNT,
    "EXCEPTION_HANDLER": "diagnoses.api.problems.problem_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {
    "TOKEN_TTL": timedelta(days=30),
    "AUTH_HEADER_PREFIX": "Token",
    "AUTO_REFRESH": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Teri API",
    "DESCRIPTION": "Upload a photo of a skin lesion, read what the classifier says of it.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "DiagnosisCode": "diagnoses.fields.DIAGNOSIS_CHOICES",
        "ReviewState": "diagnoses.photos.models.photo.Photo.ReviewState",
        "ReadingAnswer": "diagnoses.readings.models.Reading.Answer",
    },
}

# --- Security headers ----------------------------------------------------------------------------------------------

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- Logging -------------------------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{levelname:<7} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # Celery writes three lines for each task, and there is a sweep every few seconds. The tasks log their results
        # themselves.
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.worker.request": {"level": "WARNING"},
    },
}
