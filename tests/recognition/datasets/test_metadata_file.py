"""The file of metadata for `manage.py classify`: its words, and everything that is wrong with it at once."""

from pathlib import Path

import pytest

from recognition.datasets.metadata_file import read_metadata_file
from recognition.datasets.problems import ExamplesError
from recognition.inference.metadata import Metadata


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "about.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_column_is_read_and_what_is_empty_or_unk_is_unknown(tmp_path: Path) -> None:
    found = read_metadata_file(
        written(
            tmp_path,
            "image;sex;age_approx;anatom_site_general;itch;grew;hurt;changed;bleed;elevation;doctor\n"
            "Фото 1;female;54.5;palms/soles;True;FALSE;UNK;;false;TRUE;Li\n"
            "b;;;;;;;;;;\n",
        )
    )
    assert found.rows == {
        "Фото 1": Metadata(
            age_approx=54.5, sex="female", anatom_site_general="palms/soles",
            itch=True, grew=False, bleed=False, elevation=True,
        ),
        "b": Metadata(),
    }  # fmt: skip
    assert found.unread == ("doctor",) and found.lines == {"Фото 1": 2, "b": 3}
    assert not Metadata.words(found.rows["b"])


def test_any_of_the_columns_will_do(tmp_path: Path) -> None:
    assert read_metadata_file(written(tmp_path, "grew,image\nTrue,a\n")).rows == {"a": Metadata(grew=True)}


def test_every_problem_is_told_with_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "image,sex,age_approx,anatom_site_general,itch\n"
        "a,woman,54,leg,yes\nb,male,-3,,True\nb,male,3,,True\n,male,3,,True\nc,male\n",
    )
    with pytest.raises(ExamplesError) as failed:
        read_metadata_file(path)
    said = [str(problem) for problem in failed.value.problems]
    for line, words in (
        (2, "sex is 'woman'"), (2, "anatom_site_general is 'leg'"), (2, "itch is 'yes'; expected True, False or UNK"),
        (3, "age_approx is '-3'"), (4, "b is there twice; the first time on line 3"), (5, "no image name"),
        (6, "has 2 cells"),
    ):  # fmt: skip
        assert any(each.startswith(f"about.csv, line {line}:") and words in each for each in said), (line, words, said)
    assert len(said) == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("photo,sex\na,male\n", "has no column image"),
        ("image,colour\na,red\n", "has none of the columns age_approx, sex"),
        ("", "is empty"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ExamplesError, match=said):
        read_metadata_file(written(tmp_path, text))
    with pytest.raises(ExamplesError, match="cannot be read"):
        read_metadata_file(tmp_path / "nowhere.csv")
