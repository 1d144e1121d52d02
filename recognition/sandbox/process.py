"""The sandbox: decodes an untrusted file in a child process and returns the clean picture or a reason.

Decoders are C code that has had security holes. So every file is decoded in a new process with its own
limits and no secrets in its environment. The calling process reads headers, never pixels, and checks every
part of the child's reply.

Safe from any thread: the child sets its own limits, so no code runs between fork and exec.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from recognition.sandbox import child as sandbox_child
from recognition.sandbox.child import LENGTH_BYTES, REPLY_MAGIC
from recognition.sandbox.derivatives import is_clean_jpeg
from recognition.sandbox.header import read_header
from recognition.sandbox.perceptual_hash import HASH_BYTES
from recognition.sandbox.policy import MIB, REASONS, REFERENCE_LIMITS, IntakeLimits, PhotoRejected

#: Appended to sys.path, so that nothing in the checkout can shadow the standard library.
_START = f"import sys; sys.path += sys.argv[1:3]; from {sandbox_child.__name__} import main; main(sys.argv[3])"
#: One malloc arena: otherwise every thread reserves 64 MB of the limited address space. Large blocks are
#: returned at once: otherwise two rasters do not fit where one was freed.
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072"}
#: Needed to find a shared libpython outside the usual places.
_INHERITED = "LD_LIBRARY_PATH"
#: Larger than any clean picture of 4096 x 4096. A captured child cannot fill the memory of this process.
_MAX_REPLY = 64 * MIB
_CHUNK = 256 * 1024
#: The child ends itself at the wall clock limit. Waiting a little longer gives its signal.
_WALL_GRACE = 1.0
_REAP_INTERVAL = 0.002


@dataclass(frozen=True, slots=True)
class AcceptedPhoto:
    """An accepted photo. `image` and `thumbnail` are clean JPEG files: upright sRGB, no metadata.

    `width` and `height` are those of `image` in pixels; the `original_*` fields describe the file as
    it was sent (raster size before orientation). `sha256` and `original_sha256` are hex digests.
    `content_hash` is for `recognition.sandbox.perceptual_hash`.
    """

    image: bytes
    thumbnail: bytes
    width: int
    height: int
    sha256: str
    content_hash: bytes
    original_sha256: str
    original_format: str
    original_width: int
    original_height: int


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """The result of one file in the sandbox, and what it cost.

    Exactly one of `accepted` and `rejected` is set. `cpu_seconds` and `peak_memory_bytes` are those of the
    child: 0 when no child was started; the peak is also 0 when the child was killed.
    """

    accepted: AcceptedPhoto | None
    rejected: PhotoRejected | None
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


def accept_photo(data: bytes, *, limits: IntakeLimits = REFERENCE_LIMITS) -> AcceptedPhoto:
    """Decode an untrusted file in the sandbox and return the clean picture.

    Blocks for at most `limits.wall_seconds` plus one second. Raises PhotoRejected and nothing else,
    whatever `data` holds.
    """
    report = inspect_photo(data, limits=limits)
    if report.accepted is None:
        raise report.rejected or PhotoRejected("cage_failed")
    return report.accepted


def inspect_photo(data: bytes, *, limits: IntakeLimits = REFERENCE_LIMITS) -> SandboxReport:
    """Like `accept_photo`, returning the rejection and the cost instead of raising."""
    try:
        # Plain Python over the header: most files that are not photos need no child process.
        read_header(data, limits=limits)
    except PhotoRejected as rejection:
        return SandboxReport(None, rejection)
    try:
        child = _start(limits)
    except OSError:
        return SandboxReport(None, PhotoRejected("cage_failed"))
    reply, overdue = _converse(child, data, deadline=time.monotonic() + limits.wall_seconds + _WALL_GRACE)
    exit_code, cpu_seconds, late = _reap(child, overdue=overdue)
    peak = 0
    try:
        facts, bodies = _split(reply)
        peak = _count(facts, "peak_memory_bytes")
        if "rejected" in facts:
            return SandboxReport(None, _rejection(facts), cpu_seconds, peak)
        return SandboxReport(_accepted(data, facts, bodies), None, cpu_seconds, peak)
    except _BadReplyError:
        return SandboxReport(None, _rejection_of_exit(exit_code, late=late), cpu_seconds, peak)


class _BadReplyError(Exception):
    """The child wrote no reply, or one that fails a check."""


@cache
def _search_path() -> tuple[str, str]:
    """Where the child finds this package and Pillow."""
    pillow = find_spec("PIL")
    if pillow is None or pillow.origin is None:
        raise OSError("Pillow is not installed")
    return str(Path(__file__).resolve().parents[2]), str(Path(pillow.origin).resolve().parents[1])


def _start(limits: IntakeLimits) -> subprocess.Popen[bytes]:
    environment = dict(_ENVIRONMENT)
    if _INHERITED in os.environ:
        environment[_INHERITED] = os.environ[_INHERITED]
    order = json.dumps({"parent": os.getpid(), "limits": asdict(limits)})
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-c", _START, *_search_path(), order],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        cwd="/",
        env=environment,
        start_new_session=True,
    )


def _converse(child: subprocess.Popen[bytes], data: bytes, *, deadline: float) -> tuple[bytes, bool]:
    """Send `data`, read the reply to its end. True as the second value if time or size ran out."""
    assert child.stdin is not None and child.stdout is not None  # PIPE was asked for
    stdin, stdout = child.stdin.fileno(), child.stdout.fileno()
    unsent = memoryview(data)
    pieces: list[bytes] = []
    received = 0
    with selectors.DefaultSelector() as selector:
        for descriptor, event in ((stdin, selectors.EVENT_WRITE), (stdout, selectors.EVENT_READ)):
            os.set_blocking(descriptor, False)
            selector.register(descriptor, event)
        while received <= _MAX_REPLY and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if key.fd == stdin:
                    unsent = _send(stdin, unsent)
                    if not unsent:
                        selector.unregister(stdin)
                        child.stdin.close()
                elif piece := os.read(stdout, _CHUNK):
                    pieces.append(piece)
                    received += len(piece)
                else:
                    return b"".join(pieces), False
    return b"", True


def _send(descriptor: int, data: memoryview) -> memoryview:
    """Write what fits and return the rest. Empty if the child has closed its input: its reply says why."""
    try:
        return data[os.write(descriptor, data[:_CHUNK]) :]
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return data[:0]


def _reap(child: subprocess.Popen[bytes], *, overdue: bool) -> tuple[int | None, float, bool]:
    """Wait for the child, and kill it if it does not end.

    Returns its exit code (None if unknown), the CPU seconds it used, and whether it ran out of time. In that
    case the exit code says only how the child was killed.
    """
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()
    give_up = time.monotonic() + (0 if overdue else _WALL_GRACE)
    killed = False
    while True:
        try:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        except ChildProcessError:
            # This process ignores SIGCHLD, so the kernel has already removed the child.
            child.returncode = 0
            return None, 0.0, overdue or killed
        if pid:
            # Popen must not wait for a process that is gone: another process may have its number.
            child.returncode = os.waitstatus_to_exitcode(status)
            return child.returncode, usage.ru_utime + usage.ru_stime, overdue or killed
        if not killed and time.monotonic() >= give_up:
            with contextlib.suppress(ProcessLookupError):
                # The child has its own process group: this also kills what a captured decoder has started.
                os.killpg(child.pid, signal.SIGKILL)
            killed = True
        time.sleep(_REAP_INTERVAL)


def _split(reply: bytes) -> tuple[dict[str, object], bytes]:
    """The facts of a reply, and the bytes after them. Raises _BadReplyError."""
    start = len(REPLY_MAGIC) + LENGTH_BYTES
    if len(reply) < start or not reply.startswith(REPLY_MAGIC):
        raise _BadReplyError
    end = start + int.from_bytes(reply[len(REPLY_MAGIC) : start], "big")
    try:
        facts = json.loads(reply[start:end])
    except ValueError as error:
        raise _BadReplyError from error
    if not isinstance(facts, dict):
        raise _BadReplyError
    return facts, reply[end:]


def _count(facts: dict[str, object], name: str) -> int:
    value = facts.get(name)
    if not isinstance(value, int) or value < 0:
        raise _BadReplyError
    return value


def _rejection(facts: dict[str, object]) -> PhotoRejected:
    code, params = facts["rejected"], facts.get("params")
    if not isinstance(code, str) or code not in REASONS or not isinstance(params, dict):
        raise _BadReplyError
    clean = {str(key): value for key, value in params.items() if isinstance(value, int | str)}
    try:
        return PhotoRejected(code, **clean)
    except (KeyError, ValueError, TypeError) as error:
        raise _BadReplyError from error


def _accepted(data: bytes, facts: dict[str, object], bodies: bytes) -> AcceptedPhoto:
    """The accepted photo, after all checks that need no decoding: lengths, markers, types."""
    boundary = _count(facts, "image_bytes")
    image, thumbnail = bodies[:boundary], bodies[boundary:]
    content_hash, found = facts.get("content_hash"), facts.get("original_format")
    if len(thumbnail) != _count(facts, "thumbnail_bytes") or not (is_clean_jpeg(image) and is_clean_jpeg(thumbnail)):
        raise _BadReplyError
    if not isinstance(content_hash, str) or len(content_hash) != 2 * HASH_BYTES or not isinstance(found, str):
        raise _BadReplyError
    try:
        digest = bytes.fromhex(content_hash)
    except ValueError as error:
        raise _BadReplyError from error
    return AcceptedPhoto(
        image=image,
        thumbnail=thumbnail,
        width=_count(facts, "width"),
        height=_count(facts, "height"),
        sha256=hashlib.sha256(image).hexdigest(),
        content_hash=digest,
        original_sha256=hashlib.sha256(data).hexdigest(),
        original_format=found,
        original_width=_count(facts, "original_width"),
        original_height=_count(facts, "original_height"),
    )


def _rejection_of_exit(exit_code: int | None, *, late: bool) -> PhotoRejected:
    """Why a child ended without a usable reply."""
    if late or exit_code in (-signal.SIGXCPU, -signal.SIGALRM):
        return PhotoRejected("decode_timeout")
    if exit_code == -signal.SIGKILL:
        # Only the kernel can have killed it, and with these limits for its memory.
        return PhotoRejected("decode_memory")
    if exit_code is not None and exit_code < 0:
        # SIGSEGV, SIGABRT or SIGBUS: the file broke the decoder.
        return PhotoRejected("broken")
    return PhotoRejected("cage_failed")
