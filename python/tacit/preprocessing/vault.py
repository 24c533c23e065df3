"""A party's store on disk: sealed pieces that one process writes, and one other reads, in order and once.

    head:      MAGIC | salt | AES-256-GCM(HKDF-SHA256(store key, salt), nonce 0, contents; MAGIC | salt)
    material:  for k = 0, 1, ...:  AES-256-GCM(K, nonce k, piece; kind)         K random, kept in the contents of the head
A piece that is altered, cut off, swapped, brought from elsewhere or read as another kind does not open: K is of this store alone,
k is its place. Lengths are not written: the reader knows them.

Before anything is handed out, `claim` overwrites the head with zeros, syncs it, renames it to `used`, and syncs the folder. After
that K is in the memory of that process and nowhere else: whatever becomes of the process, nobody reads the store again.
The files that are there tell how far a store came: `head`: ready; `used`: some process had it; neither: not finished.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgpack
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tacit.errors import ConfigurationError, TacitError
from tacit.transport.channel import as_bytes

MAGIC = b"tacit store 1\n"
STORE = b"tacit store"
SALT = KEY = 32
TAG = 16
LARGEST_HEAD = 4096
PIECE = 1 << 25
"""Bytes of a piece at most."""
HEAD, HEAD_NEW, USED, MATERIAL = "head", "head.new", "used", "material"


class StoreError(TacitError):
    """A store of prepared material is missing, used, in use, altered, or of another key. Nothing was handed out of it."""

    for_peers = "its store of prepared material cannot be used; its own output says why"


@dataclass(frozen=True)
class Head:
    """The header of a store. `id` is the same at all parties; the keys are this party's shares; `secret` opens the material."""

    version: str
    id: bytes
    me: int
    parties: int
    key: int
    binary_key: int
    binary: bool
    summands: int
    late: bool
    lists: int
    secret: bytes


def read_key(path: Path, what: str = "store key") -> bytes:
    """The user's key that something is sealed with: whatever is in the file, 32 bytes at least."""
    advice = f"make one with: head -c 32 /dev/urandom > {path}"
    try:
        key = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read the {what} {path}: {error.strerror or error}; {advice}") from None
    if len(key) < KEY:
        raise ConfigurationError(f"the {what} {path} has {len(key)} bytes, and needs {KEY} at least; {advice}")
    return key


