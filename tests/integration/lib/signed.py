# SPDX-License-Identifier: Apache-2.0
"""Knot DNS with zones that it signs itself, and the trust anchor that makes them secure."""
import subprocess

from lib.dns import DnsProxy, name_of
from lib.programs import Knot, have
from lib.util import wait_until


class SignedKnot(Knot):
    """`signed`: names of zones to be signed. ds() is a zone's DS record."""

    def __init__(self, folder, zones, signed):
        self.signed = signed
        super().__init__(folder, zones)
        for zone in signed:
            wait_until(lambda: self.ds(zone), f"{zone} to be signed")

    def configuration(self, zones):
        text = super().configuration(zones)
        for zone in self.signed:
            line = f"    file: {self.folder}/{zone}.zone\n"
            text = text.replace(line, line + "    dnssec-signing: on\n    journal-content: all\n    zonefile-load: whole\n")
        return text

    def ds(self, zone):
        """"tag algorithm digest-type digest"."""
        done = subprocess.run([have("keymgr"), "-c", str(self.folder / "knot.conf"), zone, "ds"], capture_output=True,
                              text=True, timeout=20)
        lines = [line.split(" DS ", 1)[1] for line in done.stdout.splitlines() if " DS " in line]
        return next((line for line in lines if line.split()[2] == "2"), None)


def anchor(zone, ds, wrong=False):
    """A line of a trust anchor file; wrong: for a key that the zone does not have."""
    if wrong:
        ds = ds[:-1] + ("0" if ds[-1] != "0" else "1")
    return f"{zone}. IN DS {ds}\n"


class FailingNames(DnsProxy):
    """Answers SERVFAIL for names with this in them."""

    def __init__(self, upstream, part):
        self.part = part
        super().__init__(upstream)

    def _answer(self, sock, question, peer):
        if self.part not in name_of(question):
            super()._answer(sock, question, peer)
            return
        sock.sendto(question[:2] + bytes([0x80 | question[2], 0x82]) + question[4:], peer)
