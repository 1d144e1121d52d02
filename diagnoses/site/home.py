"""Where everybody arrives, and the page that says what Teri is."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from diagnoses.labels import DECISION_MEANINGS, DECISION_NAMES
from recognition.inference.assessment import Decision
from recognition.taxonomy import Diagnosis


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Strangers read what this is; patients go to their spots, clinicians and administrators to their worklist."""
    user = request.user
    if isinstance(user, User):
        return redirect("review-list" if user.sees_all_patients else "lesion-list")
    return render(request, "diagnoses/site/home.html")


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """What Teri is and is not, the eight diagnoses, the classifier in use."""
    return render(
        request,
        "diagnoses/site/about.html",
        {
            "diagnoses": list(Diagnosis),
            "decisions": [(DECISION_NAMES[decision], DECISION_MEANINGS[decision]) for decision in Decision],
            "classifier": Classifier.objects.live(),
        },
    )
