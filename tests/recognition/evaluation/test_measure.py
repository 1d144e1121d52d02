"""The figures of a split, of the advice and of subgroups, compared with counting by hand."""

import json
import time

import numpy as np
import pandas as pd
import pytest

from recognition.evaluation import bootstrap, metrics
from recognition.evaluation.bootstrap import paired_differences
from recognition.evaluation.measure import (
    FEWEST_LESIONS,
    advice_metrics,
    main_figures,
    main_metrics,
    metrics_of,
    nested,
    split_metrics,
)
from recognition.evaluation.subgroups import NOT_GIVEN, subgroups, values_of
from recognition.inference.assessment import Decision
from recognition.inference.bundle import OperatingPoint
from recognition.taxonomy import CODES
from tests.recognition.evaluation.made import made_lesions

MEL, NV, BCC, AK = (CODES.index(code) for code in ("MEL", "NV", "BCC", "AK"))


def said(labels: np.ndarray, *, seed: int) -> list[str]:
    """Advice (N) that is right more often than not; one in eight is refused."""
    generator = np.random.default_rng(seed)
    words = np.array(["monitor", "soon", "urgent"])
    rank = np.clip(metrics.is_malignant(labels) + generator.integers(-1, 2, labels.size), 0, 2)
    return [str(each) for each in np.where(generator.random(labels.size) < 1 / 8, "not_assessed", words[rank])]


class TestSplit:
    def test_the_balanced_table_gives_the_official_metric_and_the_served_one_all_others(self) -> None:
        labels, groups, table = made_lesions(seed=1)
        balanced = table / np.bincount(labels, minlength=8)
        balanced /= balanced.sum(axis=1, keepdims=True)
        found = split_metrics(labels, table, balanced=balanced, groups=groups, rounds=50)
        assert found["balanced_accuracy"]["value"] == pytest.approx(metrics.balanced_accuracy(labels, balanced))
        assert found["balanced_accuracy"]["value"] != pytest.approx(metrics.balanced_accuracy(labels, table))
        assert found["accuracy"]["value"] == pytest.approx((table.argmax(axis=1) == labels).mean())
        assert found["balanced"]["accuracy"]["value"] == pytest.approx((balanced.argmax(axis=1) == labels).mean())
        assert found["balanced"]["confusion"] == metrics.confusion(labels, balanced).tolist()
        assert found["confusion"] == metrics.confusion(labels, table).tolist()
        of_balanced = metrics.sensitivities(labels, balanced)
        for at, code in enumerate(CODES):
            assert found["balanced"]["sensitivity"][code]["value"] == pytest.approx(of_balanced[at])
        assert found["malignant_auc"]["value"] == pytest.approx(metrics.malignant_auc(labels, table))
        assert found["lesions"] == np.unique(groups).size < found["pictures"] == labels.size
        melanoma = found["per_diagnosis"]["MEL"]
        assert melanoma["lesions"] == np.unique(groups[labels == MEL]).size < melanoma["pictures"]
        json.dumps(found, allow_nan=False)

    def test_only_log_loss_and_calibration_errors_are_weighted(self) -> None:
        labels, groups, table = made_lesions(seed=2)
        weights = np.array([1.0, 9, 1, 1, 2, 1, 1, 1])[labels]
        weights /= weights.mean()
        plain, mixed = (
            split_metrics(labels, table, uncalibrated=table, groups=groups, weights=each, rounds=20)
            for each in (None, weights)
        )
        different = {name for name in plain if plain[name] != mixed[name]}
        assert different == {"log_loss", "malignant_calibration_error", "classwise_calibration_error"}
        surprise = metrics.surprise(labels, table)
        assert mixed["log_loss"]["after"]["value"] == pytest.approx((weights * surprise).mean())
        by_chance = [each["malignant_calibration_error"]["by_chance"] for each in (plain, mixed)]
        assert 0 < by_chance[0] < by_chance[1]
        assert mixed["log_loss"]["before"] == mixed["log_loss"]["after"]

    def test_what_was_not_given_is_left_out(self) -> None:
        labels, groups, table = made_lesions(seed=3)
        found = split_metrics(labels, table, groups=groups, rounds=20)
        assert "advice" not in found and found["operating_points"] == {}
        assert set(found["log_loss"]) == {"after"}

    def test_operating_points_and_rounding(self) -> None:
        labels, groups, table = made_lesions(seed=4)
        point = OperatingPoint("balanced", 0.4, 0.8, 0.8)
        found = split_metrics(labels, table, groups=groups, operating_points=(point,), rounds=20, decimals=2)
        rates = metrics.sensitivity_specificity(metrics.is_malignant(labels), metrics.malignant_score(table), 0.4)
        shown = found["operating_points"]["balanced"]
        assert [shown["threshold"], shown["sensitivity"]["value"], shown["specificity"]["value"]] == [
            0.4, *(round(rate, 2) for rate in rates),
        ]  # fmt: skip

    def test_a_diagnosis_nobody_has_is_null(self) -> None:
        labels, table = np.array([MEL, NV] * 20), np.full((40, 8), 0.125)
        found = split_metrics(labels, table, groups=None, rounds=20)
        assert found["per_diagnosis"]["SCC"]["auc"] == {"value": None, "low": None, "high": None}
        json.dumps(found, allow_nan=False)

    def test_a_thousand_rounds_over_1500_pictures_take_seconds(self) -> None:
        labels, groups, table = made_lesions(seed=5, lesions=900)
        begun = time.process_time()
        split_metrics(labels, table, balanced=table, uncalibrated=table, groups=groups, decisions=said(labels, seed=5))
        # Of the processor: 2 seconds; a hundred times as much with scikit-learn and a loop.
        assert time.process_time() - begun < 20


