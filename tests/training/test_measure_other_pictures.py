"""`manage.py measure_other_pictures`: how many pictures of no lesion are refused, by what they show."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from tests.factories import made_picture


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three grey walls, which have no detail, and two pictures that look like lesions; one file is broken."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for at in range(3):
        Image.new("RGB", (300, 300), (128, 128, 128)).save(folder / f"wall_{at}.png")
    for at in range(2):
        made_picture("NV", 70 + at).resize((300, 300)).save(folder / f"spot_{at}.png")
    (folder / "wall_3.png").write_bytes(b"no picture")
    (folder / "unnamed.png").write_bytes((folder / "wall_0.png").read_bytes())
    walls, spots = [f"wall_{at}.png,wall" for at in range(4)], [f"spot_{at}.png,spot" for at in range(2)]
    (tmp_path / "labels.csv").write_text("\n".join(["image,kind", *walls, *spots, "gone.png,wall"]))
    return folder


def test_refused_pictures_are_counted_by_what_they_show(
    tiny_bundle: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = pictures.parent / "labels.csv"
    call_command("measure_other_pictures", bundle=tiny_bundle, pictures=pictures, labels=labels)
    lines = capsys.readouterr().out.splitlines()
    assert "1 named pictures are not there" in lines[0]
    told = lines.index("nobody tells the kind (1 unreadable)")
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines[told + 1 : told + 5] if line}
    assert set(rows) == {"all", "spot", "wall"}
    assert rows["wall"].startswith("3 pictures: 1.000 (")
    assert rows["spot"].startswith("2 pictures: ")
    assert rows["all"].startswith("5 pictures: ")


def test_a_table_without_its_columns_or_pictures_is_a_sentence(
    tiny_bundle: Path, pictures: Path, tmp_path: Path
) -> None:
    table = tmp_path / "other.csv"
    table.write_text("image,what\nwall_0.png,wall\n")
    with pytest.raises(CommandError, match="kind"):
        call_command("measure_other_pictures", bundle=tiny_bundle, pictures=pictures, labels=table)
    table.write_text("image,kind\nnowhere.png,wall\n")
    with pytest.raises(CommandError, match="names none of these pictures"):
        call_command("measure_other_pictures", bundle=tiny_bundle, pictures=pictures, labels=table)
