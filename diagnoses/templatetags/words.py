"""Template filters for labels, percentages, time spans and icons."""

from collections.abc import Sequence
from decimal import Decimal

from django import template
from django.templatetags.static import static
from django.utils.formats import localize
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from diagnoses import labels
from diagnoses.fields import DECISION_CHOICES, SEX_CHOICES, SITE_CHOICES
from recognition.inference.assessment import Gate

register = template.Library()

MINUTE, HOUR, DAY = 60, 3600, 86_400


@register.filter
def measured(share: float) -> str:
    """A counted share as per cent: 1.0 -> "100 %". For probabilities of a classifier use `percent`."""
    return gettext("%(number)d %%") % {"number": round(share * 100)}


@register.filter
def diagnosis_name(code: str) -> str | Promise:
    """ "MEL" -> "Melanoma". An empty or unknown code is returned unchanged."""
    return labels.DIAGNOSIS_NAMES.get(code, code)


@register.filter
def plain_words(code: str) -> str | Promise:
    """One sentence about a diagnosis, for patients."""
    return labels.plain_words(code)


@register.filter
def truth_source(source: str) -> str | Promise:
    """The label of the source of a ground truth."""
    return labels.GROUND_TRUTH_SOURCES.get(source, source)


@register.filter
def site_name(site: str) -> str | Promise:
    """The label of a site of the body."""
    return dict(SITE_CHOICES).get(site, site)


@register.filter
def image_type_name(image_type: str) -> str | Promise:
    """How a picture of this kind was taken."""
    return labels.IMAGE_TYPE_NAMES.get(image_type, image_type)


@register.filter
def image_type_source(source: str) -> str | Promise:
    """How the kind of a picture is known."""
    return labels.IMAGE_TYPE_SOURCES.get(source, source)


@register.filter
def sex_name(sex: str) -> str | Promise:
    """The label of a sex."""
    return dict(SEX_CHOICES).get(sex, sex)


@register.filter
def decision_name(decision: str) -> str | Promise:
    """ "soon" -> "See a doctor soon". An empty or unknown one is returned unchanged."""
    return dict(DECISION_CHOICES).get(decision, decision)


@register.filter
def gate_name(gate: str) -> str | Promise:
    """The label of a gate."""
    return labels.GATE_NAMES[Gate(gate)]


@register.filter
def gate_reason(code: str) -> str | Promise:
    """The reason of a gate's refusal, in one sentence."""
    return labels.GATE_REASONS[code].why


@register.filter
def diagnosis_names(codes: Sequence[str]) -> str:
    """("NV", "MEL", "BKL") -> "Melanocytic nevus, Melanoma and Benign keratosis", the first as a sentence begins."""
    names = [str(diagnosis_name(code)) for code in codes]
    if len(names) < 2:
        return "".join(names)
    return gettext("%(others)s and %(last)s") % {"others": ", ".join(names[:-1]), "last": names[-1]}


@register.filter
def hundredths(share: float) -> int:
    """A share as a whole number of a hundred, as in "12 of 100": 0.1234 -> 12."""
    return round(share * 100)


@register.filter
def of_hundred(share: float) -> str:
    """A measured share of pictures as a number of a hundred. Never "0" or "100": a test is no proof of either."""
    if share < 0.005:
        return gettext("fewer than 1")
    if share >= 0.995:
        return gettext("more than 99")
    return str(hundredths(share))


@register.filter
def names(words: Sequence[str | Promise]) -> str:
    """("age", "sex", "answers") -> "age, sex, answers"."""
    return ", ".join(map(str, words))


@register.filter
def significant(number: float) -> str:
    """A figure with three significant digits: 0.073412 -> "0.0734", 41.25 -> "41.2", 3.0 -> "3"."""
    return str(localize(Decimal(f"{number:.3g}")))


@register.filter
def percent(share: float | None) -> str:
    """0.873 -> "87 %". Never a rounded "100 %" or "0 %": no answer of a classifier is certain."""
    if share is None:
        return "–"
    if share >= 0.995:
        said = gettext("over 99 %")
    elif 0 < share < 0.01:
        said = gettext("under 1 %")
    else:
        said = gettext("%(number)d %%") % {"number": round(share * 100)}
    # A no-break space keeps number and sign on one line.
    return said.replace(" %", "\N{NO-BREAK SPACE}%")


@register.filter
def bar_width(share: float) -> str:
    """A share as the width of a bar, as SVG needs it in every language: 0.873 -> "87.30%"."""
    return f"{min(max(share, 0.0), 1.0) * 100:.2f}%"


@register.filter
def duration(seconds: int) -> str:
    """Whole seconds in the largest fitting unit: "12 seconds", "3 minutes", "2 hours", "4 days"."""
    if seconds < MINUTE:
        return ngettext("%(count)d second", "%(count)d seconds", seconds) % {"count": seconds}
    if seconds < HOUR:
        return ngettext("%(count)d minute", "%(count)d minutes", seconds // MINUTE) % {"count": seconds // MINUTE}
    if seconds < DAY:
        return ngettext("%(count)d hour", "%(count)d hours", seconds // HOUR) % {"count": seconds // HOUR}
    return ngettext("%(count)d day", "%(count)d days", seconds // DAY) % {"count": seconds // DAY}


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """An icon from static/img/icons.svg, hidden from screen readers."""
    return format_html(
        '<svg class="icon {}" width="24" height="24" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>',
        css,
        static("img/icons.svg"),
        name,
    )
