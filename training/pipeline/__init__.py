"""Own the way from ISIC 2019 files to a sealed bundle: examples, split, features, fit, metrics, calibration, seal.

No Django, no models: a management command, a Celery task and a test call the same functions. Progress goes out
through one callback (`progress.Report`), and a cancelled run comes back through it as an exception.
"""
