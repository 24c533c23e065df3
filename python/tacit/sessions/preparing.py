"""A party that makes material ahead: what a dry run has listed, by lattices with the other parties, into its store."""

import sys
from pathlib import Path

from tqdm import tqdm

from tacit.errors import reason
from tacit.preprocessing import ahead
from tacit.preprocessing.lattice import BYTES, LatticeSource
from tacit.preprocessing.store import seal
from tacit.preprocessing.vault import StoreError, Writer, read_key
from tacit.sessions.context import Context
from tacit.sessions.emulation import emulated
from tacit.sessions.options import MEGABYTE, TIMEOUT, common_hello
from tacit.sessions.remote import agreed_id, open_endpoint
from tacit.steps import protocol_step
from tacit.transport.channel import Channel

WRITTEN = b"written"
FULL = 8
"""Bytes of material, for each number of a batch, that fill batches: the source then makes nothing beforehand on a guess."""
SPARE = 1 << 26
"""Bytes that are left free on the disk."""


def prepare(context: Context) -> None:
    """Fill this party's store. Either all parties have one when it returns, or this one raises."""
    lists, folder = Path(context.lists), Path(context.store) / str(context.me)
    outlook = ahead.Outlook.of(lists, context.me)
    with Writer(folder, read_key(Path(context.store_key))) as writer, open_endpoint(context) as endpoint:
        if (free := writer.free()) < outlook.bytes + SPARE:
            raise StoreError(
                f"the store takes {outlook.bytes:,} bytes, and {folder} has {free:,}: choose another disk for --store"
            )
        hello = {**common_hello(context.protocol, context.parties), "requests": ahead.digest(lists)[:16]}
        channel = endpoint.channel(
            "preparation", range(context.parties), hello, timeout=context.timeout or TIMEOUT, within=context.wait
        )
        try:
            _fill(context, channel, lists, outlook, writer)
        except BaseException as error:
            channel.stop(reason(error))
            raise
        finally:
            channel.close()


@protocol_step
def _fill(context: Context, channel: Channel, lists: Path, outlook: ahead.Outlook, writer: Writer) -> None:
    me, parties = context.me, context.parties
    identifier = agreed_id(channel, context)
    line = emulated(channel, context.latency, context.bandwidth)
    budget = context.memory * MEGABYTE // BYTES
    source = LatticeSource(me, parties, line, identifier, budget)
    with tqdm(
        total=outlook.bytes,
        unit="B",
        unit_scale=True,
        desc="preparing",
        mininterval=0.5,
        dynamic_ncols=True,
        disable=me != 0 and context.key_from is not None,  # of several parties here, one shows it
        file=sys.stderr,
    ) as bar:
        ahead.prepare(source, lists, me, outlook, writer, FULL * budget, bar.update)
    # A store is of use only if all have theirs.
    channel.exchange(
        {i: [WRITTEN] for i in channel.peers}, dict.fromkeys(channel.peers, len(WRITTEN)), label="preparation"
    )
    seal(writer, source, identifier, me, parties, outlook.lists)
    source.close()
