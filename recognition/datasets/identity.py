"""The names by which the pictures of a data set are known elsewhere: image, file, lesion and patient."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recognition.datasets.layouts import isic_id
from recognition.inference.learned import PictureIds

if TYPE_CHECKING:
    import pandas as pd


def picture_ids(table: "pd.DataFrame", images: Sequence[str]) -> list[PictureIds]:
    """The names of each image, in the order of `images`; `table` is that of `Examples`.

    Raises KeyError for an image that is not in the table.
    """
    rows = table.set_index("image").loc[list(images)]
    details: Sequence[Any] = rows["details"].tolist() if "details" in rows else [None] * len(rows)
    return [
        ids_of(str(image), *names)
        for image, *names in zip(
            rows.index, rows["sha256"], rows["lesion_id"], rows["patient_id"], details, strict=True
        )
    ]


def ids_of(
    image: str, file: str | None, lesion: str | None, patient: str | None, details: Mapping[str, Any] | None
) -> PictureIds:
    """The names of one picture. `details` holds the id that its lesion had before data sets were joined."""
    earlier = (details or {}).get("lesion_id")
    lesions = tuple(str(each) for each in dict.fromkeys((lesion, earlier)) if each)
    return PictureIds(isic_id(image), file or "", lesions, patient or "")
