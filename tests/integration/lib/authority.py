# SPDX-License-Identifier: Apache-2.0
"""Certificates as an administrator has them: an authority, one below it that signs, and PEM files of servers and clients."""
import subprocess


def openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Pair:
    def __init__(self, folder, name):
        self.cert, self.key = folder / f"{name}.pem", folder / f"{name}.key"

    @property
    def option(self):
        """As tls.certificates takes it."""
        return {"certificate": str(self.cert), "key": str(self.key)}


class Authority:
    """root → middle → what is made. folder/root.pem is what those who verify need."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.root_pair = self._sign("root", None, ["basicConstraints=critical,CA:TRUE"], 3650, "P-256")
        self.middle = self._sign("middle", self.root_pair, ["basicConstraints=critical,CA:TRUE"], 1000, "P-256")
        self.root = self.root_pair.cert

    def _sign(self, name, issuer, extensions, days, key, subject=None):
        pair = Pair(self.folder, name)
        kind = ["-newkey", key] if key.startswith("rsa") else ["-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{key}"]
        by = ["-CA", issuer.cert, "-CAkey", issuer.key] if issuer else []
        openssl("req", "-x509", "-nodes", *kind, "-subj", f"/CN={subject or name}", "-days", days, "-keyout", pair.key, "-out", pair.cert,
                *by, *[x for e in extensions for x in ("-addext", e)])
        pair.key.chmod(0o600)
        return pair

    def make(self, file, *names, key="P-256", days=90, chain=True, usage=None, subject=None):
        """A pair with these DNS names; chain: the signing certificate is put behind it."""
        extensions = ["subjectAltName=" + ",".join(f"DNS:{n}" for n in names)] if names else []
        if usage:
            extensions.append(f"extendedKeyUsage={usage}")
        pair = self._sign(file, self.middle, ["basicConstraints=CA:FALSE", *extensions], days, key, subject)
        if chain:
            pair.cert.write_text(pair.cert.read_text() + self.middle.cert.read_text())
        return pair