class TestAdvice:
    def test_by_hand(self) -> None:
        rows = [
            (MEL, "urgent"), (MEL, "soon"), (MEL, "monitor"), (MEL, "not_assessed"), (BCC, "soon"), (BCC, "urgent"),
            (NV, "monitor"), (NV, "monitor"), (NV, "not_assessed"), (NV, "soon"), (NV, "urgent"),
            (AK, "soon"),
        ]  # fmt: skip
        labels, decisions = np.array([label for label, _ in rows]), [decision for _, decision in rows]
        found = nested(
            {name: bootstrap.on_all(each, labels) for name, each in advice_metrics(labels, decisions).items()}
        )
        assert found["not_assessed"] == pytest.approx(2 / 12)
        assert found["not_assessed_malignant"] == pytest.approx(1 / 6)
        # Refused ones are missed on either side, or apart.
        assert found["soon"] == {
            "sensitivity": pytest.approx(4 / 6),
            "melanoma_sensitivity": pytest.approx(2 / 4),
            "specificity": pytest.approx(2 / 6),
            "precision": pytest.approx(4 / 7),
            "assessed": {
                "sensitivity": pytest.approx(4 / 5),
                "melanoma_sensitivity": pytest.approx(2 / 3),
                "specificity": pytest.approx(2 / 5),
            },
            "with_precursor": {
                "sensitivity": pytest.approx(5 / 7),
                "specificity": pytest.approx(2 / 5),
                "precision": pytest.approx(5 / 7),
            },
        }
        assert found["urgent"]["sensitivity"] == pytest.approx(2 / 6)
        assert found["urgent"]["specificity"] == pytest.approx(4 / 6)
        assert found["urgent"]["assessed"]["specificity"] == pytest.approx(4 / 5)

    def test_decisions_may_be_members_or_their_words(self) -> None:
        labels = np.array([MEL, NV])
        for decisions in ([Decision.SOON, Decision.NOT_ASSESSED], ["soon", "not_assessed"]):
            found = advice_metrics(labels, decisions)
            assert bootstrap.on_all(found["soon.sensitivity"], labels) == 1.0
            assert bootstrap.on_all(found["not_assessed"], labels) == 0.5

    def test_it_is_part_of_the_split_with_intervals_by_lesion(self) -> None:
        labels, groups, table = made_lesions(seed=6)
        found = split_metrics(labels, table, groups=groups, decisions=said(labels, seed=6), rounds=50)
        figure = found["advice"]["soon"]["assessed"]["sensitivity"]
        assert figure["low"] < figure["value"] < figure["high"]


