"""The first form of a new run: the data set, the recipe, and the classifier to start from."""

from django import forms
from django.utils.translation import gettext_lazy as _

from diagnoses.classifiers.models import Classifier
from recognition.recipes import RECIPES
from training.models import Dataset


class ChooseForm(forms.Form):
    """Data set, recipe, and the classifier to start from if any."""

    dataset = forms.ModelChoiceField(
        queryset=Dataset.objects.filter(has_images=True).defer("eda", "report"),
        label=_("Data set"),
        help_text=_("Only data sets that were imported with their images can be trained on."),
    )
    recipe = forms.ChoiceField(choices=[(name, name) for name in RECIPES], label=_("Recipe"))
    parent = forms.ModelChoiceField(
        queryset=Classifier.objects.defer("manifest"),
        label=_("Start from"),
        required=False,
        empty_label=_("ImageNet, or random weights where the recipe has no others"),
        help_text=_("A classifier whose weights the run begins with. SEED_FINE_TUNE needs one made by SEED_TRANSFER."),
    )
