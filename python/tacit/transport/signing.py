"""Signatures of the parties, under the keys of the certificates that all others have pinned.

A signed text begins with bytes that TLS, which uses the same keys, never signs: TLS's begin with 64 spaces (RFC 8446, 4.4.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tacit.errors import ConfigurationError
from tacit.transport.identity import Identity


class Signatures:
    """One party's signatures, and the test of everybody's. Keys are read when they are first needed: hardly any run does.

    `certificates`: DER, by party; it may grow.
    """

    def __init__(self, identity: Identity, certificates: Mapping[int, bytes]) -> None:
        self._identity, self._certificates = identity, certificates
        self._own: Any = None
        self._keys: dict[int, Any] = {}

    def sign(self, message: bytes) -> bytes:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if self._own is None:
            self._own = load_pem_private_key(self._identity.key, None)
        signature: bytes = self._own.sign(message, *_scheme(self._own))
        return signature

    def valid(self, party: int, message: bytes, signature: bytes) -> bool | None:
        """Return whether `party` signed the message; None if its certificate is not known here."""
        from cryptography import x509
        from cryptography.exceptions import InvalidSignature

        if party not in self._keys:
            if party not in self._certificates:
                return None
            self._keys[party] = x509.load_der_x509_certificate(self._certificates[party]).public_key()
        key = self._keys[party]
        try:
            key.verify(signature, message, *_scheme(key))
        except InvalidSignature:
            return False
        return True


def _scheme(key: Any) -> tuple[Any, ...]:
    """Further arguments of `sign` and `verify`, for each kind of key that TLS 1.3 knows."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return (ec.ECDSA(hashes.SHA256()),)
    if isinstance(
        key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey | ed448.Ed448PrivateKey | ed448.Ed448PublicKey
    ):
        return ()
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH), hashes.SHA256()
    raise ConfigurationError(f"a key of the kind {type(key).__name__} cannot sign; make one with `tacit keygen`")
