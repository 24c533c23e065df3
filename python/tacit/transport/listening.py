"""Listening sockets, and what to do where none can be had."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Any

from tacit.errors import ConfigurationError


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. A launcher may open it and pass it to an `Endpoint`."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: the name is not known here ({error.strerror})"
        ) from None
    for family, _, _, _, address in found[:-1]:  # a name may have addresses of both kinds, and this machine one of them
        with contextlib.suppress(OSError):
            return _bound(family, address)
    family, _, _, _, address = found[-1]
    try:
        return _bound(family, address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"port {port} on {host or 'this machine'} is taken by another process; stop that one (is a party of an "
                "earlier run still there?), or give this party another port in the addresses of all parties"
            ) from None
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; the address has to belong to this machine "
            "(0.0.0.0 stands for all of its addresses), and ports below 1024 are reserved"
        ) from None


def _bound(family: int, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # else a port stays taken for a minute after each run
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(128)
    except OSError:
        sock.close()
        raise
    return sock