class TestMainFigures:
    def test_they_are_those_of_the_advice_at_soon(self) -> None:
        labels, groups, table = made_lesions(seed=7)
        decisions, weights = said(labels, seed=7), np.ones(labels.size)
        found = main_figures(labels, table, groups=groups, decisions=decisions, weights=weights, rounds=50)
        whole = split_metrics(labels, table, groups=groups, decisions=decisions, rounds=50)
        for rate in ("sensitivity", "melanoma_sensitivity", "specificity"):
            assert found[rate]["value"] == whole["advice"]["soon"][rate]["value"]
        assert found["not_assessed"]["value"] == whole["advice"]["not_assessed"]["value"]
        assert found["malignant_auc"]["value"] == whole["malignant_auc"]["value"]
        assert found["malignant_calibration_error"]["value"] == whole["malignant_calibration_error"]["after"]["value"]
        cancers = metrics.is_malignant(labels)
        assert (found["pictures"], found["malignant_lesions"]) == (labels.size, np.unique(groups[cancers]).size)

    def test_with_the_balanced_table_they_have_its_balanced_accuracy(self) -> None:
        labels, groups, table = made_lesions(seed=8)
        balanced = np.roll(table, 1, axis=1)
        found = main_figures(
            labels, table, balanced=balanced, groups=groups, decisions=["soon"] * labels.size, rounds=20
        )
        assert found["balanced_accuracy"]["value"] == pytest.approx(metrics.balanced_accuracy(labels, balanced))

    @pytest.mark.parametrize("cancers", [FEWEST_LESIONS - 1, FEWEST_LESIONS])
    def test_too_few_lesions_say_nothing_however_many_pictures(self, cancers: int) -> None:
        labels = np.r_[np.full(cancers * 4, BCC), np.full(40, NV)]
        groups = np.r_[np.repeat(np.arange(cancers), 4), 1000 + np.arange(40)]
        table = np.random.default_rng(1).dirichlet(np.ones(8), labels.size)
        found = main_figures(labels, table, groups=groups, decisions=["soon"] * labels.size, rounds=10)
        missing = {name for name, figure in found.items() if figure is None}
        of_cancers = {"sensitivity", "malignant_auc", "malignant_calibration_error"}
        assert missing == {"melanoma_sensitivity"} | (of_cancers if cancers < FEWEST_LESIONS else set())
        assert found["specificity"]["value"] == 0.0

    def test_two_classifiers_are_compared_by_the_same_names(self) -> None:
        labels, groups, table = made_lesions(seed=8)
        new, live = (main_metrics(labels, table, decisions=said(labels, seed=seed)) for seed in (1, 2))
        found = paired_differences(new, live, labels, groups, rounds=50)
        assert set(found) == set(new)
        assert found["malignant_auc"].value == 0.0
        every = metrics_of(labels, table, balanced=table, decisions=said(labels, seed=1))
        assert {"advice.soon.sensitivity", "malignant_auc", "malignant_calibration_error.after"} <= set(every)


class TestSubgroups:
    def test_each_has_the_figures_of_its_pictures_alone(self) -> None:
        labels, groups, table = made_lesions(seed=9, lesions=400)
        decisions, weights = said(labels, seed=9), np.random.default_rng(1).random(labels.size) + 0.5
        sex = np.random.default_rng(2).choice(["male", "female", NOT_GIVEN], labels.size, p=[0.55, 0.43, 0.02])
        found = subgroups(
            {"sex": sex.tolist(), "skin_tone": [NOT_GIVEN] * labels.size},
            labels, table, groups=groups, decisions=decisions, weights=weights, rounds=20,
        )  # fmt: skip
        # In the order of the vocabulary; skin tone is not known of anybody.
        assert [(each["kind"], each["name"]) for each in found] == [
            ("sex", "male"), ("sex", "female"), ("sex", NOT_GIVEN),
        ]  # fmt: skip
        women = sex == "female"
        alone = main_figures(
            labels[women], table[women], groups=groups[women], weights=weights[women], rounds=20,
            decisions=[decision for decision, chosen in zip(decisions, women, strict=True) if chosen],
        )  # fmt: skip
        assert found[1] == {"kind": "sex", "name": "female", **alone}
        assert found[2]["sensitivity"] is None

    def test_the_values_of_a_table(self) -> None:
        table = pd.DataFrame(
            {
                "sex": ["female", None, "male"],
                "age_approx": [30.0, np.nan, 85.0],
                "anatom_site_general": ["head/neck", None, "palms/soles"],
                "lesion_id": ["HAM_0000001", "", "PAT_12_34"],
                "details": [{"lesion_id": "IL_0000652", "skin_tone_class": 1}, {}, {"fitspatrick": 2}],
            }
        )
        assert values_of(table) == {
            "sex": ["female", NOT_GIVEN, "male"],
            "age": ["30 to 44", NOT_GIVEN, "75 to 120"],
            "site": ["head/neck", NOT_GIVEN, "palms/soles"],
            "skin_tone": ["1", NOT_GIVEN, NOT_GIVEN],
            "source": ["MILK10k", NOT_GIVEN, "PAD-UFES-20"],
        }
        without = values_of(table[["sex", "age_approx", "anatom_site_general"]])
        assert without["source"] == without["skin_tone"] == [NOT_GIVEN] * 3
