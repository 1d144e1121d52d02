"""The work of the inference worker: keeps the live classifier loaded and predicts one photo after another.

Only worker processes and `manage.py classify` import this. The network is loaded in the child process that predicts,
never in the prefork parent, and is reloaded after the promotion of another classifier.
"""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.utils import timezone
from PIL import Image

from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import note_bundle_problem, registered_bundle
from diagnoses.photos.assessments import assessor_of
from diagnoses.photos.case_mix import stated_case_mix
from diagnoses.photos.models import Photo, Worker
from diagnoses.photos.predictions import claim_photo, fail_photo, record_prediction, release_photo
from diagnoses.photos.recovery import sweep as sweep_photos
from diagnoses.similar.indexing import Indexer, keep_vector
from recognition.failpoints import failpoint
from recognition.inference.bundle import BundleError
from recognition.inference.heatmap import render_overlay
from recognition.inference.runtime import Classification, LoadedClassifier, load_classifier
from recognition.sandbox import IntakeLimits, PhotoRejected, read_image

logger = logging.getLogger(__name__)

# Stored photos were re-encoded by the sandbox, so only the pixel limit matters.
STORED_LIMITS: Final = IntakeLimits()


class NoLiveClassifier(Exception):
    """No prediction is possible: no classifier is live, or its bundle is invalid. The message says which."""


class _Engine:
    """Holds the live classifier, loaded once per process and reloaded after a promotion."""

    def __init__(self) -> None:
        self.classifier: Classifier | None = None
        self.loaded: LoadedClassifier | None = None

    def current(self) -> tuple[Classifier, LoadedClassifier]:
        """The live classifier and its loaded network. Raises NoLiveClassifier."""
        live = _live()
        if self.loaded is None or self.classifier is None or self.classifier.sha256 != live.sha256:
            self.loaded = None  # frees the old network first: only one fits in memory
            started = time.monotonic()
            self.loaded = load(live)
            logger.info("Classifier %s is warm (%s, %.1f s).", live, self.loaded.runtime, time.monotonic() - started)
        self.classifier = live
        return live, self.loaded


def load(classifier: Classifier) -> LoadedClassifier:
    """Verify a classifier's bundle and load its network. Raises NoLiveClassifier and notes the bundle problem."""
    with _noting_faults(classifier):
        bundle = registered_bundle(classifier)
        return load_classifier(bundle, runtime=settings.INFERENCE_RUNTIME, threads=settings.INFERENCE_THREADS)


_engine = _Engine()


def check_live_bundle() -> Classifier:
    """Verify the live classifier's files without loading the network. Raises NoLiveClassifier; notes the problem."""
    live = _live()
    with _noting_faults(live):
        registered_bundle(live)
    return live


def _live() -> Classifier:
    live = Classifier.objects.live()
    if live is None:
        raise NoLiveClassifier("No classifier is live. Load one: manage.py load_default_classifier")
    return live


@contextmanager
def _noting_faults(classifier: Classifier) -> Iterator[None]:
    """Note the bundle problem, or that there is none. Turns BundleError into NoLiveClassifier."""
    try:
        yield
    except BundleError as error:
        note_bundle_problem(classifier=classifier, problem=str(error))
        raise NoLiveClassifier(f"Classifier {classifier} cannot be used: {error}") from error
    note_bundle_problem(classifier=classifier, problem="")


def warm_up() -> None:
    """Load the live classifier and predict one synthetic picture, so that the first patient does not wait."""
    _, loaded = _engine.current()
    loaded.classify([Image.new("RGB", (200, 150), (200, 160, 140))])


def predict_photo(photo_id: UUID) -> None:
    """Claim one photo, predict it, record the result.

    Does nothing if the photo is not waiting. An expected failure is recorded and the photo becomes FAILED. An
    unexpected error releases the photo for another attempt (three in all) and is raised for the log. NoLiveClassifier
    releases it without counting the attempt and is raised, because the worker must stop.
    """
    claim = claim_photo(photo_id)
    if claim is None:
        return
    started = time.monotonic()
    try:
        failpoint("after_claim", photo=photo_id)
        classifier, loaded = _engine.current()
        photo = Photo.objects.get(pk=photo_id)
        image = _stored_image(photo)
        failpoint("in_predict", photo=photo_id)
        # Of the answer only the heatmap is used, which is for the picture alone; the rest is assessed under the lock.
        outcome = loaded.classify([image], image_types=[photo.image_type], case_mix=stated_case_mix())[0]
        overlay = None
        if outcome.heatmap is not None:
            overlay = render_overlay(
                outcome.heatmap, photo_size=image.size, preprocessing=loaded.bundle.manifest.preprocessing
            )
        failpoint("before_commit", photo=photo_id)
        duration_ms = round((time.monotonic() - started) * 1000)
        record_prediction(
            claim=claim,
            classifier=classifier,
            outputs=outcome.outputs,
            assessor=assessor_of(classifier),
            heatmap_png=overlay,
            runtime=loaded.runtime,
            duration_ms=duration_ms,
        )
        logger.info("Photo %s is analysed (%d ms).", photo_id, duration_ms)
        _keep_vector(photo_id, classifier, outcome)
        failpoint("after_commit", photo=photo_id)
    except _ExpectedFailure as failure:
        fail_photo(claim=claim, code=failure.code)
        logger.warning("Photo %s failed: %s.", photo_id, failure.code)
    except NoLiveClassifier:
        release_photo(claim=claim, code="prediction_failed", counts=False)
        raise
    except SoftTimeLimitExceeded:
        release_photo(claim=claim, code="prediction_timeout")
        raise
    except Exception:
        release_photo(claim=claim, code="prediction_failed")
        raise


class _ExpectedFailure(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def _stored_image(photo: Photo) -> Image.Image:
    try:
        with photo.image.open() as file:
            data = file.read()
    except FileNotFoundError as error:
        raise _ExpectedFailure("photo_missing") from error
    try:
        return read_image(data, limits=STORED_LIMITS)
    except PhotoRejected as error:
        raise _ExpectedFailure("photo_unreadable") from error


def _keep_vector(photo_id: UUID, classifier: Classifier, outcome: Classification) -> None:
    """Save the photo's vector for similar cases. Never raises: a missing vector is made later."""
    try:
        keep_vector(photo_id=photo_id, classifier=classifier, features=outcome.features)
    except Exception:
        logger.exception("Photo %s has no place among similar cases yet.", photo_id)


_indexer = Indexer()


def index_similar_cases() -> None:
    """Index pictures for similar cases for a few seconds, while no photo waits."""
    try:
        classifier, loaded = _engine.current()
    except NoLiveClassifier:
        return  # the next photo meets the same problem and handles it
    until = time.monotonic() + settings.INDEXING_SLICE.total_seconds()
    _indexer.work(
        classifier=classifier,
        loaded=loaded,
        should_stop=lambda: time.monotonic() > until or Photo.objects.waiting().exists(),
    )


def heartbeat_and_sweep() -> None:
    """The periodic task: write the heartbeat with the loaded classifier, then sweep."""
    Worker.objects.update_or_create(
        name=f"{socket.gethostname()}:{os.getppid()}",
        defaults={
            "runtime": _engine.loaded.runtime if _engine.loaded else "",
            "classifier": _engine.classifier.version if _engine.classifier else "",
            "last_seen": timezone.now(),
        },
    )
    Worker.objects.filter(last_seen__lt=timezone.now() - 100 * settings.WORKER_SILENCE).delete()
    sweep_photos()
