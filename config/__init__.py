"""Settings, URLs, date formats, and the start of gunicorn and Celery. No code of the application.

The Celery application is imported here, so that `@shared_task` finds it in every process.
"""

from config.celery import app as celery_app

__all__ = ["celery_app"]
