"""Own the model card of a bundle as Markdown: everything in it comes out of the manifest, so the two cannot part."""

import textwrap
from collections.abc import Mapping
from typing import Any, Final

from diagnoses.inference.bundle import NORMALISED_FROM, Bundle
from diagnoses.taxonomy import Diagnosis
from training.pipeline.splits import SPLITS

LINE_LENGTH: Final = 118


def model_card(bundle: Bundle) -> str:
    """The card of a verified bundle that was sealed by `seal.seal_network`. Raises KeyError for another's manifest."""
    manifest = bundle.manifest
    parts = (
        _heading(bundle),
        _making(bundle),
        _data(manifest.dataset, manifest.split),
        _figures(bundle),
        *([_assessment(bundle)] if bundle.manifest.assessment else []),
        _limits(bundle),
        f"## Licence\n\n{manifest.licence}",
    )
    return "\n\n".join(parts) + "\n"


def _heading(bundle: Bundle) -> str:
    written = _paragraph(
        f"""Written by `manage.py write_model_card` out of the bundle's own manifest, which was measured when the bundle
        was sealed ({bundle.manifest.created}). Identity: `{bundle.sha256}`. Every figure is computed again, from the
        bundle and the data alone, by `manage.py reseal_classifier --bundle BUNDLE --data FOLDER`, which says whether
        they agree."""
    )
    purpose = _paragraph(
        """It says which of eight diagnoses a photo of a skin lesion most resembles, and how sure it is, so that a
        clinician has a second look at hand. **It is not a medical device, it diagnoses nobody, and nobody should wait
        or worry because of it.**"""
    )
    return f"# Model card: `{bundle.version}`\n\n{written}\n\n## What it is for\n\n{purpose}"


def _making(bundle: Bundle) -> str:
    manifest = bundle.manifest
    recipe, tuning, size = manifest.recipe, manifest.recipe.get("fine_tune"), manifest.architecture.input_size
    units = manifest.architecture.head_units
    head = f"hidden layers of {', '.join(map(str, units))} and eight outputs" if units else "one linear layer"
    parent = manifest.provenance.get("parent")
    start = "random weights" if manifest.architecture.backbone == "tiny" else "ImageNet weights"
    if parent:
        start = f"the weights of `{parent['version']}`"
    trained_at = recipe["architecture"]["input_size"]
    place = f"at {size} x {size} px"
    if trained_at != size:
        place = f"trained at {trained_at} x {trained_at} px and served at {size} x {size} px,"
    frozen = f"""Recipe `{recipe["name"]}`: {manifest.architecture.backbone} {place} with {start}, global average
        pooling, {head}. """
    if recipe["frozen"]["epochs"]:
        frozen += f"""The head was fitted on the frozen network's features, {_balance(recipe["frozen"]["balance"])}; its
            best epoch was chosen on the validation split."""
    else:
        frozen += "The head came with them."
    if tuning:
        splits = ("train", "validation") if tuning.get("learn_validation") else ("train",)
        pictures = tuning["pictures_per_epoch"] or sum(manifest.split["pictures"][name] for name in splits)
        mixed = f", mixed by two (mixup {alpha:g})" if (alpha := tuning.get("mixup_alpha", 0.0)) else ""
        # A bundle from before there were engines was trained by Keras, and says nothing.
        engine = " by the engine pytorch" if manifest.provenance.get("engine") == "pytorch" else ""
        learned = tuning.get("batch_norm") == "trained"
        norms = "held and BatchNorm learned with the rest" if learned else "and all BatchNorm statistics held"
        tuned = f"""Then the network itself was trained for {tuning["epochs"]} epochs of {pictures:,} varied
            pictures{mixed}{engine}, its first {tuning["frozen_blocks"]} stages {norms},
            {_balance(tuning["balance"])}; {_kept(tuning)}"""
        if teachers := manifest.provenance.get("teachers"):
            tuned += f""" {tuning["teacher_share"]:.0%} of what it was to answer was what
                {" and ".join(f"`{each['version']}`" for each in teachers)} answered to the same varied pictures
                (knowledge distillation, Hinton et al. 2015), the rest the diagnosis."""
    else:
        tuned = "The network itself was left as it came: only the head has ever seen a lesion."
    if manifest.architecture.backbone == "efficientnetb4" and manifest.format_version < NORMALISED_FROM:
        tuned += """ All of it took the pixels in [0, 1], without the normalisation that ImageNet weights expect: a
            fault found later, with which this classifier was trained, measured and serves (docs/training-log.md)."""
    parity = manifest.parity
    served = f"""Every photo is brought to a long side of {manifest.preprocessing.reference_long_side} px by area
        averaging, then stretched to the input, by the same function in training and serving. {_views(manifest.views)}
        {sum(each.size for each in manifest.files.values()) / 1e6:.1f} MB, large kernels as float16. Keras against the
        exported graph on {parity["pictures"]:.0f} pictures: probabilities within
        {parity["probabilities_max_difference"]:.0e}, {parity["diagnoses_changed"]:.0f} diagnoses changed."""
    return "## How it was made\n\n" + "\n\n".join(_paragraph(each) for each in (frozen, tuned, served))


