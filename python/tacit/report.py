"""The report of a session, as plain text: what was sent, how long it took, what was revealed and how sure it all is."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tacit.transport.meter import Meter, Totals

if TYPE_CHECKING:
    from tacit.sessions.session import Session

SHOWN = 30
"""Labels shown; the rest is added up."""


def report(session: "Session") -> str:
    return "\n".join([*_head(session), *_traffic(session), *_ledger(session), *_security(session)])


def amount(count: float) -> str:
    """Bytes for people: 1.5 MB is 1,500,000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _head(session: "Session") -> list[str]:
    f = session.options.format
    return [
        f"party {session.me} of {session.parties}, protocol {session.protocol}, topology {session.options.topology}, "
        f"numbers of {f.integer} integer and {f.fraction} fraction bits"
    ]


def _traffic(session: "Session") -> list[str]:
    costs = session.engine.costs
    lines = ["", _sums("between the parties", session.meter, costs.online_seconds)]
    if session.material is not None:
        lines.append(_sums("correlated randomness", session.material, costs.material_seconds))
    labels = sorted(session.meter.by_label().items(), key=lambda item: (-item[1].sent, item[0]))
    lines += ["", f"{'sent':>10} {'received':>10} {'rounds':>7} {'seconds':>8}  by"]
    lines += [_row(total, label or "(no label)") for label, total in labels[:SHOWN]]
    if rest := labels[SHOWN:]:
        lines.append(_row(sum((total for _, total in rest), Totals()), f"{len(rest)} more"))
    return lines


def _sums(what: str, meter: Meter, seconds: float) -> str:
    total = meter.total()
    return (
        f"{what}: {amount(total.sent)} sent, {amount(total.received)} received, {total.rounds} rounds, {seconds:.2f} s, "
        f"of which {total.seconds:.2f} s in sending and waiting"
    )


def _row(total: Totals, label: str) -> str:
    return f"{amount(total.sent):>10} {amount(total.received):>10} {total.rounds:>7} {total.seconds:>8.3f}  {label}"


def _ledger(session: "Session") -> list[str]:
    if not (counted := session.engine.reveals):
        return ["", "revealed: nothing"]
    lines = ["", "revealed:"]
    for r, times in counted.items():
        often = f", {times} times" if times > 1 else ""
        lines.append(f"  {r.label}, shape {r.shape}, to {_receivers(r.to)}{often}{r.why and f': {r.why}'}")
    if session.options.debug:
        lines.append("  and to all, for debugging: every value of the session")
    return lines


def _receivers(to: Iterable[int] | None) -> str:
    return "all" if to is None else " and ".join(f"party {i}" for i in to)


def _security(session: "Session") -> list[str]:
    if session.protocol == "clear":
        return ["", "security: NONE, protocol clear sends every input as it is"]
    protocol = session.engine.protocol
    found = protocol.chances() + ([] if session.source is None else session.source.chances())
    parts = [(count, what, log) for count, what, log in found if count]
    suspected = sorted(protocol.faulty_parties)
    chance = sum(count * 2.0**log for count, _, log in parts)
    bound = f"2^{math.log2(chance):.1f}" if chance else "0"
    return [
        "",
        f"security: 128 bits computational; statistical, over the whole session, at most {bound} "
        f"({' + '.join(f'{count} {what} x 2^{log}' for count, what, log in parts)})",
        *(f"party {i} sent wrong shares, which were corrected" for i in suspected),
    ]
