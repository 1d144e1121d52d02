"""The tables of training: data sets, runs, evaluations, and the jobs that make them."""

from training.models.dataset import Dataset, Example, ImageArchive
from training.models.evaluation import Evaluation, EvaluationJob, TestOpening
from training.models.imports import DatasetImport
from training.models.job import Job
from training.models.run import TrainingRun

__all__ = [
    "Dataset",
    "DatasetImport",
    "Evaluation",
    "EvaluationJob",
    "Example",
    "ImageArchive",
    "Job",
    "TestOpening",
    "TrainingRun",
]
