"""Saved shares on disk: a file of PyTorch's format with plain values in it, whole or not at all, sealed if there is a key.

    plain:    what torch.save writes: torch.load(path, weights_only=True) reads it
    sealed:   MAGIC | salt | pieces, piece k = AES-256-GCM(HKDF-SHA256(key, salt), nonce k, PIECE bytes; MAGIC | salt | last)
A file is written beside its place, synced, and renamed when all parties have done so: whatever happens, the place holds the file
that was there before or the new one, and a party that cannot write stops the others before theirs are gone.
"""

import contextlib
import io
import os
import pickle
import secrets
import sys
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tacit.errors import BadInput, ConfigurationError, TacitError, Unsupported
from tacit.preprocessing.vault import KEY, PIECE, SALT, TAG, derived, nonce, read_key, sync_folder

Key = bytes | str | os.PathLike[str] | None
MAGIC = b"tacit saved shares 1\n"
PURPOSE = b"tacit saved shares"
PLAIN = (type(None), bool, int, float, str, bytes)
FILE, VERSION = "saved/data.pkl", "saved/version"
"""Members of PyTorch's files."""


def given(key: Key) -> bytes | None:
    """The key itself, or the content of the file that is named."""
    if key is None or isinstance(key, bytes):
        if key is not None and len(key) < KEY:
            raise ConfigurationError(f"a key of {len(key)} bytes is too short: it needs {KEY} at least")
        return key
    return read_key(Path(key), "key")


def packed(x: Any) -> bytes:
    """`x` as the bytes of a file that `torch.load(path, weights_only=True)` reads."""
    _plain(x)
    buffer = io.BytesIO()
    if (torch := sys.modules.get("torch")) is not None:
        torch.save(x, buffer)
    else:
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr(FILE, pickle.dumps(x, 2))
            file.writestr(VERSION, "3\n")
    return buffer.getvalue()


def unpacked(data: bytes) -> Any:
    """The inverse of `packed`, for files of `torch.save` too; refuses what is not plain."""
    try:
        if (torch := sys.modules.get("torch")) is not None:
            return torch.load(io.BytesIO(data), weights_only=True)
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            (name,) = (n for n in file.namelist() if n.endswith("/data.pkl"))
            return _Plain(io.BytesIO(file.read(name))).load()
    except TacitError:
        raise
    except Exception as error:  # whatever a file from outside makes of its reader
        raise BadInput(f"a file of saved shares is damaged, or none ({type(error).__name__})") from None


class _Plain(pickle.Unpickler):
    """Without torch: plain values and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "_codecs", "encode":  # how bytes are written for every version of Python
                return _latin
        raise BadInput("a file of saved shares holds more than plain values: if torch wrote it, import torch before")

    def persistent_load(self, pid: Any) -> Any:
        raise BadInput("a file of saved shares holds tensors: import torch before they are restored")


def _latin(text: str, encoding: str) -> bytes:
    return text.encode("latin1")


def _plain(x: Any) -> None:
    torch = sys.modules.get("torch")
    if isinstance(x, Mapping):
        for key, value in x.items():
            _plain(key)
            _plain(value)
    elif isinstance(x, list | tuple):
        for value in x:
            _plain(value)
    elif type(x) not in PLAIN and (torch is None or not isinstance(x, torch.Tensor | torch.dtype)):
        raise Unsupported(
            f"a {type(x).__name__} is not saved with secrets: beside them there may be numbers, texts, and tensors, in "
            "dictionaries, lists and tuples; x.item() and x.tolist() make such of NumPy's"
        )


def sealed(data: bytes, key: bytes) -> bytes:
    salt = secrets.token_bytes(SALT)
    head, cipher = MAGIC + salt, AESGCM(derived(key, salt, PURPOSE))
    pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
    return head + b"".join(
        cipher.encrypt(nonce(k), piece, head + bytes([k == len(pieces) - 1])) for k, piece in enumerate(pieces)
    )


def opened(data: bytes, key: bytes | None) -> bytes:
    """The contents sealed with `key`; `data` itself if it is not sealed and there is no key."""
    if not data.startswith(MAGIC):
        if key is not None:
            raise BadInput("a file of saved shares is not sealed, and a key was given for it: is it the right file?")
        return data
    if key is None:
        raise ConfigurationError("a file of saved shares is sealed: give the key=, or the path of its file")
    head, rest = data[: len(MAGIC) + SALT], memoryview(data)[len(MAGIC) + SALT :]
    cipher, pieces = AESGCM(derived(key, head[len(MAGIC) :], PURPOSE)), []
    try:
        for k, at in enumerate(range(0, len(rest), PIECE + TAG)):
            last = at + PIECE + TAG >= len(rest)
            pieces.append(cipher.decrypt(nonce(k), rest[at : at + PIECE + TAG], head + bytes([last])))
        if not pieces:
            raise InvalidTag
    except InvalidTag:
        raise BadInput("a file of saved shares does not open with this key, or was altered or cut off") from None
    return b"".join(pieces)


def read(path: Path, key: bytes | None) -> Any:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _failed("read", path, error) from None
    return unpacked(opened(data, key))


class Written:
    """`data` beside `path`, on the disk. `place` puts it there; else it is removed."""

    def __init__(self, path: Path, data: bytes) -> None:
        self._path, self._beside = path, ""
        with self._trying():
            descriptor, self._beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # with mode 0600
            try:
                with os.fdopen(descriptor, "wb") as file:
                    _write(file, data)
            except BaseException:
                self.remove()
                raise

    def place(self) -> None:
        with self._trying():
            os.replace(self._beside, self._path)
            self._beside = ""
            sync_folder(self._path.parent)

    def remove(self) -> None:
        if self._beside:
            with contextlib.suppress(OSError):
                os.unlink(self._beside)

    @contextlib.contextmanager
    def _trying(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _failed("write", self._path, error) from None


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _failed(what: str, path: Path, error: OSError) -> ConfigurationError:
    failed = ConfigurationError(f"cannot {what} the saved shares {path}: {error.strerror or type(error).__name__}")
    failed.for_peers = f"it cannot {what} its file of saved shares ({type(error).__name__})"
    return failed
