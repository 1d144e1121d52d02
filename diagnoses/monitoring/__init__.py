"""Monitoring: everything that tells an administrator whether the site works.

Open `health.py` for the health checks, `notices/` for the admin's first page, `alarms.py` for degenerate output of the
live classifier, `drift/` for drift, `backups.py` for recorded backups, `admin.py` for classifiers and workers.

May import `photos` and `classifiers`, the shared `labels` and the template filters of `words`; other features only by
their tables.
"""
