"""Training in the admin: pages of data sets, runs, evaluations and classifiers. Django imports them from here."""

from training.admin import classifiers, datasets, evaluation_jobs, evaluations, imports, runs

__all__ = ["classifiers", "datasets", "evaluation_jobs", "evaluations", "imports", "runs"]
