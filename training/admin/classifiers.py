"""What training adds to the pages of classifiers: the run they come from, gates, promotion, the model card."""

import math
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.models import AuditEntry, User
from diagnoses.classifiers.description import Description, describe
from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import ClassifierError
from diagnoses.monitoring.admin import ClassifierAdmin
from diagnoses.photos.rejudging import left_to_judge
from recognition.inference.bundle import BundleError
from recognition.taxonomy import Diagnosis
from training.admin.evaluations import contamination_said, main_lines, page_context
from training.admin.jobs import STYLES, administrator
from training.models import Dataset, Evaluation, EvaluationJob, TrainingRun
from training.services.ancestry import stored_learned
from training.services.evaluations import request_evaluation
from training.services.jobs import JobRejected
from training.services.openings import figures_open, open_figures, said_of_openings
from training.services.registry import (
    PromotionRejected,
    admission_of,
    ask_for_promotion,
    conditions,
    evaluations_used,
    gates,
    is_asked_for,
    kinds_said,
    measured_for,
    promote,
    roll_back,
    rolled_back_to,
    side_by_side,
)
from training.services.test_contamination import contamination_of

HISTORY: int = 20

admin.site.unregister(Classifier)


@admin.register(Classifier)
class RegistryAdmin(ClassifierAdmin):
    """The registry: every classifier with its origin and figures, and promotion through the gates."""

    list_display = [
        "version", "stage", "made_by", "score", "is_whole", "created", "promoted",
    ]  # fmt: skip
    # The list is short and needs its width, so it has no filters.
    list_filter = []
    change_list_template = "admin/training/classifier/list.html"

    class Media:
        css = STYLES

    @admin.display(description=gettext_lazy("made by"))
    def made_by(self, classifier: Classifier) -> str:
        run = self._runs().get(classifier.pk)
        if run is None:
            return "–"
        return f"{run.recipe} ← {run.parent}" if run.parent else str(run.recipe)

    @admin.display(description=gettext_lazy("balanced accuracy (validation)"))
    def score(self, classifier: Classifier) -> str:
        figures = describe(classifier.manifest).validation
        return _decimals(figures.balanced_accuracy) if figures else "–"

    # A small table is read for each row; the list of classifiers is short.
    def _runs(self) -> dict[int, TrainingRun]:
        rows = TrainingRun.objects.filter(classifier__isnull=False).select_related("parent")
        return {run.classifier_id: run for run in rows.defer("log", "history", "parent__manifest")}

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # Promotion is on the page of one classifier, which shows its gates first.
        return {}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        more = {"live": Classifier.objects.live(), "previous": rolled_back_to()}
        return super().changelist_view(request, {**more, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        def own(view: Any) -> Any:
            return self.admin_site.admin_view(view)

        return [
            path("roll-back/", own(self.roll_back_view), name="diagnoses_classifier_roll_back"),
            path("<int:pk>/ask/", own(require_POST(self.ask_view)), name="diagnoses_classifier_ask"),
            path("<int:pk>/promote/", own(require_POST(self.promote_view)), name="diagnoses_classifier_promote"),
            path("<int:pk>/evaluate/", own(require_POST(self.evaluate_view)), name="training_classifier_evaluate"),
            path("test-figures/<int:pk>/open/", own(self.open_view), name="training_evaluation_open"),
            path("<int:pk>/card/", own(self.card_view), name="diagnoses_classifier_card"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one classifier: origin, figures, gates and promotion."""
        administrator(request)
        return self._page(request, _classifier(object_id))

    def _page(
        self, request: HttpRequest, classifier: Classifier, *, refused: str = "", status: int = 200
    ) -> HttpResponse:
        live = Classifier.objects.live()
        asked = is_asked_for(classifier)
        seen = gates(classifier) if asked else conditions(classifier)
        used = evaluations_used(measured_for(classifier, live))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": classifier.version,
            "media": self.media,
            "classifier": classifier,
            "live": live,
            "is_live": live is not None and live.pk == classifier.pk,
            "previous": rolled_back_to(),
            "described": describe(classifier.manifest),
            "kinds": kinds_said(describe(classifier.manifest).image_types),
            "asked": asked,
            "openings": [(each.dataset, said_of_openings(each.fingerprint)) for each in used],
            "gates": seen,
            "open": all(gate.passed for gate in seen),
            "left": left_to_judge(classifier).count(),
            "refused": refused,
            "reason": request.POST.get("reason", ""),
            "run": TrainingRun.objects.select_related("dataset", "parent").filter(classifier=classifier).first(),
            "children": TrainingRun.objects.filter(parent=classifier).select_related("classifier", "dataset"),
            "measured": _measured(classifier),
            "history": _history(classifier),
        }
        return TemplateResponse(request, "admin/training/classifier/page.html", context, status=status)

    def promote_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Make it the live one, through the gates or with a written reason for an override."""
        user = administrator(request)
        classifier = _classifier(str(pk))
        try:
            promote(
                classifier=classifier,
                by=user,
                reason=request.POST.get("reason", "")[:500],
                override="override" in request.POST,
            )
        except (PromotionRejected, BundleError, ClassifierError) as error:
            return self._page(request, classifier, refused=str(error), status=422)
        messages.success(
            request, _("%(version)s is live. Workers load it before their next photo.") % {"version": classifier}
        )
        return HttpResponseRedirect(reverse("admin:diagnoses_classifier_change", args=[pk]))

    def ask_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for its promotion: opens its test figures, and the page then shows every gate."""
        user = administrator(request)
        ask_for_promotion(classifier=_classifier(str(pk)), by=user)
        return HttpResponseRedirect(f"{reverse('admin:diagnoses_classifier_change', args=[pk])}#promotion")

    def open_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Open the test figures of an evaluation, after a page that says what that means."""
        user = administrator(request)
        rows = Evaluation.objects.select_related("classifier", "dataset").defer("predictions", "dataset__eda")
        evaluation = get_object_or_404(rows, pk=pk)
        if request.method == "POST":
            open_figures(evaluation=evaluation, by=user, reason=request.POST.get("reason", ""))
        if figures_open(evaluation):
            return HttpResponseRedirect(reverse("admin:training_evaluation_change", args=[pk]))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Open the test figures of %(version)s") % {"version": evaluation.classifier},
            "media": self.media,
            "evaluation": evaluation,
            "openings": said_of_openings(evaluation.fingerprint),
        }
        return TemplateResponse(request, "admin/training/classifier/open_figures.html", context)

    def roll_back_view(self, request: HttpRequest) -> HttpResponse:
        """Make the previous classifier live again, after a page that says what changes."""
        user = administrator(request)
        previous, live = rolled_back_to(), Classifier.objects.live()
        back = HttpResponseRedirect(reverse("admin:diagnoses_classifier_changelist"))
        if previous is None or live is None:
            messages.error(request, _("No other classifier that passed its gates has been live: there is no way back."))
            return back
        if request.method == "POST":
            try:
                to = _classifier(request.POST.get("to", ""))
                again = roll_back(to=to, by=user, reason=request.POST.get("reason", "")[:500])
            except (PromotionRejected, BundleError, ClassifierError) as error:
                messages.error(request, _("Not rolled back. %(why)s") % {"why": error})
            else:
                messages.success(request, _("%(version)s is live again.") % {"version": again})
            return back
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Roll back to %(version)s") % {"version": previous},
            "media": self.media,
            "live": live,
            "previous": previous,
            "admission": admission_of(previous),
            "changes": _changes(live, previous),
            "lost": _lost(live, previous),
            "figures": [
                (kind, name, _decimals(theirs), _decimals(ours))
                for kind, name, ours, theirs in side_by_side(previous, live)
            ],
            "left": left_to_judge(previous).count(),
        }
        return TemplateResponse(request, "admin/training/classifier/roll_back.html", context)

    def evaluate_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Queue the evaluation of a classifier on a data set, and go to the page of the job."""
        user = administrator(request)
        classifier = _classifier(str(pk))
        chosen = request.POST.get("dataset", "")
        dataset = get_object_or_404(Dataset.objects.defer("eda"), pk=int(chosen) if chosen.isdecimal() else 0)
        try:
            job = request_evaluation(classifier=classifier, dataset=dataset, by=user)
        except JobRejected as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(reverse("admin:diagnoses_classifier_change", args=[pk]))
        return HttpResponseRedirect(reverse("admin:training_evaluationjob_change", args=[job.pk]))

    def card_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The model card: intended use, training data, performance and limits."""
        administrator(request)
        classifier = _classifier(str(pk))
        run = TrainingRun.objects.select_related("dataset", "parent").filter(classifier=classifier).first()
        evaluation = _evaluations(classifier).first()
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Model card of %(version)s") % {"version": classifier},
            "media": self.media,
            "classifier": classifier,
            "manifest": classifier.manifest,
            "described": describe(classifier.manifest),
            "diagnoses": list(Diagnosis),
            "run": run,
            "evaluation": evaluation,
            **(page_context(evaluation) if evaluation else {}),
        }
        return TemplateResponse(request, "admin/training/classifier/card.html", context)


def _classifier(text: str) -> Classifier:
    if not text.isdecimal():
        raise Http404
    return get_object_or_404(Classifier, pk=int(text))


def _decimals(value: float) -> str:
    """Three decimals, or a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def _changes(live: Classifier, previous: Classifier) -> list[tuple[str, str, str]]:
    """Rows (what, now, after a roll back)."""
    now, then = describe(live.manifest), describe(previous.manifest)

    def validation(described: Description) -> str:
        return _decimals(described.validation.balanced_accuracy) if described.validation else "–"

    return [
        (_("Version"), live.version, previous.version),
        (_("Network"), now.network or "–", then.network or "–"),
        (_("Input size in pixels"), str(now.input_size or "–"), str(then.input_size or "–")),
        (_("Kinds of picture that it knows"), kinds_said(now.image_types), kinds_said(then.image_types)),
        (_("Case mix of its probabilities"), now.case_mix.name, then.case_mix.name),
        (_("Balanced accuracy (validation)"), validation(now), validation(then)),
    ]


def _lost(live: Classifier, previous: Classifier) -> str:
    """The kinds of picture, in words, that the live one knows and the previous one does not; empty for none."""
    then = describe(previous.manifest).image_types
    lost = [each for each in describe(live.manifest).image_types if each not in then]
    return kinds_said(lost) if lost else ""


def _evaluations(classifier: Classifier) -> QuerySet[Evaluation]:
    rows = Evaluation.objects.filter(classifier=classifier).select_related("classifier", "dataset")
    return rows.defer("predictions", "dataset__eda", "dataset__report")


def _measured(classifier: Classifier) -> list[dict[str, Any]]:
    """Every data set with pictures: the evaluation on it if there is one, and the test contamination."""
    rows = {each.fingerprint: each for each in _evaluations(classifier) if each.has_decisions}
    active = {job.dataset_id: job for job in EvaluationJob.objects.filter(classifier=classifier).active().defer("log")}
    table, learned = [], stored_learned(classifier)
    for dataset in Dataset.objects.filter(has_images=True).defer("eda"):
        evaluation = rows.get(dataset.test_content_fingerprint)
        # Counted again even if there is an evaluation: older evaluations say less about it.
        contamination = contamination_of(classifier.manifest, dataset, learned)
        table.append(
            {
                "dataset": dataset,
                "evaluation": evaluation,
                "figures": main_lines(evaluation) if evaluation else [],
                "job": active.get(dataset.pk),
                "pictures": contamination.pictures,
                "kept": contamination.kept,
                "said": contamination_said(contamination.as_json()),
            }
        )
    return table


def _history(classifier: Classifier) -> list[dict[str, Any]]:
    """Who registered and promoted it, when and why, newest first."""
    entries = AuditEntry.objects.filter(subject=f"classifier:{classifier.pk}")[:HISTORY]
    names = {str(user.pk): str(user) for user in User.objects.filter(pk__in=[e.actor for e in entries if e.actor])}
    return [
        {
            "when": entry.created,
            "what": entry.get_action_display(),
            "who": names.get(entry.actor, _("the application or the shell") if not entry.actor else _("a former user")),
            "before": entry.detail.get("before"),
            "against": ", ".join(entry.detail.get("closed_gates", [])),
            "reason": entry.detail.get("reason", ""),
        }
        for entry in entries
    ]
