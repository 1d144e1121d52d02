"""Own what a command says of a bundle that it has sealed from files, outside the registry."""

from diagnoses.inference.bundle import Bundle


def sealed_words(bundle: Bundle) -> str:
    """Where the bundle is and what identifies it, two lines; no figure of the test split.

    Input size and views may still have to be chosen (`reseal_classifier --compare`), and a figure that has been seen
    cannot be unseen.
    """
    return (
        f"Sealed {bundle.version} in {bundle.directory} (sha256 {bundle.sha256}).\n"
        "Its figures on the test split are in manifest.json and in the model card (write_model_card): "
        "to be read when nothing is left to choose."
    )
