"""Pages of training runs: request one, watch it live, cancel it, resume it."""

from typing import Any, Final
from uuid import UUID

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from diagnoses.classifiers.models import Classifier
from recognition.recipes import RECIPES, Recipe, RecipeError
from training.admin.curves import history_charts
from training.admin.jobs import FAILURES, STYLES, JobAdmin, administrator, duration, live_context
from training.forms.recipes import RecipeForm, leaves
from training.forms.runs import ChooseForm
from training.models import Evaluation, Example, Job, TrainingRun
from training.services.jobs import JobRejected, request_cancel
from training.services.runs import held_back_but_learned, request_run, resume_run, warnings_of

STAGES: Final = {
    "features": gettext_lazy("Computing the features of every picture, once"),
    "head": gettext_lazy("Training the head on frozen features"),
    "fine-tune": gettext_lazy("Training the network"),
    "evaluate": gettext_lazy("Measuring on the calibration and test splits"),
    "seal": gettext_lazy("Sealing the classifier"),
}

LEARN_VALIDATION: Final = "fine_tune.learn_validation"

LOG_LINES: Final = 40  # the newest, on the page; the whole log is a download


@admin.register(TrainingRun)
class TrainingRunAdmin(JobAdmin[TrainingRun]):
    """Runs, newest first. Adding one queues it."""

    list_display = [
        "short", "recipe", "dataset", "parent", "status", "stage", "classifier", "requested_by", "created",
    ]  # fmt: skip
    list_display_links = ["short"]
    list_filter = ["status", "recipe"]
    list_select_related = ["dataset", "parent", "classifier", "requested_by"]
    key = "uuid"

    class Media:
        css = STYLES

    @admin.display(description=gettext_lazy("run"))
    def short(self, run: TrainingRun) -> str:
        return run.pk.hex[:8]

    @admin.display(description=gettext_lazy("stage"))
    def stage(self, run: TrainingRun) -> str:
        if run.status == Job.Status.FAILED:
            return str(FAILURES.get(run.failure_code, run.failure_code))
        if not run.is_active:
            return "–"
        return str(STAGES.get(run.progress.get("stage", ""), _("waiting")))

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("log", "history", "parent__manifest", "classifier__manifest")

    def get_urls(self) -> list[URLPattern]:
        return [
            self.own("progress/", self.progress_view, "progress"),
            self.own("log/", self.log_view, "log"),
            self.own("cancel/", require_POST(self.cancel_view), "cancel"),
            self.own("resume/", require_POST(self.resume_view), "resume"),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """First the form of data set, recipe and parent, then the form of the recipe; then the run is queued."""
        user = administrator(request)
        posted = request.method == "POST"
        asked = request.POST if posted else request.GET
        choice = ChooseForm(asked if "recipe" in asked else None, initial=_initial(request))
        chosen = choice.is_bound and choice.is_valid()
        form, remarks = None, list[str]()
        if chosen:
            recipe = RECIPES[choice.cleaned_data["recipe"]]
            form = RecipeForm(recipe, request.POST if posted else None)
            if not posted:
                remarks = _remarks(choice.cleaned_data, form)
            if posted and form.is_valid():
                try:
                    run = request_run(
                        dataset=choice.cleaned_data["dataset"],
                        recipe=form.recipe,
                        parent=choice.cleaned_data["parent"],
                        by=user,
                    )
                except JobRejected as error:
                    choice.add_error(error.field if error.field in choice.fields else None, error.message)
                else:
                    messages.success(request, _("The run is queued."))
                    for sentence in warnings_of(run.dataset, form.recipe, run.parent):
                        messages.warning(request, sentence)
                    return HttpResponseRedirect(reverse("admin:training_trainingrun_change", args=[run.pk]))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Train a classifier"),
            "media": self.media,
            "choice": choice,
            "form": form,
            "remarks": remarks,
            "recipes": list(RECIPES.values()),
        }
        wrong = posted and (choice.errors or (form is not None and form.errors))
        return TemplateResponse(request, "admin/training/trainingrun/new.html", context, status=422 if wrong else 200)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one run, live while it runs."""
        administrator(request)
        run = _run(object_id)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("%(recipe)s on %(dataset)s") % {"recipe": run.recipe, "dataset": run.dataset},
            "media": self.media,
            "settings": _settings(run),
            "remarks": _remarks_on(run),
            **run_context(run),
        }
        return TemplateResponse(request, "admin/training/trainingrun/page.html", context)

    def progress_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The part of the page that changes."""
        administrator(request)
        return TemplateResponse(request, "admin/training/trainingrun/progress.html", run_context(_run(str(pk))))

    def log_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The whole log as text."""
        administrator(request)
        response = HttpResponse(_run(str(pk)).log, content_type="text/plain; charset=utf-8")
        response["Cache-Control"] = "private, no-store"
        return response

    def cancel_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Ask for the run to end."""
        return self.back(
            request,
            pk,
            done=request_cancel(_run(str(pk)), by=administrator(request)),
            said=_("The run stops after its current batch; its checkpoint is kept."),
            otherwise=_("The run had ended already."),
        )

    def resume_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Queue a cancelled or failed run again."""
        return self.back(
            request,
            pk,
            done=resume_run(run=_run(str(pk)), by=administrator(request)),
            said=_("The run is queued again and goes on from its checkpoint."),
            otherwise=_("Only a cancelled or failed run can be resumed."),
        )


def run_context(run: TrainingRun) -> dict[str, Any]:
    """Context of the part of a run's page that changes."""
    return live_context(run, STAGES) | {
        "run": run,
        "charts": history_charts(run.history),
        "history": list(reversed(run.history)),
        "log_tail": "\n".join(run.log.splitlines()[-LOG_LINES:]),
        "took": duration((run.finished - run.started).total_seconds()) if run.finished and run.started else "",
        "can_resume": run.status in {Job.Status.CANCELLED, Job.Status.FAILED},
        "evaluation": Evaluation.objects.filter(classifier=run.classifier_id, dataset=run.dataset_id).first(),
    }


