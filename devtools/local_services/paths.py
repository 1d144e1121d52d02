"""The paths and locks of a checkout's local servers, and the system user they run as.

Everything lies under the git-ignored `var/` of the checkout, so two checkouts share nothing:

    var/postgres, var/redis   data, survive a restart
    var/run                   locks, the address of each running server, and the sockets
    var/log                   output of the servers

A UNIX socket's path may have 107 bytes at most. A checkout deeper than that (or on a file system without sockets)
gets a private folder in XDG_RUNTIME_DIR or /tmp, named by a hash of its path, for the sockets alone.
"""

import hashlib
import os
import pwd
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
from pathlib import Path

# sun_path has 108 bytes with the closing zero; PostgreSQL adds "/.s.PGSQL.5432.lock".
LONGEST_SOCKET_DIR = 107 - len("/.s.PGSQL.5432.lock")
# Characters that need no quoting in any of the URL dialects a socket path travels through (libpq, Django, kombu).
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")
# The lock file of a service supervisor. Another name would let an older checkout's supervisor go unnoticed.
SUPERVISOR_LOCK = "keeper"


class LocalServiceError(Exception):
    """A local server cannot be started; the text is for the person at the terminal and says what to do."""


@dataclass(frozen=True)
class ServerUser:
    """The system user the servers run as; None in both fields means the user of this process."""

    uid: int | None
    gid: int | None

    @property
    def name(self) -> str:
        """Name of the user, for messages."""
        uid = os.geteuid() if self.uid is None else self.uid
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return f"user number {uid}"


def server_user(base_dir: Path) -> ServerUser:
    """Choose the user for the servers of the checkout at `base_dir`.

    PostgreSQL refuses to run as root. When root starts it (a container, `sudo make run`) the servers run as the owner
    of the checkout, or as `nobody` if root owns the checkout too. Both users exist already.
    """
    if os.geteuid() != 0:
        return ServerUser(uid=None, gid=None)
    owner = base_dir.stat()
    if owner.st_uid != 0 and _is_known(owner.st_uid):
        return ServerUser(uid=owner.st_uid, gid=owner.st_gid)
    nobody = pwd.getpwnam("nobody")
    return ServerUser(uid=nobody.pw_uid, gid=nobody.pw_gid)


