"""The start page and the about page."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from accounts.models import User
from diagnoses.classifiers.description import describe
from diagnoses.classifiers.models import Classifier
from diagnoses.labels import DECISION_MEANINGS, DECISION_NAMES, IMAGE_TYPE_NAMES
from recognition.inference.assessment import Decision
from recognition.taxonomy import Diagnosis


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Visitors see the start page. Patients are redirected to their spots, all others to the worklist."""
    user = request.user
    if isinstance(user, User):
        return redirect("review-list" if user.sees_all_patients else "lesion-list")
    return render(request, "diagnoses/site/home.html")


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """What Teri is and is not, the eight diagnoses, the live classifier and what it learned from."""
    live = Classifier.objects.live()
    return render(
        request,
        "diagnoses/site/about.html",
        {
            "diagnoses": list(Diagnosis),
            "decisions": [(DECISION_NAMES[decision], DECISION_MEANINGS[decision]) for decision in Decision],
            "classifier": live,
            **({} if live is None else _described(live)),
        },
    )


def _described(live: Classifier) -> dict[str, Any]:
    """Context: what the live classifier is, which kinds of picture it knows, and what it learned from."""
    described = describe(live.manifest)
    return {
        "described": described,
        "image_types": [IMAGE_TYPE_NAMES[each] for each in described.image_types],
        "non_commercial": any(source.non_commercial for source in described.sources),
    }
