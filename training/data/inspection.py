"""Own looking at every image of an import: all of it is read and decoded, hashed, measured, and put into the archive.

Every image that cannot be used is a fault, and the last one is looked at even if the first was broken, so that one
import shows all there is to mend.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognition.datasets.pictures import PICTURE_LIMITS, PictureStore
from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.progress import Progress, Report
from recognition.sandbox import PhotoRejected
from recognition.sandbox.decode import decode_photo
from recognition.sandbox.perceptual_hash_batch import content_hashes, miniature
from training.data.archive import ArchiveWriter

_REPORT_EVERY: Final = 20


@dataclass(slots=True)
class Inspected:
    """What was seen, one entry per image in the order given (empty where `problems` is not)."""

    sha256: list[str] = field(default_factory=list)
    content_hash: list[bytes] = field(default_factory=list)
    width: list[int] = field(default_factory=list)
    height: list[int] = field(default_factory=list)
    member: list[str] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)


def inspect_pictures(
    images: Sequence[tuple[str, int]],
    pictures: PictureStore,
    *,
    labels_file: str,
    archive: ArchiveWriter,
    report: Report,
) -> Inspected:
    """Read, decode, hash and archive the pictures of `images` (name, line of the ground truth).

    Faults are collected: a picture that is not there, cannot be read or does not decode. Raises DatasetImportError
    where the disk is full, and whatever `report` raises to stop.
    """
    seen = Inspected()
    miniatures: list[NDArray[np.float32]] = []
    for done, (image, line) in enumerate(images):
        # At the top, so that a row of broken pictures renews the lease and can be cancelled as well.
        if done % _REPORT_EVERY == 0:
            report(Progress("pictures", done, len(images)))
        if image not in pictures:
            seen.problems.append(FileProblem(labels_file, line, f"{image} has no picture in {pictures.place.name}."))
            continue
        try:
            content = pictures.content(image)
            decoded = decode_photo(content, limits=PICTURE_LIMITS)
        except ExamplesError as error:
            seen.problems += [
                FileProblem(fault.file, 0, f"{fault.reason} ({labels_file}, line {line})") for fault in error.problems
            ]
            continue
        except PhotoRejected as error:
            reason = f"is not a picture that can be used ({error.code}): {error.message} ({labels_file}, line {line})"
            seen.problems.append(FileProblem(pictures.name_of(image), 0, reason))
            continue
        seen.width.append(decoded.width)
        seen.height.append(decoded.height)
        miniatures.append(miniature(decoded.image))
        seen.sha256.append(hashlib.sha256(content).hexdigest())
        seen.member.append(f"{image}{PurePosixPath(pictures.name_of(image)).suffix.lower()}")
        if not seen.problems:
            # With a fault nothing will be kept; looking at the rest is still worth it.
            archive.add(seen.member[-1], content)
    report(Progress("pictures", len(images), len(images)))
    if miniatures:
        seen.content_hash = content_hashes(np.stack(miniatures))
    return seen
