"""The body map: every point of the body is in a region, every region contains its centre, every site has a region."""

from diagnoses.lesions import bodymap
from diagnoses.lesions.models import BodyView
from recognition.taxonomy import SITES


def test_every_point_of_the_body_lies_in_a_region() -> None:
    for view in BodyView:
        beside = [
            (x, y)
            for x in range(0, bodymap.WIDTH, 3)
            for y in range(0, bodymap.HEIGHT, 3)
            if bodymap._holds(bodymap.OUTLINE, (x + 0.5, y + 0.5))
            and bodymap.region_at(view, (x + 0.5) / bodymap.WIDTH, (y + 0.5) / bodymap.HEIGHT) is None
        ]
        assert not beside


def test_a_region_holds_its_own_centre_and_the_centre_lies_on_the_body() -> None:
    for region in bodymap.REGIONS:
        assert bodymap.region_at(region.view, *region.share) is region
        assert bodymap._holds(bodymap.OUTLINE, region.centre), region.key


def test_the_drawings_show_every_site_of_the_metadata_and_no_other() -> None:
    assert {region.site for region in bodymap.REGIONS} == set(SITES)
    assert {region.view for region in bodymap.REGIONS} == set(BodyView.values)
    assert len(bodymap.BY_KEY) == len(bodymap.REGIONS)


def test_left_is_the_persons_own_left() -> None:
    """On the front the person's right is to the viewer's left, on the back it is the other way round."""
    assert bodymap.BY_KEY["front-right-arm"].centre[0] < bodymap.MIDDLE < bodymap.BY_KEY["front-left-arm"].centre[0]
    assert bodymap.BY_KEY["back-left-arm"].centre[0] < bodymap.MIDDLE < bodymap.BY_KEY["back-right-arm"].centre[0]


def test_beside_the_body_is_no_region() -> None:
    for view in BodyView:
        assert bodymap.region_at(view, 0.02, 0.02) is not None or not bodymap._holds(bodymap.OUTLINE, (4, 10))
        assert bodymap.region_at(view, 0.5, 1.5) is None
        assert bodymap.region_at(view, -0.5, 0.5) is None
    assert bodymap.region_at("inside", 0.5, 0.3) is None
