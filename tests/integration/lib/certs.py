# SPDX-License-Identifier: Apache-2.0
"""Certificates of every kind for servers that relays talk to, and what DANE says of them."""
import datetime
import hashlib
import ipaddress
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def alternative_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Pair:
    """A certificate for these names and addresses and its key in folder/name.pem and .key, the one that signed it behind it; without names an
    authority. `files` are the two paths."""

    def __init__(self, folder, name, names=(), by=None, age=1, life=30):
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        begin = datetime.datetime.utcnow() - age * DAY
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(by.cert.subject if by else subject)
                   .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(begin).not_valid_after(begin + life * DAY)
                   .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([alternative_name(n) for n in names]), critical=False)
        self.cert = builder.sign(by.key if by else self.key, hashes.SHA256())
        folder.mkdir(parents=True, exist_ok=True)
        self.cert_file, self.key_file = folder / f"{name}.pem", folder / f"{name}.key"
        pem = serialization.Encoding.PEM
        self.cert_file.write_bytes(self.cert.public_bytes(pem) + (by.cert.public_bytes(pem) if by else b""))
        self.key_file.write_bytes(self.key.private_bytes(pem, serialization.PrivateFormat.PKCS8,
                                                         serialization.NoEncryption()))
        self.key_file.chmod(0o600)

    @property
    def files(self):
        return self.cert_file, self.key_file

    def tlsa(self, usage, selector=1):
        """A TLSA record's data, by SHA-256."""
        der = serialization.Encoding.DER
        if selector:
            data = self.key.public_key().public_bytes(der, serialization.PublicFormat.SubjectPublicKeyInfo)
        else:
            data = self.cert.public_bytes(der)
        return f"{usage} {selector} 1 {hashlib.sha256(data).hexdigest()}"

    def context(self, most=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert_file, self.key_file)
        if most:
            context.maximum_version = most
        return context
