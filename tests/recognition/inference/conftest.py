"""A real sealed bundle of the tiny network, for the whole session."""

from typing import Any

import pytest

from recognition.inference.bundle import Bundle
from recognition.inference.preprocessing import Preprocessing
from recognition.inference.sealing import draft_bundle
from tests.recognition.inference.colours import TINY, colour_network, seal


@pytest.fixture(scope="session")
def network() -> Any:
    return colour_network()


@pytest.fixture(scope="session")
def sealed(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    directory = tmp_path_factory.mktemp("bundles") / "colours"
    draft = draft_bundle(network, architecture=TINY, preprocessing=Preprocessing(TINY.input_size), beside=directory)
    return seal(draft, directory)
