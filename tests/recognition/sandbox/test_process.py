"""The sandbox: limits hold, a dead child gives a reason, a false reply is refused, no process is left behind."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from recognition.sandbox import IntakeLimits, PhotoRejected, accept_photo, content_hash, process, read_image
from recognition.sandbox.process import inspect_photo

ROOT = Path(__file__).resolve().parents[3]
Encode = Callable[..., bytes]


@pytest.fixture
def jpeg(quadrants: Image.Image, encode: Encode) -> bytes:
    return encode(quadrants, "JPEG", quality=95)


def code_of(data: bytes, **limits: float) -> str:
    with pytest.raises(PhotoRejected) as caught:
        accept_photo(data, limits=IntakeLimits(**limits))  # type: ignore[arg-type]  # whole numbers where due
    return caught.value.code


def child_that_runs(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """Start another program as the sandbox child; it gets the search path and the limits as arguments."""
    monkeypatch.setattr(process, "_START", "import sys; sys.path += sys.argv[1:3]\n" + source)


def test_an_ordinary_photo_comes_out_whole(jpeg: bytes, quadrants: Image.Image) -> None:
    photo = accept_photo(jpeg)
    assert (photo.width, photo.height) == quadrants.size
    assert (photo.original_format, photo.original_width, photo.original_height) == ("JPEG", 160, 120)
    assert photo.sha256 == hashlib.sha256(photo.image).hexdigest()
    assert photo.original_sha256 == hashlib.sha256(jpeg).hexdigest()
    with Image.open(io.BytesIO(photo.image)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", quadrants.size)
        red, green, blue = image.getpixel((20, 20))  # type: ignore[misc]  # RGB: three numbers
        assert red > 180 and green < 80 and blue < 80
        # 4:4:4: no channel is sampled less often than another.
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]  # JPEG only
    assert photo.content_hash == content_hash(read_image(jpeg))


def test_a_large_picture_is_brought_down_and_has_a_thumbnail(encode: Encode) -> None:
    photo = accept_photo(encode(Image.new("RGB", (5000, 2500), (150, 90, 80)), "PNG"))
    assert (photo.width, photo.height) == (4096, 2048)
    assert (photo.original_width, photo.original_height) == (5000, 2500)
    with Image.open(io.BytesIO(photo.thumbnail)) as thumbnail:
        assert thumbnail.size == (320, 160)


def test_what_headers_can_refuse_costs_no_process(scan_bomb: bytes, encode: Encode) -> None:
    small = encode(Image.new("RGB", (63, 64)), "PNG")
    for data, code in ((b"", "empty"), (b"hello", "not_an_image"), (small, "too_small"), (scan_bomb, "too_many_scans")):
        report = inspect_photo(data)
        assert report.rejected is not None
        assert (report.rejected.code, report.cpu_seconds) == (code, 0.0)


def test_a_file_over_the_byte_limit_is_refused_by_its_size(jpeg: bytes) -> None:
    assert code_of(jpeg, max_bytes=len(jpeg) - 1) == "too_large_bytes"
    assert accept_photo(jpeg, limits=IntakeLimits(max_bytes=len(jpeg))).width == 160


def test_a_decoder_that_will_not_stop_is_stopped_by_its_cpu_limit(scan_bomb: bytes) -> None:
    report = inspect_photo(scan_bomb, limits=IntakeLimits(max_jpeg_scans=10_000, cpu_seconds=1, wall_seconds=120))
    assert report.rejected is not None
    assert report.rejected.code == "decode_timeout"
    # Left alone it would take more than ten; SIGKILL would follow SIGXCPU a second later.
    assert 0 < report.cpu_seconds < 3


def test_a_decoder_that_will_not_stop_is_stopped_by_the_wall_clock(scan_bomb: bytes) -> None:
    assert code_of(scan_bomb, max_jpeg_scans=10_000, wall_seconds=0.5) == "decode_timeout"


def test_a_decoder_that_wants_too_much_memory_is_told_so(encode: Encode) -> None:
    large = encode(Image.new("RGB", (5000, 4000), (150, 90, 80)), "PNG")
    assert code_of(large, memory_bytes=96 * 1024 * 1024) == "decode_memory"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "broken"),
        ("import os; os.abort()", "broken"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "decode_memory"),
        ("sys.exit(3)", "cage_failed"),
        ("print('hello')", "cage_failed"),
        ("sys.stdout.buffer.write(b'TERI1' + (9).to_bytes(4, 'big') + b'[1, 2, 3]')", "cage_failed"),
        ("sys.stdout.buffer.write(b'TERI1' + b'\\xff' * 40)", "cage_failed"),
        ("import os, time; os.close(1); time.sleep(60)", "decode_timeout"),
        ("import time; time.sleep(60)", "decode_timeout"),
        ("while True: sys.stdout.buffer.write(bytes(1 << 20))", "decode_timeout"),
    ],
)
def test_every_dead_child_and_every_bad_reply_gives_a_reason(
    source: str, code: str, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that_runs(monkeypatch, source)
    # Those that must be waited for are not waited for long; the others may start slowly on a busy machine.
    assert code_of(jpeg, wall_seconds=1.0 if code == "decode_timeout" else 60.0) == code


LIE = """
import json, os
facts = {facts}
bodies = [bytes.fromhex(text) for text in {bodies}]
facts.setdefault("image_bytes", len(bodies[0]))
facts.setdefault("thumbnail_bytes", len(bodies[1]))
head = json.dumps(facts).encode()
sys.stdout.buffer.write(b"TERI1" + len(head).to_bytes(4, "big") + head + b"".join(bodies))
"""
HONEST = {
    "width": 160,
    "height": 120,
    "content_hash": "00" * 32,
    "original_format": "JPEG",
    "original_width": 160,
    "original_height": 120,
    "peak_memory_bytes": 1,
}


@pytest.mark.parametrize(
    "changed",
    [
        {"width": "160"},
        {"height": -1},
        {"content_hash": "zz" * 32},
        {"content_hash": "00"},
        {"image_bytes": 10**9},
        {"original_format": 7},
        {"peak_memory_bytes": None},
        {"rejected": "no_such_code", "params": {}},
        {"rejected": "too_small", "params": {"width": 1}},
        {"rejected": "broken", "params": None},
    ],
)
def test_a_reply_is_believed_only_as_far_as_it_can_be_checked(
    changed: dict[str, object], jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = accept_photo(jpeg)
    bodies = [clean.image.hex(), clean.thumbnail.hex()]
    child_that_runs(monkeypatch, LIE.format(facts=HONEST, bodies=bodies))
    assert accept_photo(jpeg).image == clean.image
    child_that_runs(monkeypatch, LIE.format(facts=HONEST | changed, bodies=bodies))
    assert code_of(jpeg) == "cage_failed"


def test_a_captured_decoder_cannot_hand_back_a_picture_with_metadata(
    jpeg: bytes, quadrants: Image.Image, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = accept_photo(jpeg)
    exif = Image.Exif()
    exif[0x010F] = "maker"
    for dirty in (encode(quadrants, "JPEG", exif=exif), clean.image + b"payload", b"<svg/>"):
        child_that_runs(monkeypatch, LIE.format(facts=HONEST, bodies=[dirty.hex(), clean.thumbnail.hex()]))
        assert code_of(jpeg) == "cage_failed"


def test_the_child_has_no_secrets_and_sets_its_limits(jpeg: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "do not tell")
    child_that_runs(
        monkeypatch,
        """