def _is_known(uid: int) -> bool:
    """Whether the user has a name. Without one initdb fails (a bind mount in a container)."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


@dataclass(frozen=True)
class CheckoutPaths:
    """The folders and lock files of one checkout; `base_dir` is resolved."""

    base_dir: Path

    @property
    def var(self) -> Path:
        """The git-ignored folder everything is in."""
        return self.base_dir / "var"

    @property
    def run(self) -> Path:
        """Locks and addresses."""
        return self.var / "run"

    def data(self, server: str) -> Path:
        """Data folder of the server named `server`."""
        return self.var / server

    def log(self, server: str) -> Path:
        """Output of the server and of its supervisor."""
        return self.var / "log" / f"{server}.log"

    def address(self, server: str) -> Path:
        """File with the URL of the running server; exists only while the server answers."""
        return self.run / f"{server}.url"

    def error(self, server: str) -> Path:
        """File with the reason why the server last failed to start."""
        return self.run / f"{server}.error"

    def lock(self, server: str, kind: str) -> Path:
        """Lock file: kind is `users`, `starting` or SUPERVISOR_LOCK."""
        return self.run / f"{server}.{kind}"

    def make(self) -> None:
        """Make the folders; raises LocalServiceError with the reason if that is impossible."""
        try:
            for folder in (self.var, self.run, self.var / "log"):
                folder.mkdir(exist_ok=True)
            # A new name each time: several processes may try this at once.
            tempfile.TemporaryFile(dir=self.run).close()
        except OSError as error:
            raise LocalServiceError(
                f"{self.var} cannot be written ({error.strerror}); the local PostgreSQL and Redis live there.\n"
                "Give it to your user, or set DATABASE_URL and REDIS_URL to servers of your own."
            ) from error


def data_folder(paths: CheckoutPaths, server: str, user: ServerUser) -> Path:
    """Make the data folder of `server`, private to `user`, and return it.

    Raises LocalServiceError if another user owns it; that happens when root and an ordinary user take turns.
    """
    folder = paths.data(server)
    _make_private(folder, user)
    open_the_way(folder, user)
    return folder


def _make_private(folder: Path, user: ServerUser) -> None:
    wanted = os.geteuid() if user.uid is None else user.uid
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.stat().st_uid
        if owner == os.geteuid() and owner != wanted:
            os.chown(folder, wanted, -1 if user.gid is None else user.gid)
            owner = wanted
    except OSError as error:
        raise LocalServiceError(f"{folder} cannot be made or used: {error.strerror}.") from error
    if owner != wanted:
        raise LocalServiceError(
            f"{folder} belongs to {ServerUser(owner, None).name}, but the server would run as {user.name}.\n"
            f"Was it started by another user before? Give it back with `sudo chown -R {user.name} {folder}`, "
            "or delete it to start with no data."
        )
    folder.chmod(0o700)


def open_the_way(target: Path, user: ServerUser) -> None:
    """Let `user` pass through (not read) every folder above `target`; only root ever needs this.

    Other users cannot enter a home such as /root. The server must not run as root, so without this it could not reach
    its programs and data in a clone there.
    """
    if user.uid is None:
        return
    for folder in target.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def socket_folder(paths: CheckoutPaths, user: ServerUser) -> Path:
    """Return a folder, private to `user`, whose path is short and plain enough for sockets."""
    inside = paths.run / "sockets"
    if (
        len(os.fsencode(inside)) <= LONGEST_SOCKET_DIR
        and PLAIN_PATH.fullmatch(str(inside))
        and _takes_sockets(paths.run)
    ):
        _make_private(inside, user)
        open_the_way(inside, user)
        return inside
    digest = hashlib.sha256(os.fsencode(paths.base_dir)).hexdigest()[:12]
    # XDG_RUNTIME_DIR is private to its user, so it is no use when the servers run as another user.
    runtime = os.environ.get("XDG_RUNTIME_DIR") if user.uid is None else None
    parent = Path(runtime) if runtime and Path(runtime).is_dir() and len(runtime) < 40 else Path("/tmp")  # noqa: S108 - private folder below, owner checked
    outside = parent / f"teri-{os.geteuid()}-{digest}"
    if outside.is_symlink():
        raise LocalServiceError(f"{outside} is a symbolic link; remove it, the servers' sockets belong there.")
    _make_private(outside, user)
    return outside


def _takes_sockets(folder: Path) -> bool:
    """Whether sockets can be made in `folder`; shared folders of virtual machines often refuse them."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".s") as probe, socket.socket(socket.AF_UNIX) as server:
        try:
            server.bind(f"{probe}/s")
        except OSError:
            return False
    return True


def keep_log_small(path: Path, *, limit_bytes: int = 5_000_000) -> None:
    """Rename a log that is larger than `limit_bytes`, so that a new one begins. One older copy is kept."""
    if path.exists() and path.stat().st_size > limit_bytes:
        shutil.move(path, path.with_suffix(".log.1"))


class FileLock:
    """An advisory lock on a file (flock). The kernel releases it when its last holder ends, however it ends."""

    def __init__(self, path: Path, *, inheritable: bool = False) -> None:
        """Open `path` without locking it; `inheritable` keeps the lock through `os.exec*` of this process."""
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.set_inheritable(self._fd, inheritable)

    @property
    def fd(self) -> int:
        """File descriptor; with `pass_fds` a child process holds the lock too."""
        return self._fd

    def share(self) -> None:
        """Wait for a shared lock."""
        flock(self._fd, LOCK_SH)

    def take(self) -> None:
        """Wait for the exclusive lock."""
        flock(self._fd, LOCK_EX)

    def try_share(self) -> bool:
        """Take a shared lock if nobody holds the exclusive one."""
        return self._try(LOCK_SH)

    def try_take(self) -> bool:
        """Take the exclusive lock if nobody holds any."""
        return self._try(LOCK_EX)

    def _try(self, operation: int) -> bool:
        try:
            flock(self._fd, operation | LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Release the lock; the file stays."""
        flock(self._fd, LOCK_UN)

    def close(self) -> None:
        """Release and close; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def is_held_elsewhere(self) -> bool:
        """Whether another process holds the lock, shared or exclusive."""
        if self.try_take():
            self.release()
            return False
        return True


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the exclusive lock on `path` for the body."""
    lock = FileLock(path)
    try:
        lock.take()
        yield
    finally:
        lock.close()
