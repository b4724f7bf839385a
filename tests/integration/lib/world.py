# SPDX-License-Identifier: Apache-2.0
"""What the tests of a module about next hops share: sinks at addresses of their own, all on one port, the authority that signed their
certificates, and a name server that leads to them."""
import re

from lib.certs import Pair
from lib.signed import SignedKnot, anchor
from lib.sink import Sink
from lib.util import free_port


class World:
    """sinks, pairs and ip have each host by its name; what is put into `more` is stopped as well."""

    def __init__(self, folder):
        self.folder, self.port, self.ca = folder, free_port(), Pair(folder, "authority", life=3000)
        self.sinks, self.pairs, self.ip, self.more, self.names = {}, {}, {}, [], None

    def host(self, name, ip, names, tls=True, extensions=None, **how):
        """A sink and its certificate for these names. how: arguments of Pair."""
        pair = self.pairs[name] = Pair(self.folder, name, names, how.pop("by", self.ca), **how)
        self.ip[name] = ip
        self.sinks[name] = Sink(port=self.port, host=ip, tls=pair.context() if tls else None, **({"extensions": extensions} if extensions else {}))

    def serve(self, zones, signed, wrong=()):
        """The name server; the trust anchors of `wrong` do not fit their zones."""
        self.names = SignedKnot(self.folder / "knot", zones, signed)
        (self.folder / "anchors").write_text("".join(anchor(zone, self.names.ds(zone), zone in wrong) for zone in signed))

    def dns(self, server):
        return {"servers": [server.server], "timeout": "5s", "trust_anchor": str(self.folder / "anchors")}

    def routes(self, domains):
        """To their MX hosts."""
        return [{"to": d, "via": {"host": d, "mx": True, "port": self.port}} for d in domains]

    def stop(self):
        for thing in [*self.sinks.values(), *self.more, self.names]:
            if thing:
                thing.stop()


def outcome(relay, rcpt):
    """What became of the mail, None while that is open. p: delivered in the clear, e: encrypted and nothing proven, v: the certificate
    verified, d: a TLSA record matched, -: deferred."""
    m = re.search(rf"delivered id=\S+ to={re.escape(rcpt)} .*?tls=(\S+) tls_proof=(\S+)", relay.log())
    if m:
        return "p" if m[1] == "none" else {"none": "e", "verified": "v", "dane": "d"}[m[2]]
    return "-" if re.search(rf"destination-down destination=\S?mx:{re.escape(rcpt.split('@')[1])}:", relay.log()) else None