import json, os, resource, signal
from recognition.sandbox import child
from recognition.sandbox.policy import IntakeLimits
order = json.loads(sys.argv[3])
child._leave_with_parent(order["parent"])
child._limit_self(IntakeLimits(**order["limits"]))
limit = lambda kind: resource.getrlimit(kind)[0]
assert set(os.environ) <= {"LC_ALL", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "LD_LIBRARY_PATH", "LC_CTYPE"}
assert limit(resource.RLIMIT_AS) == order["limits"]["memory_bytes"]
assert limit(resource.RLIMIT_CPU) == order["limits"]["cpu_seconds"]
assert limit(resource.RLIMIT_FSIZE) == limit(resource.RLIMIT_CORE) == 0
assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= order["limits"]["wall_seconds"]
assert os.getsid(0) == os.getpid() and os.getcwd() == "/"
assert not {"django", "numpy", "PIL", "recognition.sandbox.process"} & set(sys.modules)
import recognition.sandbox.reply
assert not {"django", "numpy", "recognition.sandbox.process"} & set(sys.modules)
try:
    bytearray(order["limits"]["memory_bytes"])
except MemoryError:
    head = b'{"rejected": "animated", "params": {"frames": 7}, "peak_memory_bytes": 0}'
    sys.stdout.buffer.write(b"TERI1" + len(head).to_bytes(4, "big") + head)
""",
    )
    # The one reply that says every assertion in there held.
    assert code_of(jpeg) == "animated"


def test_a_child_that_cannot_be_started_is_our_fault(jpeg: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(PhotoRejected) as caught:
        accept_photo(jpeg)
    assert caught.value.is_our_fault


def test_threads_do_not_get_in_each_others_way(encode: Encode) -> None:
    files = [encode(Image.new("RGB", (100 + number, 100), (number, 0, 0)), "PNG") for number in range(8)]
    with ThreadPoolExecutor(4) as threads:
        widths = [photo.width for photo in threads.map(accept_photo, files)]
    assert widths == [100 + number for number in range(8)]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_for(condition: Callable[[], bool]) -> bool:
    give_up = time.monotonic() + 15
    while time.monotonic() < give_up:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to statistics for orphans")
def test_a_killed_parent_leaves_no_orphan(scan_bomb: bytes, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.jpg"
    bomb.write_bytes(scan_bomb)
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "from recognition.sandbox import IntakeLimits, accept_photo\n"
        f"accept_photo(Path({str(bomb)!r}).read_bytes(), limits=IntakeLimits(max_jpeg_scans=10_000, cpu_seconds=60))"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        try:
            assert wait_for(lambda: bool(children_of(parent.pid)))
            (child,) = children_of(parent.pid)
            # Its name changes when it runs the child's Python; by then or soon after, it has asked the kernel.
            assert wait_for(lambda: b"recognition.sandbox.child" in Path(f"/proc/{child}/cmdline").read_bytes())
            assert is_running(child)
        finally:
            os.kill(parent.pid, signal.SIGKILL)
    assert wait_for(lambda: not is_running(child))
