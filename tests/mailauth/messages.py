# SPDX-License-Identifier: Apache-2.0
"""Messages by chance, keys and their records, and a signer that writes a signature's tags as it is told (RFC 6376 §3, §5)."""
import base64
import functools
import hashlib
import pathlib
import re

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, utils

KEYS = pathlib.Path(__file__).parent / "keys"
NAMES = ["From", "To", "Subject", "Date", "Message-ID", "Cc", "Reply-To", "MIME-Version", "Content-Type", "X-Mailer", "List-Id", "Received"]
VALUES = {
    "From": ["Joe <joe@football.example.com>", "joe@football.example.com", "\"A, B\" <a@b.example>,\r\n c@d.example", "=?utf-8?q?J=C3=B6?= <j@b.example>"],
    "To": ["suzie@shopping.example.net", "a@b.example,\r\n\tc@d.example", "undisclosed-recipients:;"],
    "Subject": ["Is dinner ready?", "  two  blanks\t and a tab ", "", "folded\r\n  twice\r\n\tover", "ends in a blank ", "caf\xc3\xa9", "a:b; c=d"],
    "Date": ["Fri, 11 Jul 2003 21:00:37 -0700 (PDT)", "Fri, 11 Jul 2003 21:00:37 -0700\r\n (PDT)"],
    "Message-ID": ["<20030712040037.46341.5F8J@football.example.com>"], "MIME-Version": ["1.0", "1.0 (x)"],
    "Content-Type": ["text/plain; charset=utf-8", "multipart/mixed;\r\n boundary=\"x\""],
    "Received": ["from a by b; Fri, 11 Jul 2003 21:00:37 -0700", "from c by d\r\n\twith ESMTP;\r\n\tFri, 11 Jul 2003 21:01:54 -0700 (PDT)"],
}
LINES = ["Hi.", "", "We lost the game. Are you hungry yet?", "  leading", "trailing  ", "a\t\tb   c \t", " ", "\t", ".", "..dots", "Joe.", "caf\xc3\xa9 \xff",
         "x" * 300, "-- ", "=20", "From here"]


def body(r):
    x = r.random()
    if x < 0.06:
        return b""
    if x < 0.1:
        return b"\r\n" * r.choice([1, 2, 5])
    text = "\r\n".join(r.choice(LINES) for _ in range(r.choice([1, 2, 4, 9, 30])))
    return (text + "\r\n" * r.choice([0, 1, 1, 1, 1, 2, 4])).encode("latin-1")


def field(r, name, obsolete):
    written = r.choice([name, name, name, name.upper(), name.lower()])
    value = r.choice(VALUES.get(name, ["some value", "x"]))
    return (written + r.choice([":", ":", ":", " :" if obsolete and r.random() < 0.03 else ":"]) + r.choice([" ", " ", " ", "", "  ", "\t"]) + value).encode("latin-1")


def message(r, obsolete=False):
    """(fields without CRLF, body). obsolete: there may be a blank before a colon (RFC 5322 §4.5.8)."""
    names = ["From"] + r.sample(NAMES[1:], r.randrange(2, 8))
    names += r.sample(names[1:], r.choice([0, 0, 0, 1]))
    r.shuffle(names)
    return [field(r, n, obsolete) for n in names], body(r)


def join(fields, text):
    return b"".join(f + b"\r\n" for f in fields) + b"\r\n" + text


@functools.lru_cache
def pem(name):
    return (KEYS / f"{name}.pem").read_text()


@functools.lru_cache
def _private(name):
    return serialization.load_pem_private_key(pem(name).encode(), None)


@functools.lru_cache
def public(name, form="spki"):
    key = _private(name).public_key()
    if name == "ed25519":
        data = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    else:
        shape = serialization.PublicFormat.PKCS1 if form == "pkcs1" else serialization.PublicFormat.SubjectPublicKeyInfo
        data = key.public_bytes(serialization.Encoding.DER, shape)
    return base64.b64encode(data).decode()


def record(name):
    return f"v=DKIM1; k={'ed25519' if name == 'ed25519' else 'rsa'}; p={public(name)}"


def signature(name, data, algorithm):
    digest = (hashlib.sha1 if algorithm.endswith("sha1") else hashlib.sha256)(data).digest()
    if name == "ed25519":
        return base64.b64encode(_private(name).sign(digest)).decode()
    kind = hashes.SHA1() if algorithm.endswith("sha1") else hashes.SHA256()
    return base64.b64encode(_private(name).sign(digest, padding.PKCS1v15(), utils.Prehashed(kind))).decode()


def canon_body(kind, text):
    if kind == "relaxed":
        text = re.sub(rb"[ \t]+", b" ", text)
        text = re.sub(rb" (?=\r\n|\Z)", b"", text)
    while text.endswith(b"\r\n\r\n") or text == b"\r\n":
        text = text[:-2]
    if text and not text.endswith(b"\r\n"):
        text += b"\r\n"
    return text or (b"\r\n" if kind == "simple" else b"")


def canon_field(kind, raw):
    if kind == "simple":
        return raw
    name, _, value = raw.partition(b":")
    return name.rstrip(b" \t").lower() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" \t")


def sign_raw(fields, text, template, names, key, canon=("relaxed", "relaxed"), algorithm="rsa-sha256", length=None):
    """The field that `template` describes, with {bh} and {b} put in."""
    canonical = canon_body(canon[1], text)[:length]
    digest = (hashlib.sha1 if algorithm.endswith("sha1") else hashlib.sha256)(canonical).digest()
    bare = template.replace("{bh}", base64.b64encode(digest).decode()).replace("{n}", str(len(canon_body(canon[1], text))))
    left, data = list(fields), b""
    for name in names:
        for i in range(len(left) - 1, -1, -1):
            if left[i].split(b":")[0].strip().lower() == name.lower().encode():
                data += canon_field(canon[0], left.pop(i)) + b"\r\n"
                break
    data += canon_field(canon[0], bare.replace("{b}", "").encode("latin-1"))
    return bare.replace("{b}", signature(key, data, algorithm)).encode("latin-1")
