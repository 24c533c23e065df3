"""Bytes between parties: rounds over memory or TLS, counted, with time-outs everywhere."""

from tacit.transport.channel import Buffer, Channel
from tacit.transport.endpoint import Endpoint
from tacit.transport.handshake import handshake
from tacit.transport.identity import Identity, fingerprint, load_certificate, make_identity
from tacit.transport.listening import listen
from tacit.transport.memory import network
from tacit.transport.meter import HEADER_SIZE, Label, Meter, Snapshot, Totals
from tacit.transport.tcp import TcpChannel

__all__ = [
    "HEADER_SIZE",
    "Buffer",
    "Channel",
    "Endpoint",
    "Identity",
    "Label",
    "Meter",
    "Snapshot",
    "TcpChannel",
    "Totals",
    "fingerprint",
    "handshake",
    "listen",
    "load_certificate",
    "make_identity",
    "network",
]
