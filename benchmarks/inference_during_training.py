"""How long a photo takes while nothing else runs, and while a network is trained on the same cores (R18); and how long
a running training takes to cancel (R19).

Needs a running installation (an inference worker and a training worker on this machine) and an imported data set with
images; photos and the run stay in it, so use a scratch database:

    DJANGO_SETTINGS_MODULE=config.settings.local python -m benchmarks.inference_during_training DATASET PATIENT_EMAIL
"""

import sys
import time
from typing import Final

import django
import numpy as np

PHOTOS: Final = 25
WARM_UP: Final = 4
LOOK_S: Final = 0.01


def main(dataset_name: str, email: str) -> None:
    """Measure and print."""
    django.setup()

    from accounts.models import User
    from diagnoses.photos.models import Photo
    from diagnoses.photos.services import submit_photo
    from tests.factories import made_photo
    from training.models import Dataset, Job, TrainingRun
    from training.services import jobs
    from training.services.runs import recipe_with, request_run

    owner = User.objects.get(email=email)
    seed = int(time.time())

    def answered(number: int) -> float:
        """Seconds from the upload to the result."""
        content = made_photo("MEL", seed + number)
        started = time.perf_counter()
        photo = submit_photo(owner=owner, data=content)
        while Photo.objects.values_list("status", flat=True).get(pk=photo.pk) not in {"predicted", "failed"}:
            time.sleep(LOOK_S)
        return time.perf_counter() - started

    def series(first: int) -> tuple[float, float]:
        seconds = [answered(first + number) for number in range(PHOTOS)]
        return float(np.median(seconds)), float(np.percentile(seconds, 95))

    def training(run: TrainingRun) -> bool:
        run.refresh_from_db()
        return bool(run.progress.get("stage") == "fine-tune" and run.progress.get("done", 0) > 1)

    for number in range(WARM_UP):
        answered(number)
    idle = series(100)
    recipe = recipe_with("FINE_TUNE", {"architecture.input_size": "96", "fine_tune.epochs": "50"})
    run = request_run(dataset=Dataset.objects.get(name=dataset_name), recipe=recipe)
    while not training(run):
        if run.finished:
            raise SystemExit(f"The run ended too early: {run.failure_detail or Job.Status(run.status).label}")
        time.sleep(1.0)
    busy = series(200)
    asked = time.perf_counter()
    jobs.request_cancel(run, by=None)
    while not run.finished:
        time.sleep(0.1)
        run.refresh_from_db()
    print(f"idle      median {idle[0]:.3f} s, p95 {idle[1]:.3f} s")
    print(f"training  median {busy[0]:.3f} s, p95 {busy[1]:.3f} s: p95 {busy[1] / idle[1]:.2f} times the idle one")
    print(f"cancelled after {time.perf_counter() - asked:.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
