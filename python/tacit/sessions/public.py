"""Public arrays of one party, the same at all: told by it, then held against what the others were told.

Each party computes for itself what its script needs in public, and floats differ between machines in their last place. Here
those of one party are taken. Three rounds: how long they are, they themselves, and a hash of them from everyone to everyone.
"""

import hashlib
import json
import sys
from typing import Any

import numpy as np

from tacit.errors import BadInput, CheatingDetected, Mismatch, Unsupported
from tacit.field import Field, size
from tacit.sessions.data import LARGEST, LONGEST, MOST_AXES
from tacit.steps import protocol_step
from tacit.transport.channel import Channel

KINDS = ("number", "array", "tensor")
WIDTH = 8
HASH = 32


def packed(x: Any) -> bytes:
    """A header that says what it is, and its bytes, to whole words."""
    torch = sys.modules.get("torch")
    kind = "array"
    if torch is not None and isinstance(x, torch.Tensor):
        if x.dtype not in _torch_types(torch):
            raise Unsupported(f"a public tensor of {x.dtype} cannot be told to others: convert it with .float()")
        kind, x = "tensor", x.detach().cpu().numpy()
    elif isinstance(x, bool | int | float):
        kind = "number"
    array = np.asarray(x)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > WIDTH:
        raise BadInput(f"a public array holds real numbers of 64 bits at most, and this one holds {array.dtype}")
    dtype = array.dtype.newbyteorder("<").str
    content = np.ascontiguousarray(array.astype(dtype, copy=False)).tobytes()
    header = json.dumps([kind, dtype, list(array.shape)]).encode()
    whole = len(header).to_bytes(WIDTH, "little") + header + content
    return whole + bytes(-len(whole) % WIDTH)


def unpacked(data: bytes, owner: int) -> Any:
    """The inverse: a tensor, an array, or a number. `Mismatch` for anything else."""
    try:
        length = int.from_bytes(data[:WIDTH], "little")
        kind, dtype, shape = json.loads(data[WIDTH : WIDTH + length])
        if kind not in KINDS or type(dtype) is not str or (kind == "number" and shape):
            raise ValueError(kind)
        if np.dtype(dtype).kind not in "biuf" or np.dtype(dtype).itemsize > WIDTH or len(shape) > MOST_AXES:
            raise ValueError(dtype)
        if not all(type(n) is int and 0 <= n <= LARGEST for n in shape):
            raise ValueError(shape)
        array = np.frombuffer(data, dtype, size(shape), WIDTH + length).reshape(shape)
        array = array.astype(array.dtype.newbyteorder("="))
    except (ValueError, TypeError, RecursionError, OverflowError, SyntaxError) as error:
        raise Mismatch(f"party {owner} told public numbers that are none ({type(error).__name__})") from None
    if kind == "number":
        return array.item()
    if kind == "array":
        return array
    import torch

    return torch.from_numpy(array)


@protocol_step
def told(channel: Channel, what: str, owner: int, mine: bytes | None, session: bytes) -> list[Field]:
    """The bytes that `owner` tells all parties (its `mine`), as words; `CheatingDetected` if parties were told different ones."""
    note = json.dumps(["public", what, None if mine is None else len(mine)]).encode()
    came = channel.exchange({i: [note] for i in channel.peers}, dict.fromkeys(channel.peers, LONGEST), label="public")
    lengths = {i: _length(came[i], i, what, channel.me) for i in channel.peers}
    if channel.me == owner:
        assert mine is not None
        channel.exchange({i: [mine] for i in channel.peers}, {}, label="public")
    else:
        length = lengths[owner]
        if length is None or not 0 < length <= WIDTH * LARGEST or length % WIDTH:
            raise Mismatch(f"party {owner} announced no public numbers: do all parties run one version of tacit?")
        mine = bytes(channel.exchange({}, {owner: length}, label="public")[owner])
        if len(mine) != length:
            raise Mismatch(f"party {owner} sent {len(mine)} bytes of public numbers, and announced {length}")
    echo = hashlib.blake2b(mine, key=session[:64], digest_size=HASH, person=b"tacit echo").digest()
    echoes = channel.exchange({i: [echo] for i in channel.peers}, dict.fromkeys(channel.peers, HASH), label="public")
    for i in channel.peers:
        if bytes(echoes[i]) != echo:
            raise CheatingDetected(
                f"party {i} and party {channel.me} were told different public numbers by party {owner}, or one of these says so "
                "wrongly. Nothing was computed with them; start again, without the party that cheats if you know it"
            )
    return [np.frombuffer(mine, "<u8").astype(np.uint64)]


def _length(frame: bytes | bytearray, peer: int, what: str, me: int) -> int | None:
    try:
        note = json.loads(bytes(frame))
    except (ValueError, RecursionError):
        note = None
    match note:
        case ["public", str(theirs), int() | None as length] if theirs == what:
            return length
        case ["public", str(theirs), _]:
            raise Mismatch(
                f"party {me} and party {peer} run different programs: here «{what}» are told, there {theirs[:200]!a}"
            )
    raise Mismatch(
        f"party {me} and party {peer} run different programs: here {what} are told, there something else happens"
    )


def _torch_types(torch: Any) -> tuple[Any, ...]:
    """Those that NumPy has too."""
    return (
        torch.float64,
        torch.float32,
        torch.float16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
    )
