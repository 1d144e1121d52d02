"""Sites of the ISIC archive, named by their path, become the words of ISIC 2019."""

import pytest

from recognition.datasets.sites import MILK10K_SITES, PAD_UFES_REGIONS, site_of_path
from recognition.taxonomy import SITES


@pytest.mark.parametrize(
    ("path", "site"),
    [
        ("Head and neck", "head/neck"),
        ("Head and neck:Head:Face:Nose", "head/neck"),
        ("Head and neck:Head:Face:Mouth", "oral/genital"),
        ("Trunk:Anterior trunk:Anterior chest:Breast", "anterior torso"),
        ("Trunk:Posterior trunk", "posterior torso"),
        ("Trunk:Lateral trunk:Axilla", "lateral torso"),
        ("Trunk", None),  # no word of ISIC 2019 means a torso of unknown side
        ("Upper extremity:Forearm:Volar forearm", "upper extremity"),
        ("Upper extremity:Hand", "palms/soles"),
        ("Upper extremity:Hand:Palm of hand:Central palm", "palms/soles"),
        ("Upper extremity:Hand:Dorsum of hand:Knuckles", "upper extremity"),
        ("Lower extremity:Thigh", "lower extremity"),
        ("Lower extremity:Foot:Sole of foot:Heel", "palms/soles"),
        ("Lower extremity:Foot:Dorsum of foot", "lower extremity"),
        ("Anogenital region:Genital region:Vulva", "oral/genital"),
        ("", None),
    ],
)
def test_a_path_names_a_site(path: str, site: str | None) -> None:
    words = path.split(":")
    assert site_of_path([*words, *[""] * (5 - len(words))]) == site


def test_the_special_site_goes_before_the_path() -> None:
    assert site_of_path(["Lower extremity"], "acral palms or soles") == "palms/soles"
    assert site_of_path(["Head and neck"], "oral or genital") == "oral/genital"
    assert site_of_path(["Lower extremity"], "toenail") == "lower extremity"


def test_an_unknown_region_has_no_site() -> None:
    with pytest.raises(KeyError):
        site_of_path(["synthetic"])


def test_every_site_is_a_word_of_isic_2019() -> None:
    assert {site for site in (*MILK10K_SITES.values(), *PAD_UFES_REGIONS.values()) if site} <= set(SITES)
