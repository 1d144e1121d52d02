"""How gunicorn serves the site, on a laptop and in a container: `gunicorn -c python:config.gunicorn`.

There are two processes with four threads each: a page takes milliseconds of CPU, an upload mostly waits for the network
and the sandbox. The application is loaded before the fork, so the second process needs little memory.
"""

import os
from pathlib import Path

bind = f"{os.environ.get('BIND', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "4"))
worker_class = "gthread"
preload_app = True
# Seconds; longer than any request may take.
timeout = 60
graceful_timeout = 5
# gunicorn's workers touch a file as a sign of life; on a busy disk that can be late and look like a hang.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes a private file there
# The control socket would be in the home folder, the same one for every checkout.
control_socket_disable = True
# A process is replaced after so many requests, so that a slow memory leak does no harm. The jitter keeps both
# processes from being replaced at the same time.
max_requests = 5000
max_requests_jitter = 500
errorlog = "-"
# Requests are not logged by default: addresses in them carry the ids of photos (RELIABILITY R28).
# With a logging configuration gunicorn logs them anyway, so the level of the logger switches them off.
_requests_logged = os.environ.get("ACCESS_LOG") == "1"
accesslog = "-" if _requests_logged else None
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)-7s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"level": os.environ.get("LOG_LEVEL", "INFO"), "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["console"], "propagate": False},
        "gunicorn.access": {
            "level": "INFO" if _requests_logged else "CRITICAL",
            "handlers": ["console"],
            "propagate": False,
        },
    },
}
