"""A party's session: data goes in, numbers are computed with, and nothing comes out but what is revealed by name."""

import contextlib
import operator
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tacit.correlations.source import Source
from tacit.engine.callsite import where
from tacit.engine.engine import Engine, Purpose, Revealed
from tacit.engine.history import History
from tacit.engine.rejoin import Door, Return
from tacit.errors import NAMES, BadInput, CheatingDetected, ConfigurationError, PartyLost, named, reason
from tacit.numbers import saving, selection
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.array import SecretArray
from tacit.numbers.format import Format
from tacit.protocols.recoverable import Recoverable
from tacit.sessions import loops, public
from tacit.sessions import saved as saved_files
from tacit.sessions.data import Array, shape_of
from tacit.sessions.entry import DataEntry, Owned
from tacit.sessions.options import MEGABYTE, Options
from tacit.sessions.protocols import Setting, checked_backend, checked_policy, hub_of, protocol_kind
from tacit.sessions.saved import Key
from tacit.transport.channel import Channel
from tacit.transport.membership import Viewed
from tacit.transport.meter import Meter
from tacit.transport.signing import Signatures

FLOAT = 24
"""Significant bits of a float32."""


class Session:
    """One party's view. Every party runs the same script; values that a party does not own are None to it."""

    def __init__(
        self,
        me: int,
        parties: int,
        options: Options,
        channel: Channel | None,
        source: Source | None,
        session: bytes,
        *,
        signatures: Signatures | None = None,
        material: Meter | None = None,
        on_end: Callable[[str | None], None] = lambda why: None,
        report_to: Callable[["Session"], None] | None = None,
        door: Callable[[History], Door] | None = None,
        past: Return | None = None,
    ) -> None:
        """`channel` None: a dry run. `material` counts what the source sends.

        `signatures`: by which parties that lose each other agree on who is left; needed where the protocol survives losses.

        `door`: where parties that come back are met. `past`: this party is one, and runs through what was before.
        `on_end` is told why the session ended (None: in good order).
        """
        self.me, self.parties, self.protocol, self.options = me, parties, options.protocol, options
        kind = protocol_kind(options.protocol, parties, options.threshold)
        self._protocol = kind.make(
            Setting(me, parties, source, session, hub_of(options.topology), options.threshold, options.sets)
        )
        if channel is not None and isinstance(self._protocol, Recoverable):
            assert signatures is not None
            channel = Viewed(channel, session, signatures)
        ask = checked_policy(options.on_party_lost) == "raise"
        portion = options.memory * MEGABYTE // 2
        self.engine = Engine(
            self._protocol, source, channel, session, portion=portion, debug=options.debug, guard=options.guard, ask=ask
        )
        if (recovery := self.engine.recovery) is not None:
            recovery.door = None if door is None else door(recovery.history)
            recovery.past = past
        self.engine.start()
        self.generator = np.random.default_rng(options.seed)
        """Public randomness, the same at all parties as long as all draw from it alike."""
        self.arithmetic = Arithmetic(self.engine, options.format, self.generator)
        self._entry = DataEntry(self.arithmetic, channel, parties)
        self.meter = Meter() if channel is None else channel.meter
        self.material = material
        self.backend = checked_backend(options.backend)
        self._channel, self.source = channel, source
        self._on_end, self._report_to = on_end, report_to
        self._open = True

    # Losses.

    @property
    def survivors(self) -> tuple[int, ...]:
        """The parties that are still there. It changes in the same line of the script at all of them."""
        return self.engine.members

    @property
    def lost_parties(self) -> list[PartyLost]:
        """The losses that were survived: who, why, and in which operation."""
        return [] if self.engine.recovery is None else list(self.engine.recovery.lost)

    @property
    def returning(self) -> bool:
        """True while this party, which was lost, runs through what the others did meanwhile, until it has caught up.

        Until then its script goes as it went: what was revealed to all is what it was, what was revealed to this party alone is
        NaN, and what is saved holds nothing: do not write it over an earlier file.
        """
        return self.engine.returning

    def continue_without_lost(self) -> tuple[int, ...]:
        """After a loss that was raised (on_party_lost="raise"): go on with the parties that are left, which are returned."""
        if self.engine.recovery is None:
            raise ConfigurationError(f"protocol {self.protocol} cannot go on without all of its parties; shamir can")
        self.engine.recovery.allow()
        return self.survivors

    def revoke(self, party: int) -> None:
        """Go on without `party` from here on, and never let it in again, whatever certificate it shows.

        All parties call this in the same line; it is a step. The others get new keys and shares, so that what the revoked
        party holds is of no use to whoever has it. Its own script ends here.

        Parameters
        ----------
        party : int
            Its number. It may be lost already: then it cannot come back any more.

        Raises
        ------
        ConfigurationError
            If the protocol cannot go on without a party; and at the revoked party.
        TooFewLeft
            If the others are too few to go on.
        """
        self._entry.member(party, "party")
        if self.engine.recovery is None:
            raise ConfigurationError(f"protocol {self.protocol} cannot go on without all of its parties; shamir can")
        if party == self.me:
            raise ConfigurationError(f"this party ({party}) was revoked by the script: the others go on without it")
        self.engine.recovery.revoke(int(party))

    # Data.

    def secret(
        self,
        data: Any = None,
        owner: int | None = None,
        shape: Sequence[int] | None = None,
        format: Format | None = None,
        name: str | None = None,
    ) -> Any:
        """Data of party `owner`: an array, or a function that is called at the owner alone. Others may pass None.

        The others learn the shape (unless all give it) and nothing else; they wait one time-out for the owner to load it.
        Refused at the owner: what is not a finite number or does not fit the format, and what the format would round to
        nothing but zeros. Numbers are rounded to its last place, 2^-16 unless another is declared.
        """
        return self._wrap(self._entry.enter(data, owner, shape, format, name or "data"))

    def labels(
        self,
        data: Any,
        num_classes: int,
        owner: int | None = None,
        shape: Sequence[int] | None = None,
        name: str | None = None,
    ) -> Any:
        """Classes 0 ... `num_classes` - 1 of party `owner`, as secret one-hots; `data` as for `secret`, of any shape.

        With torch a tensor of that shape that says int64, for CrossEntropyLoss, Embedding, indexing and ==; else an array of
        the one-hots, shape (*shape, num_classes). Refused at the owner: what is not a whole number in this range.
        """
        num_classes = operator.index(num_classes)  # y.max() + 1 is NumPy's, and goes on the wire
        if num_classes < 1:
            raise ValueError(f"num_classes={num_classes}: there has to be one at least")
        one_hot = self._entry.enter(data, owner, shape, Format(0, 1), name or "labels", num_classes)
        if self.backend == "numpy":
            return SecretArray(self.arithmetic, one_hot)
        import torch

        from tacit import torch as secret_torch

        return secret_torch.wrap(self.arithmetic, selection.index(self.arithmetic, one_hot), torch.int64)

    def table(
        self,
        *,
        columns: Owned | None = None,
        rows: Owned | None = None,
        shapes: Mapping[int, Sequence[int]] | None = None,
        format: Format | None = None,
        name: str = "table",
    ) -> Any:
        """One secret table from several owners: `columns` {owner: data} side by side, or `rows` below each other."""
        return self._wrap(self._entry.table(columns, rows, shapes, format, name))

    def random(self, shape: int | Sequence[int] = (), low: float = 0.0, high: float = 1.0) -> Any:
        """Secret numbers that no party knows, uniform in [low, high)."""
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        return self._wrap(self.arithmetic.uniform(low, high, shape_of(sizes, "the shape of random numbers")))

    def public(self, x: Any, owner: int | None = None) -> Any:
        """Party `owner`'s public numbers, the same at all parties: for constants that each would compute a little differently.

        Parameters
        ----------
        x
            A number, a NumPy array or a tensor, or a function that gives one: **it is sent to all parties as it is**. What the
            other parties give is not looked at, and may be None.
        owner
            Whose is taken.

        Returns
        -------
        What `owner` gave: a number, an array, or a tensor, plain and public.

        Raises
        ------
        CheatingDetected
            Not all parties were told the same.
        """
        owner = self._entry.member(owner, "owner")
        what = f"public numbers of party {owner} at {where()}"
        if self.engine.dry or owner == self.me:
            x = x() if callable(x) and not hasattr(x, "__array__") else x
            if x is None:
                raise BadInput(f"{what}: there are none; in a plan, which asks nobody, each party has to give some")
            if self.is_secret(x):
                raise BadInput(f"{what}: they are secret; session.reveal(x) opens a secret")
        mine = public.packed(x) if self.engine.dry or owner == self.me else None
        if (channel := self._channel) is None:
            assert mine is not None
            return public.unpacked(mine, owner)

        def told() -> list[Any]:
            if owner not in self._protocol.members:
                raise PartyLost(owner, "its numbers are lost with it", what)
            try:
                return public.told(channel, what, owner, mine, self.engine.session)
            except CheatingDetected as error:
                self.engine.cheated(error)

        (words,) = self.engine.together(told, "reveal")
        found = public.unpacked(words.tobytes(), owner)
        self.engine.reveals[Revealed(what, np.shape(found), None)] += 1
        return found

    def share(self, module: Any, owner: int | None = None) -> Any:
        """A torch module whose parameters are secret; they start as those of `owner`'s module."""
        from tacit import torch as secret_torch

        return secret_torch.share_module(self, module, self._entry.member(owner, "owner"))

    def reveal(
        self, x: Any, to: int | Sequence[int] | None = None, *, name: str | None = None, why: str | None = None
    ) -> Any:
        """Open `x` (a secret, a list or tuple of secrets, or a shared module) to all, or to the parties `to` alone.

        Others get None. `name` and `why` are for the report, which lists all that was revealed; all parties give the same.
        A float32 becomes a float64 where its contract has numbers above 2^24, or more than 24 places.
        Everything opened so far is checked before, and what is opened here before it is returned.
        `OutOfRange` at those that see it, and only there, if a value is outside its contract: it is wrong, or may be. With a
        guard what was computed on the way is looked at before, and all parties learn of it (one bit).
        """
        receivers = self._receivers(to)
        if self._is_module(x):
            from tacit import torch as secret_torch

            opened = secret_torch.reveal_module(self, x, receivers, Purpose(name, why))
            return opened if receivers is None or self.me in receivers else None
        several = isinstance(x, list | tuple)
        values = list(x) if several else [x]
        shown = self.arithmetic.reveal([self.number(v) for v in values], receivers, Purpose(name, why))
        results = [None if s is None else self._plain(v, s) for v, s in zip(values, shown, strict=True)]
        return type(x)(results) if several else results[0]

    def materialize(self, x: Any) -> Any:
        """`x`, a secret, computed (or shared by its owner) now and revealed to nobody: what is only recorded keeps all that it
        needs in memory, and an owner that is lost before its data are needed takes them along."""
        self.engine.force(self.number(x).wire)
        return x

    def save(self, x: Any, path: str | os.PathLike[str], key: Key = None) -> None:
        """Write this party's shares of the secrets in `x` to the file `path`. All parties have to do it alike.

        Parameters
        ----------
        x
            A secret, a shared module (its `state_dict` is saved), or dictionaries, lists and tuples of secrets, numbers, texts
            and plain tensors, such as the `state_dict` of an optimizer.
        path
            This party's own path. The file is there as a whole or not at all, and only its owner may read it; if some party
            cannot write its own, all keep the files that they had. `torch.load(path, weights_only=True)` reads it.
        key
            32 bytes or more, or the path of a file with them, that the file is sealed with; each party has its own.

        Raises
        ------
        CheatingDetected
            Some value opened before was altered: nothing is saved.
        """
        held = saved_files.given(key)
        x = x.state_dict() if self._is_module(x) else x
        shares = iter(saving.export(self.arithmetic, [self._kept(y) for y in saving.leaves(x, self.is_secret)]))
        data = saved_files.packed(saving.replaced(x, self.is_secret, lambda _: next(shares)))
        if held is not None:
            data = saved_files.sealed(data, held)
        absent = self.engine.dry or self.returning
        written = None if absent else saved_files.Written(Path(path), data)
        try:
            self.engine.force(purpose="saved: all have written their shares")
            if written is not None:
                written.place()
        except BaseException:
            if written is not None:
                written.remove()
            raise

    def restore(self, saved: Any, key: Key = None) -> Any:
        """Secrets that were saved, by `save`, torch.save or pickle, in this session or an earlier one.

        Every party brings a file that one of the parties wrote, no two the same. All who saved have to; of what was saved under
        shamir, t + 1 of them. This session's protocol protects the values from then on.

        Parameters
        ----------
        saved
            The file's path, or what was loaded from it, alone or in lists, tuples and dictionaries, such as a state_dict.
        key
            The key with which the file at that path was sealed.

        Raises
        ------
        BadInput
            There are too few parties, or this party's file is damaged.
        Mismatch
            The parties bring shares of different values, or of different formats.
        CheatingDetected
            Some party brings other shares than it had saved. Nothing else is shown by it (docs/security/saved-shares.md).
        """
        if isinstance(saved, str | os.PathLike):
            saved = saved_files.read(Path(saved), saved_files.given(key))
        elif key is not None:
            raise ConfigurationError("key= goes with the path of a file")
        numbers = iter(saving.restore(self.arithmetic, list(saving.leaves(saved, saving.is_saved))))
        return saving.replaced(saved, saving.is_saved, lambda share: self._kind(share["kind"], next(numbers)))

    # Loops.

    def batches(
        self,
        *data: Any,
        batch_size: int,
        epochs: int = 1,
        shuffle: bool = True,
        seed: int | None = None,
        drop_last: bool = False,
        progress: bool = False,
    ) -> Iterator[Any]:
        """Batches of the same public, random rows of all `data`; each one ends a step. The data are opened once in all.

        The order is drawn from the session's generator, or from one of its own for `seed`.
        """
        return loops.batches(self, data, batch_size, epochs, shuffle, seed, drop_last, progress)

    def steps(self, count: int, progress: bool = False) -> Iterator[int]:
        """range(count), where each turn ends a step: what was written in place is forced."""
        return loops.steps(self, count, progress)

    def end_step(self) -> None:
        """The end of a step, which `steps` and `batches` call: what was written in place is forced, and the guard looks.

        `OutOfRange` at all parties, if there is a guard and some value of the step left its contract.
        """
        self.engine.step()

    # The end.

    def report(self) -> str:
        """The bytes sent, the time taken, and everything that was revealed, as text."""
        from tacit.report import report

        return named(report(self), NAMES.get())

    def close(self) -> None:
        """Check all that was opened, then part from the others."""
        if not self._open:
            return
        try:
            self.engine.finish()
            if self._report_to is not None:
                self._report_to(self)
            if self.source is not None:
                self.source.close()
        except BaseException as error:
            self._end(reason(error))
            raise
        self._end(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            self._end(reason(error))

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            with contextlib.suppress(Exception):  # the interpreter may be shutting down
                self._end("its script ended without closing its session")

    def __repr__(self) -> str:
        return f"<tacit session of party {self.me} of {self.parties}, protocol {self.protocol}>"

    def _end(self, why: str | None) -> None:
        if self._open:
            self._open = False
            if why is not None and self._channel is not None:
                self._channel.stop(why)
            if self.engine.recovery is not None and self.engine.recovery.door is not None:
                self.engine.recovery.door.close()
            self._on_end(why)
            if self._channel is not None:
                self._channel.close()
            if self.source is not None:
                self.source.stop()

    # Inside.

    def is_secret(self, x: Any) -> bool:
        """Return whether `x` is a SecretArray or SecretTensor."""
        secret_torch = sys.modules.get("tacit.torch")
        return isinstance(x, SecretArray) or (secret_torch is not None and bool(secret_torch.is_secret(x)))

    def number(self, x: Any) -> Number:
        """The number behind a SecretArray or SecretTensor."""
        if not self.is_secret(x):
            raise BadInput(f"a {type(x).__name__} is not secret: only secret arrays and tensors can be revealed")
        if isinstance(x, SecretArray):
            return x.number
        from tacit import torch as secret_torch

        return secret_torch.number(x)

    def rows(self, x: Any, chosen: Sequence[int] | NDArray[np.int64]) -> Any:
        """Public rows of `x`: a view, so that what is opened of `x` serves all of its batches."""
        return self._like(x, self.arithmetic.gather(self.number(x), 0, list(chosen)))

    def _like(self, x: Any, number: Number) -> Any:
        """`number` as the kind of secret that `x` is."""
        if isinstance(x, SecretArray):
            return SecretArray(self.arithmetic, number)
        from tacit import torch as secret_torch

        return secret_torch.wrap(self.arithmetic, number, x.dtype)

    def _wrap(self, number: Number) -> Any:
        if self.backend == "numpy":
            return SecretArray(self.arithmetic, number)
        from tacit import torch as secret_torch

        return secret_torch.wrap(self.arithmetic, number)

    def _plain(self, x: Any, values: Array) -> Any:
        if isinstance(x, SecretArray):
            return float(values) if values.ndim == 0 else values
        import torch

        whole = torch.from_numpy(np.array(values))
        return whole if x.dtype == torch.float32 and self._needs_double(self.number(x)) else whole.to(x.dtype)

    def _needs_double(self, n: Number) -> bool:
        """Return whether a float32 is too short for what the contract allows, to one unit or in the places of its fraction."""
        format = self.options.format
        above = n.bits if n.scale == 0 else min(n.bits - n.scale, format.integer)
        return not n.beyond and max(above, min(n.scale, format.fraction)) > FLOAT

    def _kept(self, x: Any) -> saving.Item:
        """How `x` is saved."""
        if isinstance(x, SecretArray):
            return x.number, "array", saving.in_bytes
        from tacit import torch as secret_torch

        return secret_torch.kept(x)

    def _kind(self, kind: str, number: Number) -> Any:
        if kind == "array":
            return SecretArray(self.arithmetic, number)
        import torch

        from tacit import torch as secret_torch

        return secret_torch.wrap(self.arithmetic, number, getattr(torch, kind.removeprefix("torch.")))

    def _is_module(self, x: Any) -> bool:
        torch = sys.modules.get("torch")
        return torch is not None and isinstance(x, torch.nn.Module)

    def _receivers(self, to: int | Sequence[int] | None) -> list[int] | None:
        if to is None:
            return None
        receivers = [to] if isinstance(to, int | np.integer) else list(to)
        if not receivers:
            raise ValueError("to=[]: nobody would see it; leave to= out to reveal to all")
        for index in receivers:
            self._entry.member(index, "to")
        return sorted({int(i) for i in receivers})
