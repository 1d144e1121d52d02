"""The forms of imports. Files are chosen from a list of the data folder or uploaded; nobody types a path."""

from typing import Any, ClassVar, Final

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from training.models import Dataset, DatasetImport
from training.services.imports import (
    NAME_LENGTH,
    SourceFile,
    available_sources,
    request_import,
    request_join,
    request_version_with_photos,
)
from training.services.jobs import JobRejected

SEED: Final = 2019
_KINDS: Final = {
    "ground-truth": _("diagnoses"),
    "metadata": _("metadata"),
    "supplement": _("supplement"),
    "isic-cli": _("isic-cli table"),
    "pad-ufes-20": _("PAD-UFES-20 table"),
    "lesions": _("lesions with two ids"),
    "csv": _("other table"),
    "zip": _("zip"),
    "folder": _("folder of images"),
}


_WITH_DIAGNOSES: Final = ("ground-truth", "isic-cli", "pad-ufes-20")


class SourcesForm(forms.Form):
    """Fields for source files: each is either a file of the data folder or an upload.

    `SOURCES` gives for each field the kinds of file that it offers, the likeliest first, and the words of no choice.
    """

    SOURCES: ClassVar[dict[str, tuple[tuple[str, ...], Any]]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sources = available_sources()
        for field, (kinds, first) in self.SOURCES.items():
            choice = self.fields[field]
            assert isinstance(choice, forms.ChoiceField)
            choice.choices = [("", first), *_grouped([s for s in self.sources if s.kind in kinds], kinds)]
            choice.error_messages["invalid_choice"] = _("This is not in the data folder. Choose one of the list.")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for field in self.SOURCES:
            if cleaned.get(field) and cleaned.get(f"{field}_upload"):
                self.add_error(f"{field}_upload", _("Choose a file of the data folder or upload one, not both."))
        return cleaned

    def given_sources(self) -> dict[str, str | UploadedFile[Any]]:
        """The chosen path or the upload of each field; "" if there is neither."""
        return {field: self.cleaned_data[f"{field}_upload"] or self.cleaned_data[field] for field in self.SOURCES}

    def add_rejection(self, rejected: JobRejected) -> None:
        """Put the reason at its field, or at the upload if the file came by that."""
        uploaded = rejected.field in self.SOURCES and self.cleaned_data.get(f"{rejected.field}_upload")
        self.add_error(f"{rejected.field}_upload" if uploaded else rejected.field, rejected.message)


class ImportForm(SourcesForm):
    """All fields of an import. The table with the diagnoses tells the layout."""

    SOURCES: ClassVar[dict[str, tuple[tuple[str, ...], Any]]] = {
        "ground_truth": (
            ("ground-truth", "isic-cli", "pad-ufes-20", "csv"),
            _("Choose a table of the data folder"),
        ),
        "metadata": (("metadata", "csv"), _("None, or choose a table of the data folder")),
        "supplement": (("supplement", "csv"), _("None, or choose a table of the data folder")),
        "images": (("zip", "folder"), _("None, or choose a zip or folder of the data folder")),
    }

    name = forms.CharField(
        label=_("Name"), max_length=NAME_LENGTH, help_text=_("What the data set will be called, such as isic2019.")
    )
    ground_truth = forms.ChoiceField(label=_("Diagnoses"), required=False)
    ground_truth_upload = forms.FileField(
        label=_("or upload the table"),
        required=False,
        help_text=_(
            "ISIC_2019_Training_GroundTruth.csv, MILK10k_Training_GroundTruth.csv, or the metadata.csv of "
            "PAD-UFES-20 or of an isic-cli download."
        ),
    )
    metadata = forms.ChoiceField(label=_("Metadata"), required=False)
    metadata_upload = forms.FileField(
        label=_("or upload the table"),
        required=False,
        help_text=_("ISIC_2019_Training_Metadata.csv or MILK10k_Training_Metadata.csv; not needed with isic-cli and "
                    "PAD-UFES-20. Without it nobody knows which images show one lesion."),
    )  # fmt: skip
    supplement = forms.ChoiceField(label=_("Supplement"), required=False)
    supplement_upload = forms.FileField(
        label=_("or upload the table"),
        required=False,
        help_text=_("Only for MILK10k: MILK10k_Training_Supplement.csv."),
    )
    images = forms.ChoiceField(label=_("Images"), required=False)
    images_upload = forms.FileField(
        label=_("or upload a zip"),
        required=False,
        help_text=_("Without images the tables can be explored, but nothing can be trained."),
    )
    split_seed = forms.IntegerField(
        label=_("Split seed"),
        min_value=0,
        max_value=2**31 - 1,
        initial=SEED,
        help_text=_("The same files and seed give the same split on any machine."),
    )
    near_together = forms.BooleanField(
        label=_("Keep near duplicates on one side of the split"),
        required=False,
        initial=True,
        help_text=_("Lesion ids miss some: one photograph in two colour versions, with two ids, is known in isic2019."),
    )
    leave_out_unmapped = forms.BooleanField(
        label=_("Leave out other diagnoses"),
        required=False,
        help_text=_(
            "ISIC 2019 (UNK) and isic-cli: skip images whose diagnosis is none of the eight, instead of refusing the "
            "table."
        ),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors and not (cleaned.get("ground_truth") or cleaned.get("ground_truth_upload")):
            self.add_error("ground_truth", _("Choose or upload the table with the diagnoses."))
        return cleaned

    def request(self, *, by: User) -> DatasetImport | None:
        """Queue the import. None if it was rejected; the reason is at its field."""
        given = self.cleaned_data
        try:
            return request_import(
                by=by,
                name=given["name"],
                split_seed=given["split_seed"],
                leave_out_unmapped=given["leave_out_unmapped"],
                near_together=given["near_together"],
                **self.given_sources(),
            )
        except JobRejected as rejected:
            self.add_rejection(rejected)
            return None

    def found_sets(self) -> list[dict[str, str]]:
        """Subfolders of the data folder that hold a whole data set, as initial values of this form."""
        found = []
        for source in self.sources:
            if source.kind not in _WITH_DIAGNOSES:
                continue
            beside = [other for other in self.sources if other.folder == source.folder]
            metadata = next((other.path for other in beside if other.kind == "metadata"), "")
            supplement = next((other.path for other in beside if other.kind == "supplement"), "")
            images = _images_among([other.path for other in beside if other.kind == "zip"])
            images = images or next(
                (s.path for s in self.sources if s.kind == "folder" and s.path == source.folder), ""
            )
            tables = [other.path for other in beside if other.kind in _WITH_DIAGNOSES]
            if source.kind == "pad-ufes-20" and source.path != tables[0]:
                # A second table of PAD-UFES-20 beside the first holds the rows whose photos are not there.
                images = ""
            folder, stem = source.folder.rsplit("/", maxsplit=1)[-1], source.path.rsplit("/")[-1].removesuffix(".csv")
            found.append(
                {
                    "name": f"{folder} {stem}".strip() if len(tables) > 1 else folder or stem,
                    "ground_truth": source.path,
                    "metadata": metadata if source.kind == "ground-truth" else "",
                    "supplement": supplement if source.kind == "ground-truth" else "",
                    "images": images,
                }
            )
        return found


class JoinForm(SourcesForm):
    """The data sets to join, and what is known of lesions that several of them show."""

    SOURCES: ClassVar[dict[str, tuple[tuple[str, ...], Any]]] = {
        "same_lesion": (("lesions", "csv"), _("None, or choose a table of the data folder")),
        "leave_out": (("csv", "lesions"), _("None, or choose a table of the data folder")),
    }

    name = forms.CharField(label=_("Name of the joined data set"), max_length=NAME_LENGTH)
    parts = forms.ModelMultipleChoiceField(
        label=_("Data sets"),
        queryset=Dataset.objects.all(),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least two data sets.")},
    )
    same_lesion = forms.ChoiceField(label=_("Lesions with two ids"), required=False)
    same_lesion_upload = forms.FileField(
        label=_("or upload the table"),
        required=False,
        help_text=_(
            "Two columns with the ids of one lesion, such as same_lesion_as_isic2019.csv of MILK10k. All images of "
            "such a lesion are put on one side of the split."
        ),
    )
    leave_out = forms.ChoiceField(label=_("Lesions to leave out"), required=False)
    leave_out_upload = forms.FileField(
        label=_("or upload the table"), required=False, help_text=_("A table with the column lesion_id.")
    )

    def request(self, *, by: User) -> DatasetImport | None:
        """Queue the joining. None if it was rejected; the reason is at its field."""
        given = self.cleaned_data
        try:
            return request_join(by=by, name=given["name"], parts=list(given["parts"]), **self.given_sources())
        except JobRejected as rejected:
            self.add_rejection(rejected)
            return None


class NewVersionForm(forms.Form):
    """The name of a new version with confirmed photos."""

    name = forms.CharField(label=_("Name of the new version"), max_length=NAME_LENGTH)

    def request(self, dataset: Dataset, *, by: User) -> DatasetImport | None:
        """Queue the new version. None if it was rejected; the reason is at the name."""
        try:
            return request_version_with_photos(dataset=dataset, name=self.cleaned_data["name"], by=by)
        except JobRejected as rejected:
            self.add_error("name", rejected.message)
            return None


def _images_among(zips: list[str]) -> str:
    """The zip that holds the images: there may be others beside it, with outlines or cut-outs."""
    likely = [path for path in zips if any(word in path.rsplit("/")[-1].lower() for word in ("input", "photos"))]
    return (likely or zips or [""])[0]


def _grouped(sources: list[SourceFile], kinds: tuple[str, ...]) -> list[Any]:
    """Choices, one group for each folder; the first of `kinds` comes first."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for source in sorted(sources, key=lambda s: (s.folder, kinds.index(s.kind), s.path)):
        name = source.path.rsplit("/", maxsplit=1)[-1]
        groups.setdefault(source.folder or "/", []).append((source.path, f"{name} ({_KINDS[source.kind]})"))
    return list(groups.items())