def _run(text: str) -> TrainingRun:
    try:
        key = UUID(text)
    except ValueError as error:
        raise Http404 from error
    rows = TrainingRun.objects.select_related("dataset", "parent", "classifier", "requested_by")
    found: TrainingRun = get_object_or_404(rows, pk=key)
    return found


def _initial(request: HttpRequest) -> dict[str, Any]:
    """Initial values from the address: the links "train" and "fine-tune" name a data set or a classifier."""
    initial: dict[str, Any] = {key: request.GET[key] for key in ("dataset", "parent", "recipe") if request.GET.get(key)}
    parent = initial.get("parent", "")
    if parent.isdecimal() and "dataset" not in initial:
        classifier = Classifier.objects.filter(pk=int(parent)).first()
        run = TrainingRun.objects.filter(classifier=classifier).first() if classifier else None
        if run is not None:
            initial["dataset"] = run.dataset_id
    return initial


def _remarks(chosen: dict[str, Any], form: RecipeForm) -> list[str]:
    """What to know before a run is queued. Ticks "learn validation" where the parent has learned validation images."""
    dataset, parent = chosen["dataset"], chosen["parent"]
    remarks = warnings_of(dataset, form.base, parent)
    found = None if parent is None else held_back_but_learned(dataset, form.base, parent)
    if found is not None and found[0] == Example.Split.VALIDATION and LEARN_VALIDATION in form.fields:
        form.initial[LEARN_VALIDATION] = True
        remarks.append(
            _(
                "%(parent)s has learned %(count)s of the %(pictures)s validation images of %(dataset)s already, so "
                "that they cannot choose the best epoch. Below, “learn validation” is ticked: they are learned again, "
                "and the last epoch is kept. Choose the number of epochs accordingly."
            )
            % {"parent": parent, "count": found[1], "pictures": found[2], "dataset": dataset}
        )
    return remarks


def _remarks_on(run: TrainingRun) -> list[str]:
    try:
        return warnings_of(run.dataset, Recipe.from_json(run.settings), run.parent) if run.is_active else []
    except RecipeError:
        return []


def _settings(run: TrainingRun) -> list[tuple[str, str, bool]]:
    """Rows (field, value, whether it differs from the present recipe) of the run's settings."""
    try:
        recipe = Recipe.from_json(run.settings)
    except RecipeError:
        return [(name, str(value), False) for name, value in run.settings.items()]
    usual = {name: value for name, value, _kind in leaves(RECIPES[run.recipe])} if run.recipe in RECIPES else {}
    return [(name, str(value), name in usual and usual[name] != value) for name, value, _kind in leaves(recipe)]
