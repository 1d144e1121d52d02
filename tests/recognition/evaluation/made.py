"""A made classifier on made lesions."""

import numpy as np

SHARES = (0.15, 0.5, 0.1, 0.05, 0.1, 0.04, 0.03, 0.03)


def made_lesions(*, seed: int, lesions: int = 200, pictures: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (N,), lesions (N,) of one to `pictures` pictures, probabilities (N, 8) alike within a lesion."""
    generator = np.random.default_rng(seed)
    diagnosis = np.r_[np.arange(8), generator.choice(8, lesions - 8, p=SHARES)]
    lesion = np.repeat(np.arange(lesions), generator.integers(1, pictures + 1, lesions))
    generator.shuffle(lesion)
    logits = generator.normal(size=(lesions, 8))[lesion] + 0.3 * generator.normal(size=(lesion.size, 8))
    labels = diagnosis[lesion]
    powers = np.exp(logits + 1.2 * np.eye(8)[labels])
    return labels, np.array([f"L{each}" for each in lesion]), powers / powers.sum(axis=1, keepdims=True)
