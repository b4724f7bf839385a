#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the folder that the programs of this benchmark work on: world.py FOLDER.

A newsletter of 50 KB with a text and an HTML part, signed by dkimpy (rsa-sha256, 2048 bits, relaxed/relaxed); the
same sealed once by a forwarder; the envelope; the zone, a line a record; the keys."""
import base64
import quopri
import random
import subprocess
import sys
from pathlib import Path

import dkim

SIZE = 50 * 1024
SIGNED = [b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type", b"reply-to", b"list-unsubscribe"]
ZONE = [
    ("TXT", "bounces.example.com", "v=spf1 ip4:198.51.100.0/24 include:_spf.office.example include:_spf.mailer.example -all"),
    ("TXT", "_spf.office.example", "v=spf1 ip4:40.92.0.0/15 ip4:40.107.0.0/16 ip4:52.100.0.0/15 ip4:52.102.0.0/16 ip4:52.103.0.0/17 "
     "ip4:104.47.0.0/17 ip6:2a01:111:f400::/48 ip6:2a01:111:f403::/49 ip6:2a01:111:f403:8000::/51 -all"),
    ("TXT", "_spf.mailer.example", "v=spf1 ip4:167.89.0.0/17 ip4:208.117.48.0/20 ip4:50.31.32.0/19 ip4:198.37.144.0/20 ip4:192.0.2.0/24 ~all"),
    ("TXT", "mx7.mailer.example", "v=spf1 a -all"),
    ("A", "mx7.mailer.example", "192.0.2.17"),
    ("TXT", "_dmarc.example.com", "v=DMARC1; p=reject; sp=quarantine; adkim=r; aspf=r; pct=100; fo=1; "
     "rua=mailto:dmarc@example.com,mailto:reports@collector.example; ruf=mailto:dmarc@example.com"),
]
HEADER = """\
Received: from app4.mailer.example (app4.mailer.example [10.1.4.9])\r
\tby mx7.mailer.example (Mailer) with ESMTPS id 4XkT1m2Zq9z7\r
\tfor <reader@receiver.example>; Wed, 10 Jun 2026 08:15:02 +0000 (UTC)\r
Received: from localhost (localhost [127.0.0.1])\r
\tby app4.mailer.example with ESMTP id 9QwZr1;\r
\tWed, 10 Jun 2026 08:15:01 +0000 (UTC)\r
Date: Wed, 10 Jun 2026 08:15:01 +0000\r
From: =?utf-8?q?Caf=C3=A9_Example?= <news@example.com>\r
Reply-To: service@example.com\r
To: "A. Reader" <reader@receiver.example>\r
Message-ID: <20260610081501.4711.9QwZr1@app4.mailer.example>\r
Subject: =?utf-8?q?This_week=3A_what_is_new=2C_what_is_on_sale?=\r
 =?utf-8?q?_and_what_you_may_have_missed?=\r
List-Id: Weekly news <weekly.example.com>\r
List-Unsubscribe: <https://example.com/u/3f9a8c1b7d>, <mailto:leave@example.com?subject=3f9a8c1b7d>\r
List-Unsubscribe-Post: List-Unsubscribe=One-Click\r
Feedback-ID: 20260610:weekly:mailer\r
X-Mailer-Info: 10.1vbb1WZiF2clJHbhFmaX1jZrF2alpWZyNXZkJXe\r
MIME-Version: 1.0\r
Content-Type: multipart/alternative; boundary="=_b7c1d5e9a3f0"\r
\r
"""


def make_text(random, size):
    words = "the of and a to in is you that it he was for on are as with his they at be this have from or one had by word but".split()
    lines = []
    while sum(map(len, lines)) < size:
        lines.append(" ".join(random.choice(words) for _ in range(random.randint(4, 13))) + random.choice(["", "", "", "  "]) + "\r\n")
        if random.random() < 0.15:
            lines.append("\r\n")
    return "".join(lines)


def make_html(random, size):
    text = "<html><head><style>" + "td { padding: 0 4px; }\n" * 20 + "</style></head>\n<body>\n"
    while len(text) < size:
        text += '<tr>\n    <td style="font-family: Arial; color: #333333">\t<a href="https://example.com/r/%x?id=%x">%s</a></td>\n</tr>\n' % (
            random.getrandbits(64), random.getrandbits(96), make_text(random, 80).replace("\r\n", " é "))
    return quopri.encodestring(text.encode()).decode().replace("\n", "\r\n")


def make_message():
    seeded = random.Random(5)
    part = "--=_b7c1d5e9a3f0%s\r\n"
    head = 'Content-Type: text/%s; charset="utf-8"\r\nContent-Transfer-Encoding: %s\r\n\r\n'
    body = part % "" + head % ("plain", "8bit") + make_text(seeded, 12000) + part % "" + head % ("html", "quoted-printable")
    body += make_html(seeded, SIZE)[: SIZE - len(HEADER) - len(body) - 800]
    return (HEADER + body.rstrip() + "\r\n" + part % "--").encode()


def make_key(folder, name, *arguments):
    key = folder / name
    subprocess.run(["openssl", "genpkey", *arguments, "-out", key], check=True, stderr=subprocess.DEVNULL)
    public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    return key.read_bytes(), "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    key, record = make_key(folder, "rsa.pem", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    sealer, sealer_record = make_key(folder, "sealer.pem", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    make_key(folder, "ed25519.pem", "-algorithm", "ED25519")
    message = make_message()
    plain = dkim.sign(message, b"s2026", b"example.com", key, canonicalize=(b"relaxed", b"relaxed"), include_headers=SIGNED) + message
    (folder / "plain.eml").write_bytes(plain)
    seen = b"Authentication-Results: forward.example; spf=pass smtp.mailfrom=bounces.example.com;\r\n dkim=pass header.d=example.com; dmarc=pass header.from=example.com\r\n"
    # What it seals by default would take in the Received fields, which the next hops do not keep apart.
    seal = dkim.arc_sign(seen + plain, b"f1", b"forward.example", sealer, b"forward.example", include_headers=SIGNED)
    (folder / "arc.eml").write_bytes(b"".join(seal) + plain)
    zone = ZONE + [("TXT", "s2026._domainkey.example.com", record), ("TXT", "f1._domainkey.forward.example", sealer_record)]
    (folder / "zone").write_text("".join("\t".join(r) + "\n" for r in zone))
    (folder / "envelope").write_text("192.0.2.17\nmx7.mailer.example\nbounce-4711-reader=receiver.example@bounces.example.com\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
