"""The metadata head: an unknown field adds nothing, and a known one adds nothing on average."""

import numpy as np
import pytest

from recognition.inference.metadata import FIELDS, KERNEL, MEAN, WIDTH, Metadata, MetadataHead, described
from recognition.taxonomy import SEXES, SITES

RANDOM = np.random.default_rng(5)


def people(count: int) -> list[Metadata]:
    """Records of which some lack some fields, as in ISIC 2019."""
    return [
        Metadata(
            age_approx=None if number % 7 == 0 else float(RANDOM.integers(0, 90)),
            sex=None if number % 5 == 0 else SEXES[number % 2],
            anatom_site_general=None if number % 3 == 0 else SITES[int(RANDOM.integers(len(SITES)))],
        )
        for number in range(count)
    ]


def trained(records: list[Metadata]) -> MetadataHead:
    head = MetadataHead.untrained(described(records))
    return MetadataHead(RANDOM.normal(0, 0.3, head.kernel.shape).astype(np.float32), head.mean)


@pytest.mark.parametrize(
    "record",
    [
        None,
        Metadata(),
        Metadata(age_approx=float("nan"), sex="", anatom_site_general=""),
        Metadata(age_approx=-3, sex="other", anatom_site_general="elbow"),
    ],
)
def test_what_is_unknown_adds_exactly_nothing(record: Metadata | None) -> None:
    contribution = trained(people(200)).contribution([record, *people(3)])
    assert contribution.shape == (4, 8)
    assert contribution[0].tolist() == [0.0] * 8
    assert np.abs(contribution[1:]).max() > 0.1


def test_that_a_field_is_known_adds_nothing_on_average_over_the_training_pictures() -> None:
    records = people(600)
    head = trained(records)
    for name in FIELDS:
        alone = [Metadata(**{name: getattr(record, name)}) for record in records if getattr(record, name) is not None]
        contribution = head.contribution(alone)
        assert np.abs(contribution.mean(axis=0)).max() < 1e-4
        assert np.abs(contribution).max() > 0.1  # while what it says does matter


def test_fields_add_up_and_an_age_beyond_the_data_is_the_oldest_in_them() -> None:
    head = trained(people(200))
    age, sex, site = Metadata(age_approx=62), Metadata(sex="female"), Metadata(anatom_site_general="head/neck")
    together = Metadata(62, "female", "head/neck")
    assert head.contribution([together])[0] == pytest.approx(head.contribution([age, sex, site]).sum(axis=0), abs=1e-4)
    assert np.array_equal(*head.contribution([Metadata(85), Metadata(110)])[:, None])
    assert not np.array_equal(*head.contribution([Metadata(40), Metadata(70)])[:, None])


def test_an_untrained_head_adds_nothing_and_tensors_give_a_head_back() -> None:
    records = people(50)
    assert not MetadataHead.untrained(described(records)).contribution(records).any()
    head = trained(records)
    again = MetadataHead.from_tensors(head.as_tensors())
    assert np.array_equal(again.contribution(records), head.contribution(records))
    with pytest.raises(KeyError):
        MetadataHead.from_tensors({KERNEL: head.kernel})
    with pytest.raises(ValueError, match="shapes"):
        MetadataHead.from_tensors({KERNEL: head.kernel[:3], MEAN: head.mean})
    with pytest.raises(ValueError, match="finite"):
        MetadataHead(head.kernel * np.float32("nan"), head.mean)


def test_a_field_that_no_training_picture_has_can_be_asked_for() -> None:
    head = MetadataHead.untrained(described([Metadata(age_approx=50)] * 3))
    assert head.mean.shape == (WIDTH,)
    assert not head.contribution([Metadata(sex="male")]).any()
