"""The batches of fine-tuning: augmented pictures and mixup; and those of the validation split.

A batch depends on seed, epoch and index alone, so a resumed run gets the same batches.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognition.fit.augment import augmented
from recognition.fit.learning_pictures import References
from recognition.fit.prefetch import Prefetched
from recognition.inference.preprocessing import to_input
from recognition.recipes import FineTunePhase, Recipe


def batches(
    references: References,
    truth: NDArray[np.float32],
    *,
    weights: NDArray[np.float32],
    order: NDArray[np.int64],
    recipe: Recipe,
    phase: FineTunePhase,
    epoch: int,
) -> Any:
    """One epoch as a Keras data set of (pixels float32 (B, S, S, 3), truth (B, 16), weights (B,)).

    `references` are N pictures, `truth` (N, 16) is that of `balance.targets`, `weights` is (N,), `order` gives the rows
    of the epoch. Threads make the batches ahead. An incomplete batch at the end is left out.
    """
    import keras

    def made(index: int) -> list[NDArray[np.float32]]:
        """Pixels, truth and weights of a batch."""
        rows = order[index * phase.batch_size : (index + 1) * phase.batch_size]
        generator = np.random.default_rng([recipe.seed, 202, epoch, index])
        pixels = np.stack(
            [
                augmented(
                    references[row],
                    input_size=recipe.architecture.input_size,
                    augmentation=phase.augmentation,
                    generator=generator,
                )
                for row in rows
            ]
        )
        parts = [pixels, truth[rows], weights[rows]]
        return mixed(parts, alpha=phase.mixup_alpha, generator=generator) if phase.mixup_alpha else parts

    ready = Prefetched(made, len(order) // phase.batch_size)

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
        def __len__(self) -> int:
            return len(ready)

        def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
            pixels, answers, weight = ready[index]
            return pixels, answers, weight

        @property
        def failed(self) -> Exception | None:
            return ready.failed

    return Batches()


def validation_batches(references: References, *, input_size: int, batch_size: int) -> Any:
    """The pixels of all pictures in order, as a Keras data set for `predict`; as in `batches`, not augmented.

    All batches are full, because several devices and TensorFlow's data sets need that: the last one is filled with its
    first picture. The caller leaves out the answers beyond the last picture.
    """
    import keras

    count = len(references)

    def made(index: int) -> tuple[Any]:
        rows = np.arange(index * batch_size, (index + 1) * batch_size)
        rows[rows >= count] = rows[0]
        pixels = {row: to_input(references[row], input_size=input_size) for row in set(rows.tolist())}
        return (np.stack([pixels[row] for row in rows.tolist()]),)

    ready = Prefetched(made, -(-count // batch_size))

    class ValidationBatches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
        def __len__(self) -> int:
            return len(ready)

        def __getitem__(self, index: int) -> tuple[Any]:
            return ready[index]

        @property
        def failed(self) -> Exception | None:
            return ready.failed

    return ValidationBatches()


@contextmanager
def own_errors(drawn: Any) -> Iterator[None]:
    """A context manager for Keras reading `drawn`, the result of `batches` or `validation_batches`.

    TensorFlow puts an error of its data set, such as ExamplesError, into an UnknownError. Here the error itself is
    raised. Other errors, such as those of a report, pass through.
    """
    try:
        yield
    except Exception as error:
        if drawn.failed is not None and type(error).__module__.startswith("tensorflow."):
            raise drawn.failed from error
        raise


def mixed(
    parts: Sequence[NDArray[np.float32]], *, alpha: float, generator: np.random.Generator
) -> list[NDArray[np.float32]]:
    """Mixup (Zhang et al. 2018): every row blended with another row of the batch, in all parts alike.

    The share of each row is drawn from Beta(alpha, alpha); the partners are a permutation. Labels still add up to 1.
    """
    count = len(parts[0])
    shares = generator.beta(alpha, alpha, size=count).astype(np.float32)
    partners = generator.permutation(count)

    def blended(part: NDArray[np.float32]) -> NDArray[np.float32]:
        share = shares.reshape(-1, *[1] * (part.ndim - 1))
        return np.asarray(share * part + (1.0 - share) * part[partners], dtype=np.float32)

    return [blended(part) for part in parts]
