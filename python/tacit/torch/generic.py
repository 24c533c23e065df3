"""Rules for whole families of operations, for one that is not in the table.

Tried in this order: random draws are refused; `name_` is the functional operation and a write, `.out` likewise;
`_foreach_*` is a loop; decompositions; composites; refusal.
"""

from typing import Any

import torch

from tacit.errors import Unsupported
from tacit.torch import refusals
from tacit.torch.rules import RULES, holds_secret, public, put, written
from tacit.torch.table import GENERIC, Handler
from tacit.torch.tensor import SecretTensor

aten = torch.ops.aten

# Those of PyTorch's decompositions that fall onto linear operations and products; not the ones of softmax, batch norm,
# sigmoid or max-pooling, which are right and far too dear on secrets.
_DECOMPOSED = frozenset({"addmv", "addr", "addbmm", "roll", "rot90"})

_FOREACH = {"List": "Tensor", "ScalarList": "Scalar", "Scalar": "Scalar", "Tensor": "Tensor"}


def random(func: Any) -> Handler | None:
    """Refused for public values too: the parties would draw differently."""
    if not refusals.is_random(func):
        return None

    def handler(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise Unsupported(refusals.unknown(func))

    return handler


def in_place(func: Any) -> Handler | None:
    name = _name(func)[1]
    if not name.endswith("_") or name.endswith("__") or name.startswith("_foreach"):
        return None
    functional = _functional(func, getattr(aten, name[:-1], None))
    if functional is None:
        return None
    if functional in RULES:
        return written(RULES[functional], functional)

    def handler(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _store(func, args[0], functional(*args, **kwargs))

    return handler


def out(func: Any) -> Handler | None:
    places = [a.name for a in func._schema.arguments if a.is_out]
    functional = _functional(func, func.overloadpacket) if len(places) == 1 else None
    if functional is None:
        return None

    def handler(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        others = {k: v for k, v in kwargs.items() if k != places[0]}
        return _store(func, kwargs[places[0]], functional(*args, **others))

    return handler


def _functional(func: Any, packet: Any) -> Any:
    """The overload of `packet` that takes what `func` takes, and writes nothing."""
    wanted = _taken(func)
    candidates = [getattr(packet, o) for o in packet.overloads()] if packet is not None else []
    return next((f for f in candidates if not f._schema.is_mutable and _taken(f) == wanted), None)


def _taken(func: Any) -> list[tuple[str, str]]:
    return [(a.name, str(a.type)) for a in func._schema.arguments if not a.is_out]


def _store(func: Any, target: Any, result: Any) -> Any:
    if type(target) is not SecretTensor:
        raise Unsupported(refusals.leak(func))
    put(func, target, result.read() if type(result) is SecretTensor else result)
    return target


def foreach(func: Any) -> Handler | None:
    """A loop over the operation on single tensors; one without a form that writes is computed, then written."""
    overload, name = _name(func)
    if not name.startswith("_foreach_"):
        return None
    single_name = name.removeprefix("_foreach_")
    packet = getattr(aten, single_name, None)
    stores = packet is None and name.endswith("_")
    packet = getattr(aten, single_name[:-1], None) if stores else packet
    single = getattr(packet, _FOREACH.get(overload, "default"), None) or getattr(packet, "default", None)
    if single is None:
        return None
    named = [a.name for a in single._schema.arguments if a.kwarg_only]
    positional = len(single._schema.arguments) - len(named)

    def handler(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        each = []
        for i in range(len(args[0])):
            mine = [x[i] if isinstance(x, list | tuple) else x for x in args]
            result = single(*mine[:positional], **dict(zip(named, mine[positional:], strict=False)), **kwargs)
            each.append(_store(func, mine[0], result) if stores else result)
        return None if name.endswith("_") else each

    return handler


def decomposition(func: Any) -> Handler | None:
    if _name(func)[1] not in _DECOMPOSED:
        return None
    from torch._decomp import decomposition_table

    found = decomposition_table.get(func)
    return None if found is None else lambda func, args, kwargs: found(*args, **kwargs)


def composite(func: Any) -> Handler | None:
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    if not func.has_kernel_for_dispatch_key(key):
        return None
    return lambda func, args, kwargs: func.decompose(*args, **kwargs)


def refused(func: Any) -> Handler:
    def handler(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not any(holds_secret(x) for x in (*args, *kwargs.values())):
            return func(*(public(x) for x in args), **{k: public(v) for k, v in kwargs.items()})
        places = [a for a in func._schema.arguments if a.alias_info is not None and a.alias_info.is_write]
        given = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
        if any(isinstance(given.get(p.name), torch.Tensor) and not _secret(given.get(p.name)) for p in places):
            raise Unsupported(refusals.leak(func))
        raise Unsupported(refusals.unknown(func))

    return handler


def _secret(x: Any) -> bool:
    return type(x) is SecretTensor


def _name(func: Any) -> tuple[str, str]:
    """(overload, name) of an aten operation."""
    return func._overloadname, func._schema.name.partition("::")[2]


GENERIC += [random, in_place, out, foreach, decomposition, composite, refused]
