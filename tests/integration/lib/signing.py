# SPDX-License-Identifier: Apache-2.0
"""Mail signed by other programs: keys, their records, DKIM and ARC by dkimpy, DKIM by opendkim-testmsg."""
import base64
import subprocess

from lib.programs import have


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


def opendkim_sign(key, message):
    """The message signed by OpenDKIM's library."""
    done = subprocess.run([have("opendkim-testmsg"), "-d", key.domain, "-k", key.path, "-s", key.selector], input=message,
                          capture_output=True, check=True)
    return done.stdout
