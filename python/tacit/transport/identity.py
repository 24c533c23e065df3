"""Who a party is on the network: a key and a self-signed certificate, which the others pin by its SHA-256."""

from __future__ import annotations

import datetime
import hashlib
import logging
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from tacit.errors import ConfigurationError

YEARS = 10

log = logging.getLogger("tacit.transport")


@dataclass(frozen=True)
class Identity:
    """A private key (PEM) and its certificate (DER). The key is never printed."""

    certificate: bytes
    key: bytes = field(repr=False)

    def fingerprint(self) -> str:
        """SHA-256 of the certificate in hex: what the others pin."""
        return fingerprint(self.certificate)

    @property
    def pem(self) -> str:
        """The certificate as text, to be given to the other parties."""
        return ssl.DER_cert_to_PEM_cert(self.certificate)

    def save(self, certificate: str | os.PathLike[str], key: str | os.PathLike[str]) -> None:
        """Write both as PEM; only the owner may read the key file. An existing key is not replaced."""
        try:
            fd = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise ConfigurationError(f"there is a key at {os.fspath(key)} already; remove it first") from None
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, 0o600)
            file.write(self.key)
        Path(certificate).write_text(self.pem)

    @classmethod
    def load(cls, certificate: str | os.PathLike[str], key: str | os.PathLike[str]) -> Identity:
        """Read what `save` wrote, or any PEM certificate and unencrypted PEM key."""
        try:
            with open(key, "rb") as file:
                mode, content = os.fstat(file.fileno()).st_mode, file.read()
        except OSError as error:
            raise ConfigurationError(f"cannot read the key {os.fspath(key)}: {error.strerror}") from None
        if mode & 0o037:
            raise ConfigurationError(f"others may read the key {os.fspath(key)}; run: chmod 600 {os.fspath(key)}")
        if mode & 0o040:  # as Kubernetes mounts secrets
            log.warning("the group of the key %s may read it: whoever is in it can pass for this party", os.fspath(key))
        return cls._checked(certificate, content)

    @classmethod
    def received(cls, certificate: str | os.PathLike[str], descriptor: int) -> Identity:
        """The key comes through a pipe, which `handed` has made."""
        with os.fdopen(descriptor, "rb") as pipe:
            return cls._checked(certificate, pipe.read())

    def agree(self, certificate: bytes) -> bytes:
        """K = H(DH(own key, the other's), both fingerprints): what two parties share before they have ever talked.

        It keeps strangers from costing more than microseconds, and protects nothing else: secrecy and identity are TLS's.
        """
        from cryptography import x509  # slow to import
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            theirs = x509.load_der_x509_certificate(certificate).public_key()
            mine = load_pem_private_key(self.key, None)
            assert isinstance(mine, ec.EllipticCurvePrivateKey) and isinstance(theirs, ec.EllipticCurvePublicKey)
            shared = mine.exchange(ec.ECDH(), theirs)
        except (ValueError, TypeError, AssertionError):
            raise ConfigurationError(
                f"the keys of {self.fingerprint()} and {fingerprint(certificate)} are not on one elliptic curve, as those of "
                "`tacit keygen` are; make both with it"
            ) from None
        both = b"".join(sorted(hashlib.sha256(c).digest() for c in (self.certificate, certificate)))
        return hashlib.blake2b(both, key=shared, digest_size=32, person=b"tacit greeting").digest()

    def handed(self) -> int:
        """The reading end of a pipe with the key, for one process."""
        return _piped(self.key)

    @classmethod
    def _checked(cls, certificate: str | os.PathLike[str], key: bytes) -> Identity:
        identity = cls(load_certificate(certificate), key)
        identity.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # raises if they do not belong together
        return identity

    def load_into(self, context: ssl.SSLContext) -> None:
        """Give a TLS context this key. `ssl` takes the names of files only: it gets those of pipes, so that no key is in a file.

        A file of a process that is killed outlives it, however soon it would have been removed.
        """
        ends: list[int] = []
        try:
            for content in (self.pem.encode(), self.key):
                ends.append(_piped(content))
            certificate, key = (f"/dev/fd/{end}" for end in ends)
            context.load_cert_chain(certificate, key, _no_password)
        except FileNotFoundError:
            raise ConfigurationError(
                "this system has no /dev/fd, through which a private key avoids the disk"
            ) from None
        except (OSError, ValueError):  # of OpenSSL, whose own words get lost: a pipe cannot seek
            raise ConfigurationError(
                f"the key and the certificate {self.fingerprint()} do not belong together, or are no unencrypted "
                "PEM key and certificate; make both anew"
            ) from None
        finally:
            for end in ends:
                os.close(end)


def _piped(content: bytes) -> int:
    """The reading end of a pipe that holds `content`."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        if os.write(writing, content) < len(content):
            raise BlockingIOError
    except BlockingIOError:
        os.close(reading)
        raise ConfigurationError(f"a key or certificate of {len(content)} bytes is none") from None
    finally:
        os.close(writing)
    return reading


def _no_password() -> bytes:
    raise ValueError("the key is encrypted")


def fingerprint(certificate: bytes) -> str:
    return hashlib.sha256(certificate).hexdigest()


def pin(value: bytes | str) -> bytes:
    """The 32 bytes to compare with: from a DER certificate, a SHA-256 digest, or its hex (colons allowed)."""
    if isinstance(value, str):
        try:
            value = bytes.fromhex(value.replace(":", "").strip())
        except ValueError:
            raise ConfigurationError(f"{value!r} is no SHA-256 fingerprint: 64 hexadecimal digits are due") from None
        if len(value) != 32:
            raise ConfigurationError(f"a fingerprint of {len(value)} bytes: SHA-256 has 32 (64 hexadecimal digits)")
    return value if len(value) == 32 else hashlib.sha256(value).digest()


def load_certificate(path: str | os.PathLike[str]) -> bytes:
    """The DER bytes of the first certificate in a PEM file."""
    try:
        text = Path(path).read_text()
    except (OSError, ValueError) as error:  # no text, or a path that is none
        raise ConfigurationError(f"cannot read the certificate {os.fspath(path)}: {error}") from None
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    start, stop = text.find(begin), text.find(end)
    try:
        if start < 0 or stop < start:
            raise ValueError
        return ssl.PEM_cert_to_DER_cert(text[start : stop + len(end)])
    except ValueError:
        raise ConfigurationError(f"{os.fspath(path)} holds no PEM certificate") from None


def make_identity(name: str) -> Identity:
    """A new ECDSA P-256 key and its certificate for ten years. `name` is for people; only the pin counts."""
    from cryptography import x509  # slow to import, and needed here only
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64] or "tacit")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks of parties differ
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Identity(
        certificate.public_bytes(serialization.Encoding.DER),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
