# SPDX-License-Identifier: Apache-2.0
"""Mail signed by dkimpy, DKIM and ARC: keys, and their records."""
import base64
import subprocess


class RsaKey:
    def __init__(self, folder, domain, selector="s", bits=2048):
        self.domain, self.selector, self.path = domain, selector, folder / f"{selector}.{domain}.pem"
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", self.path, str(bits)], check=True, capture_output=True)
        der = subprocess.run(["openssl", "rsa", "-in", self.path, "-pubout", "-outform", "DER"], check=True,
                             capture_output=True).stdout
        self.pem, self.algorithm = self.path.read_bytes(), b"rsa-sha256"
        self.record = "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()

    @property
    def line(self):
        """Of the domain's zone file."""
        strings = " ".join(f'"{self.record[i:i + 250]}"' for i in range(0, len(self.record), 250))
        return f"{self.selector}._domainkey TXT {strings}\n"

    def sign(self, message, canonicalize=(b"relaxed", b"relaxed"), **more):
        """The message (bytes, CRLF) with a signature in front."""
        import dkim
        return dkim.sign(message, self.selector.encode(), self.domain.encode(), self.pem, canonicalize=canonicalize,
                         signature_algorithm=self.algorithm, **more) + message

    def seal(self, message, host):
        """With an ARC set in front; its results are those of the topmost Authentication-Results fields of `host`."""
        import dkim
        return b"".join(dkim.arc_sign(message, self.selector.encode(), self.domain.encode(), self.pem, host.encode())) + message


class EdKey(RsaKey):
    def __init__(self, folder, domain, selector="ed"):
        from nacl.signing import SigningKey
        key = SigningKey.generate()
        self.domain, self.selector, self.algorithm = domain, selector, b"ed25519-sha256"
        self.pem = base64.b64encode(key.encode())
        self.record = "v=DKIM1; k=ed25519; p=" + base64.b64encode(key.verify_key.encode()).decode()


class RelayKey(RsaKey):
    """A PEM file as the relay reads it, RSA or (kind "ed25519") Ed25519."""

    def __init__(self, folder, domain, selector="s", kind="rsa", bits=2048):
        folder.mkdir(parents=True, exist_ok=True)
        self.domain, self.selector, self.path = domain, selector, folder / f"{selector}.{domain}.pem"
        size = ["-pkeyopt", f"rsa_keygen_bits:{bits}"] if kind == "rsa" else []
        subprocess.run(["openssl", "genpkey", "-algorithm", kind, *size, "-out", self.path], check=True, capture_output=True)
        self.path.chmod(0o600)
        der = subprocess.run(["openssl", "pkey", "-in", self.path, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        self.pem, self.algorithm = self.path.read_bytes(), f"{kind}-sha256".encode()
        self.record = f"v=DKIM1; k={kind}; p=" + base64.b64encode(der if kind == "rsa" else der[-32:]).decode()

    @property
    def entry(self):
        """For dkim.keys."""
        return {"domain": self.domain, "selector": self.selector, "file": str(self.path)}

    @property
    def name(self):
        return f"{self.selector}._domainkey.{self.domain}"


def tags(field):
    """Of a signature's value."""
    text = b"".join(field.split()).decode()
    return dict(tag.split("=", 1) for tag in text.split(";") if tag)


def signatures(message, name=b"DKIM-Signature"):
    """The tags of each signature in the message, from the top."""
    head = message.split(b"\r\n\r\n", 1)[0].replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    return [tags(line.split(b":", 1)[1]) for line in head.split(b"\r\n") if line.lower().startswith(name.lower() + b":")]


def answers(keys):
    """A look-up for dkimpy that knows these keys."""
    records = {key.name: key.record.encode() for key in keys}
    return lambda name, timeout=5: records.get((name.decode() if isinstance(name, bytes) else name).rstrip("."))


def verified(message, keys):
    """(domain, selector) of each signature in the message, after dkimpy has found that all are right."""
    import dkim
    found = signatures(message)
    for i in range(len(found)):
        try:
            ok, why = dkim.DKIM(message).verify(idx=i, dnsfunc=answers(keys)), "the signature does not fit"
        except dkim.DKIMException as e:
            ok, why = False, e
        assert ok, (why, found[i], message[:3000])
    return [(t["d"], t["s"]) for t in found]
