"""`manage.py measure_metadata`: what answers are worth, learned and measured by one command."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from django.core.management import CommandError, call_command

from recognition.datasets.joined import write_joined
from recognition.datasets.pictures import PictureStore
from recognition.datasets.splits import split_examples
from recognition.taxonomy import CLOSE_UP
from tests.factories import write_dataset
from training.data.reading import read_learning_data


def said(capsys: pytest.CaptureFixture[str], **options: Any) -> list[str]:
    call_command("measure_metadata", **options)
    return capsys.readouterr().out.splitlines()


def auc(lines: list[str], row: str) -> float:
    return float(next(line for line in lines if line.startswith(f"  {row} ")).removeprefix(f"  {row}").split()[0])


def test_answers_of_training_rows_are_learned_and_measured_on_the_test_split(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_dataset(tmp_path / "official")
    data = read_learning_data(folder)
    table = data.examples.table.assign(member=lambda rows: rows["image"] + ".jpg", image_type=CLOSE_UP)
    cancer = table["diagnosis"].isin(["MEL", "BCC", "SCC"])
    # All cancers bleed, and a few others do.
    bleeds = cancer | (table.index % 6 == 0)
    answers = [{"bleed": str(bool(each)), "itch": "UNK"} for each in bleeds]
    table["details"] = pd.Series(answers, index=table.index, dtype=object)
    table["split"] = table["image"].map(split_examples(table).assignment)
    bare = table[(table["split"] == "train") & (table["diagnosis"] == "MEL")].head(3)
    bare = bare.assign(image=[f"BARE{at}" for at in range(3)], sha256="", member="", lesion_id=None)
    with data.pictures as pictures:
        assert isinstance(pictures, PictureStore)
        write_joined(tmp_path / "joined", pd.concat([table, bare]), pictures.content, name="asked", seed=1)
    trained = int((table["split"] == "train").sum())
    options = {"bundle": tiny_bundle, "data": tmp_path / "joined", "work": tmp_path / "work"}
    lines = said(capsys, **options)
    assert f"Table learned from {trained + 3} training rows, 3 of them without a picture" in lines[0]
    assert lines[0].endswith("fields: age_approx, sex, anatom_site_general, bleed.")
    tested = int((table["split"] == "test").sum())
    (asked,) = [line for line in lines if line.startswith("photos whose patients were asked: ")]
    assert f" {tested} pictures of " in asked
    assert "dermoscopic: none in the test split." in lines
    assert auc(lines, "with the six answers") > auc(lines, "picture alone")
    assert auc(lines, "both, without any picture") > 0.8
    assert said(capsys, **options) == lines, "the answers of the network are kept, and the intervals are the same"
    balanced = said(capsys, **options, case_mix="balanced")
    assert balanced[0] == lines[0] and balanced[1].endswith("for the case mix balanced.")


def test_official_files_and_what_cannot_be_read(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_dataset(tmp_path / "official", per_diagnosis=8)
    lines = said(capsys, bundle=tiny_bundle, data=folder, work=tmp_path / "work")
    assert "photos whose patients were asked: none in the test split." in lines
    assert any(line.startswith("dermoscopic: ") and "8 of 8 diagnoses" in line for line in lines)
    with pytest.raises(CommandError, match="nowhere"):
        call_command("measure_metadata", bundle=tmp_path / "nowhere", data=folder)