class Folder:
    """The folder of a store, locked for this process as long as it is open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise StoreError(
                f"there is no store in {path} ({error.strerror or error}): make one with `tacit prepare`"
            ) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            if isinstance(error, BlockingIOError):
                raise StoreError(f"the store {path} is in use by another process; a store serves one run") from None
            raise StoreError(
                f"{path} cannot be locked ({error.strerror}): keep stores on a disk of this machine"
            ) from None

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def remove(self, *names: str) -> None:
        for name in names:
            (self.path / name).unlink(missing_ok=True)
        self.sync()

    def create(self, name: str) -> BinaryIO:
        return os.fdopen(os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)  # and the lock is gone
            self._descriptor = -1


class Writer:
    """Makes a store in `path`, which must not hold one that was not used yet. A store that is not sealed at exit is removed."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._key, self._secret, self._pieces = key, secrets.token_bytes(KEY), 0
        self._cipher = AESGCM(self._secret)
        with _writing(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = Folder(path)
        try:
            with _writing(path):
                if _ready(path / HEAD):
                    raise StoreError(
                        f"{path} holds a store that was not used yet: use it, or remove that folder, or choose another --store"
                    )
                self._folder.remove(HEAD, HEAD_NEW, USED, MATERIAL)
                self._file = self._folder.create(MATERIAL)
        except BaseException:
            self._folder.close()
            raise

    def write(self, kind: bytes, data: Any) -> None:
        view = as_bytes(data)
        for start in range(0, view.nbytes, PIECE):
            sealed = self._cipher.encrypt(nonce(self._pieces), view[start : start + PIECE], kind)
            with _writing(self._folder.path):
                self._file.write(sealed)
            self._pieces += 1

    def free(self) -> int:
        """Bytes that the disk has left."""
        return shutil.disk_usage(self._folder.path).free

    def sync(self) -> None:
        """All that was written is on the disk."""
        with _writing(self._folder.path):
            self._file.flush()
            os.fsync(self._file.fileno())

    def seal(self, **contents: Any) -> None:
        """The store is complete: `contents` are the head's, but for `secret`."""
        self.sync()
        salt = secrets.token_bytes(SALT)
        packed = msgpack.packb(asdict(Head(secret=self._secret, **contents)))
        sealed = AESGCM(derived(self._key, salt, STORE)).encrypt(nonce(0), packed, MAGIC + salt)
        path = self._folder.path
        with _writing(path):
            with self._folder.create(HEAD_NEW) as file:
                file.write(MAGIC + salt + sealed)
                file.flush()
                os.fsync(file.fileno())
            os.replace(path / HEAD_NEW, path / HEAD)
            self._folder.sync()
            for above in (path, path.parent):  # which may be new themselves
                sync_folder(above.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError):  # what was not written shows by the missing head
            self._file.close()
        with contextlib.suppress(OSError):
            if not (self._folder.path / HEAD).exists():
                self._folder.remove(MATERIAL, HEAD_NEW)
        self._folder.close()


class Reader:
    """An unused store: its `head`, and its pieces in order. Read what decides whether to use it, then `claim` it."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._folder = Folder(path)
        try:
            self.head = _opened(path, key)
            self._file = (path / MATERIAL).open("rb")
        except BaseException as error:
            self._folder.close()
            if isinstance(error, OSError):
                raise StoreError(f"cannot read the store {path}: {error.strerror or error}") from None
            raise
        self._cipher = AESGCM(self.head.secret)
        self._pieces = 0
        self.claimed = False

    def read(self, kind: bytes, into: Any) -> None:
        """Fill `into`, a buffer, by the next pieces."""
        view = as_bytes(into)
        for start in range(0, view.nbytes, PIECE):
            part = view[start : start + PIECE]
            sealed = self._file.read(part.nbytes + TAG)
            try:
                part[:] = self._cipher.decrypt(nonce(self._pieces), sealed, kind)
            except InvalidTag:
                raise StoreError(
                    f"the store {self._folder.path} was altered or cut off at piece {self._pieces}: remove it and prepare again"
                ) from None
            self._pieces += 1

    def claim(self) -> None:
        """Nobody can open this store again once this returns."""
        if self.claimed:
            return
        path = self._folder.path
        try:
            with (path / HEAD).open("r+b", buffering=0) as file:
                file.write(bytes(os.fstat(file.fileno()).st_size))
                os.fsync(file.fileno())
            os.replace(path / HEAD, path / USED)
            self._folder.sync()
        except OSError as error:
            raise StoreError(
                f"cannot mark the store {path} as used ({error.strerror or error}), so nothing is taken from it: its folder has "
                "to be writable"
            ) from None
        self.claimed = True

    def close(self) -> None:
        """End the use of the store: one that was claimed is removed, another stays for the next run."""
        if self._file.closed:
            return
        self._file.close()
        del self._cipher
        if self.claimed:
            with contextlib.suppress(OSError):  # unreadable by now in any case
                self._folder.remove(MATERIAL)
        self._folder.close()


def _opened(path: Path, key: bytes) -> Head:
    try:
        found = (path / HEAD).read_bytes()[: LARGEST_HEAD + 1]
    except FileNotFoundError:
        found = b""
    if not found.startswith(MAGIC):
        if (path / USED).exists() or found:
            raise StoreError(
                f"the store {path} was used by a run before, and each serves one run, whether that ended well or not: "
                "make another with `tacit prepare`"
            )
        raise StoreError(f"there is no finished store in {path}: make one with `tacit prepare`")
    salt, sealed = found[len(MAGIC) : len(MAGIC) + SALT], found[len(MAGIC) + SALT :]
    try:
        return Head(**msgpack.unpackb(AESGCM(derived(key, salt, STORE)).decrypt(nonce(0), sealed, MAGIC + salt)))
    except InvalidTag:
        raise StoreError(
            f"the store {path} does not open with this key: give the --store-key that it was prepared with (if this is the one, "
            "the store was altered: remove it and prepare again)"
        ) from None
    except TypeError:
        raise StoreError(
            f"the store {path} was made by another version of tacit: remove it and prepare again"
        ) from None


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot write the store {path}: {error.strerror or error}") from None


def _ready(path: Path) -> bool:
    return path.exists() and path.read_bytes().startswith(MAGIC)


def derived(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    """An AES key of the user's key, for one thing that is sealed."""
    return HKDF(SHA256(), KEY, salt, purpose).derive(key)


def nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