def _kept(tuning: Mapping[str, Any]) -> str:
    if tuning.get("learn_validation"):
        return """the pictures of the validation split were learned as well, since settings and length had been chosen
            before, and the last epoch was kept."""
    return "the epoch with the best balanced accuracy on the validation split was kept."


def _views(views: int) -> str:
    return {
        1: "One view of it is run.",
        2: "The picture and its mirror image are run, and their logits averaged.",
        8: "The picture and its mirror image are run in all four quarter turns, and their logits averaged.",
    }[views]


def _paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), LINE_LENGTH, break_long_words=False, break_on_hyphens=False)


def _balance(balance: Mapping[str, float]) -> str:
    words = []
    if balance["sampling_power"]:
        words.append(f"rare diagnoses drawn more often (power {balance['sampling_power']:g})")
    if balance["weight_power"]:
        words.append(f"rare diagnoses weighing more (power {balance['weight_power']:g})")
    if balance["logit_adjustment"]:
        words.append(f"logits adjusted by {balance['logit_adjustment']:g} times the log share (Menon et al. 2021)")
    return " and ".join(words) or "diagnoses as frequent as they come"


def _data(dataset: Mapping[str, Any], split: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{name} {split['pictures'][name]:,}" for name in SPLITS)
    text = f"""`{dataset["name"]}`: {dataset["pictures"]:,} pictures, fingerprint `{dataset["fingerprint"][:16]}…`.
        Split by lesion, stratified by diagnosis, seed {split["seed"]}, fingerprint `{split["fingerprint"][:16]}…`:
        {counts} pictures. No lesion, and no exact copy of a file, is on two sides. The calibration split gave
        temperature and thresholds. Nothing was fitted to the test split; what was known of it when settings were
        chosen is for a training log to say."""
    return f"## Data and split\n\n{_paragraph(text)}"


def _figures(bundle: Bundle) -> str:
    figures, temperature = bundle.manifest.metrics, bundle.manifest.temperature
    codes = list(Diagnosis)
    per_diagnosis = "\n".join(
        f"| {code.full_name} ({code}) | {row['pictures']} | {_interval(row['sensitivity'])} | "
        f"{_number(row['specificity'])} | {_number(row['precision'])} | {_number(row['auc'])} |"
        for code in codes
        for row in (figures["per_diagnosis"][code.value],)
    )
    points = "\n".join(
        f"| {name} | {point['threshold']:.3f} | {_interval(point['sensitivity'])} | {_interval(point['specificity'])} |"
        for name, point in sorted(figures["operating_points"].items())
    )
    confusion = "\n".join(
        f"| **{code}** | " + " | ".join(map(str, row)) + " |"
        for code, row in zip(codes, figures["confusion"], strict=True)
    )
    loss, error = figures["log_loss"], figures["expected_calibration_error"]
    baseline = _number(figures["majority_baseline"])
    return f"""## Measured on the test split

{figures["pictures"]:,} pictures; brackets are bootstrap 95 % intervals. Chance is a balanced accuracy of 0.125.

| figure | value |
| --- | --- |
| balanced accuracy (the ISIC 2019 metric) | **{_interval(figures["balanced_accuracy"])}** |
| accuracy | {_interval(figures["accuracy"])}; always the most frequent diagnosis: {baseline} |
| AUC, cancer (MEL, BCC, SCC) against the rest | {_interval(figures["malignant_auc"])} |
| mean one-against-rest AUC | {_number(figures["mean_class_auc"])} |
| log loss before, after temperature {temperature:.3f} | {_number(loss["before"])}, {_number(loss["after"])} |
| expected calibration error before, after | {_number(error["before"])}, {_number(error["after"])} |

| diagnosis | pictures | sensitivity | specificity | precision | AUC |
| --- | --- | --- | --- | --- | --- |
{per_diagnosis}

Thresholds on the malignant score, chosen on the calibration split, measured here:

| operating point | threshold | sensitivity | specificity |
| --- | --- | --- | --- |
{points}

Confusion (row: truth, column: called):

| | {" | ".join(codes)} |
| --- |{" --- |" * len(codes)}
{confusion}"""


def _assessment(bundle: Bundle) -> str:
    block, figures = bundle.manifest.assessment, bundle.manifest.metrics
    parts = ["## What is said of a photo"]
    if "decision" in block:
        parts += _decision(block["decision"], figures["decision"])
    if "score" in block:
        parts += _score(block["score"])
    if "conformal" in block:
        parts.append(_sets(block["conformal"], figures["prediction_set"]))
    if "gates" in figures:
        parts.append(_gates(block, figures["gates"]))
    return "\n\n".join(parts)


def _decision(chosen: Mapping[str, Any], figures: Mapping[str, Any]) -> list[str]:
    text = f"""The advice goes by the malignant score. "Soon" (or more urgent) is the highest threshold that found 90 %
        of the cancers and 90 % of the melanomas of the calibration split ({chosen["soon"]["sensitivity"]:.3f} and
        {chosen["soon"]["melanoma_sensitivity"]:.3f} there); an actinic keratosis as most probable diagnosis is "soon"
        as well. "Urgent" is the lowest that kept 90 % of the benign lesions out ({chosen["urgent"]["specificity"]:.3f}
        there). On the test split, refused pictures included:"""
    rows = "\n".join(
        f"| {words} | {figures[name]['threshold']:.3f} | {_interval(figures[name]['sensitivity'])} | "
        f"{_interval(figures[name]['melanoma_sensitivity'])} | {_interval(figures[name]['specificity'])} | "
        f"{_interval(figures[name]['precision'])} |"
        for name, words in (("soon", "soon or urgent"), ("urgent", "urgent"))
    )
    counted = "\n".join(
        f"| {words}, AK counted as a cancer | | {_interval(row['sensitivity'])} | | {_interval(row['specificity'])} | "
        f"{_interval(row['precision'])} |"
        for name, words in (("soon", "soon or urgent"), ("urgent", "urgent"))
        for row in (figures[name]["with_precursor"],)
    )
    table = f"""| advice | threshold | cancers found | melanomas found | specificity | precision |
| --- | --- | --- | --- | --- | --- |
{rows}
{counted}"""
    return [_paragraph(text), table]


def _score(entries: Any) -> list[str]:
    rows = "\n".join(
        f"| {entry['score']} | {entry['from']:.3f} to {entry['to']:.3f} | {entry['pictures']} | {entry['malignant']} | "
        f"{_interval({'value': entry['share'], 'low': entry['low'], 'high': entry['high']})} |"
        for entry in entries
    )
    text = """The score from 1 to 10 is a step of the malignant score; 5 and 8 are the thresholds of "soon" and
        "urgent". Its steps are of the calibration split, the share of cancers at each is of the test split:"""
    return [
        _paragraph(text),
        f"| score | malignant score | pictures | cancers | share |\n| --- | --- | --- | --- | --- |\n{rows}",
    ]


def _sets(conformal: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    by_code = ", ".join(f"{code} {_number(row['value'])}" for code, row in figures["coverage_by_diagnosis"].items())
    text = f"""Prediction sets (split conformal, by diagnosis, rare diagnoses together) are meant to hold the truth in
        {conformal["coverage"]:.0%} of photos. On the test split they do in {_interval(figures["coverage"])}
        ({by_code}), with {figures["mean_size"]:.2f} diagnoses on average; {conformal["test_wide_share"]:.1%} hold more
        than {conformal["size_max"]} and are called uncertain."""
    return _paragraph(text)


def _gates(block: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    familiarity = block.get("familiarity")
    limit = f"; unfamiliar above {familiarity['limit']:.2f} ({familiarity['method']})" if familiarity else ""
    text = f"""Of the test pictures {_interval(figures["not_assessed"])} are refused an assessment, of the cancers among
        them {_interval(figures["not_assessed_malignant"])}: quality {_interval(figures["quality"])}, unfamiliar
        {_interval(figures["familiarity"])}{limit}. What else they refuse (animals, documents, bare skin, noise) is
        tested on some dozens of pictures, not on what people really upload by mistake."""
    return _paragraph(text)


def _limits(bundle: Bundle) -> str:
    counts = {code: row["pictures"] for code, row in bundle.manifest.metrics["per_diagnosis"].items()}
    rarest = sorted(Diagnosis, key=lambda code: counts[code.value])[:4]
    few = ", ".join(f"{code} {counts[code.value]}" for code in rarest)
    return f"""## What to keep in mind

- A classifier that gives rare diagnoses their say names them more often than they occur; their precision is low for
  that reason. Confidence is calibrated on this data set's mixture, not on a clinic's.
- The ISIC pictures are dermoscopic, come from few clinics and show mostly fair skin; no column tells skin tone. A photo
  taken without a dermatoscope is another kind of picture, and nothing here says how the classifier does on it.
- A ninth diagnosis still gets one of the eight names, and of pictures of something else entirely only those go unnamed
  that are far from every training picture.
- Some figures rest on few test pictures: {few}.
- The heatmap shows where in a coarse grid the evidence for the answer lies, not why."""


def _number(value: float | None) -> str:
    return "too few to say" if value is None else f"{value:.3f}"


def _interval(figure: Mapping[str, float | None]) -> str:
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None or low is None or high is None:
        return _number(value)
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
