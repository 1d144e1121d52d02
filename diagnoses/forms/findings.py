"""What a clinician or a pathologist says of a photo."""

from django import forms
from django.utils.translation import gettext_lazy as _

from diagnoses.models import Finding
from diagnoses.models.fields import DIAGNOSIS_CHOICES


class FindingForm(forms.Form):
    """What a clinician or a pathologist says a lesion is."""

    diagnosis = forms.ChoiceField(label=_("Diagnosis"), choices=[("", _("Choose")), *DIAGNOSIS_CHOICES])
    source = forms.ChoiceField(
        label=_("How it is known"),
        choices=list(reversed(Finding.Source.choices)),
        widget=forms.RadioSelect,
        initial=Finding.Source.CLINICIAN,
    )
    note = forms.CharField(label=_("Note"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))
