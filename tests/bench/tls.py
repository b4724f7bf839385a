#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What TLS costs a relay: CPU per message on kept connections with and without it, and CPU per full handshake beside what `openssl speed`
says the key's signature alone takes. CPU is that of the relay's worker, so that the other side may share the machine.
    tls.py PATH_TO_POSTERN [--messages N] [--size BYTES] [--seconds N] [--rounds N]
"""
import argparse, os, re, shutil, subprocess, sys, tempfile, time

import common
from common import HOST, cpu_of, run, wait_for

SINK = 2526
PORTS = {'ecdsap256': (2527, 2528), 'rsa2048': (2529, 2530)}  # STARTTLS, implicit


def make_key(folder, kind):
    new = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] if kind == 'ecdsap256' else ['-newkey', 'rsa:2048']
    run('openssl', 'req', '-x509', '-nodes', *new, '-subj', '/CN=bench.test', '-addext', 'subjectAltName=DNS:bench.test', '-days', '30',
        '-keyout', f'{folder}/{kind}.key', '-out', f'{folder}/{kind}.pem')


def s_time(port, what, version, seconds):
    out = run('openssl', 's_time', '-connect', f'{HOST}:{port}', what, '-time', seconds, version)
    return int(re.search(r'(\d+) connections in \d+ real seconds', out)[1])


def reference(folder, kind, version, seconds):
    """Full handshakes per CPU second of OpenSSL's own server, which does nothing else: its sockets and libcrypto are in it, too."""
    server = subprocess.Popen(['openssl', 's_server', '-accept', f'{HOST}:2599', '-cert', f'{folder}/{kind}.pem', '-key', f'{folder}/{kind}.key',
                               '-num_tickets', '1', '-quiet'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(2599)
    before = cpu_of(server.pid)
    n = s_time(2599, '-new', version, seconds)
    time.sleep(0.3)
    rate = n / (cpu_of(server.pid) - before)
    server.terminate()
    server.wait()
    return rate


class Relay(common.Relay):
    """One worker; next hop is a sink."""

    def __init__(self, binary, folder, kind):
        port, self.implicit = PORTS[kind]
        shutil.rmtree(f'{folder}/{kind}', ignore_errors=True)
        super().__init__(binary, folder, kind, port, {
            'hostname': 'bench.test', 'smarthost': {'host': HOST, 'port': SINK, 'tls': 'none'},
            'listeners': [{'address': f'{HOST}:{port}'}, {'address': f'{HOST}:{self.implicit}', 'tls': 'implicit'}],
            'zones': {'here': {'networks': ['127.0.0.0/8'], 'trust': 'relay'}},
            'checks': {'sender': {'resolvable': False}, 'recipient': {'resolvable': False}} |
                      {check: {'enabled': False} for check in ('spf', 'dkim', 'arc', 'dmarc')}, 'guard': {'outbound': {'enabled': False}},
            'tls': {'certificate': f'{folder}/{kind}.pem', 'key': f'{folder}/{kind}.key'}, 'log': {'level': 'warning'},
            'system': {'workers': 1}})

    def idle(self):
        return super().idle('relay-')


def per_message(binary, relay, o, *tls):
    before = relay.idle()
    run(binary, 'send', *tls, '--pipeline', '--sessions', 4, '--messages', o.messages, '--size', o.size, '--quiet', f'{HOST}:{relay.port}')
    return (relay.idle() - before) / o.messages * 1e6


def messages(binary, folder, o):
    sink = subprocess.Popen([binary, 'sink', '--listen', f'{HOST}:{SINK}', '--quiet'])
    wait_for(SINK)
    relay = Relay(binary, folder, 'ecdsap256')
    plain, tls = [], []
    try:
        per_message(binary, relay, o)  # warm
        for _ in range(o.rounds):
            plain.append(per_message(binary, relay, o))
            tls.append(per_message(binary, relay, o, '--tls'))
    finally:
        relay.stop()
        sink.terminate()
        sink.wait()
    print(f'{o.size} bytes, kept connections, {o.messages} messages, best of {o.rounds}: plain {min(plain):.1f} us of CPU each, '
          f'TLS {min(tls):.1f} us: {min(tls) / min(plain):.2f} times')


def speed(kind, seconds):
    """Signatures a second, of one core."""
    out = run('openssl', 'speed', '-seconds', seconds, kind)
    return float(re.search(r'(?:nistp256\)|rsa 2048 bits)(?:\s+[\d.]+s){2}\s+([\d.]+)', out)[1])


def exchange(seconds):
    """X25519 agreements a second: a handshake makes a key, which costs about one, and agrees."""
    return float(re.search(r'X25519\)\s+[\d.]+s\s+([\d.]+)', run('openssl', 'speed', '-seconds', seconds, 'ecdhx25519'))[1])


def handshakes(binary, folder, o, kind):
    relay = Relay(binary, folder, kind)
    try:
        for version, whats in (('-tls1_2', ('-new', '-reuse')), ('-tls1_3', ('-new',))):  # s_time does not read a ticket of 1.3
            for what in whats:
                before = relay.idle()
                n = s_time(relay.implicit, what, version, o.seconds)
                cpu = relay.idle() - before
                yield kind, version[1:], what[1:], n / cpu, n
    finally:
        relay.stop()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('postern')
    for name, default in (('messages', 20000), ('size', 4096), ('seconds', 5), ('rounds', 3)):
        a.add_argument(f'--{name}', type=int, default=default)
    o = a.parse_args()
    binary = os.path.abspath(o.postern)
    with tempfile.TemporaryDirectory(prefix='postern-tls-') as folder:
        for kind in PORTS:
            make_key(folder, kind)
        messages(binary, folder, o)
        agree = exchange(o.seconds)
        for kind in PORTS:
            sign = speed(kind, o.seconds)
            bound = 1 / (1 / sign + 2 / agree)
            print(f'{kind}: openssl speed: {sign:.0f} signatures/s; with making and agreeing on an X25519 key {bound:.0f}/s')
            for _, version, what, rate, n in handshakes(binary, folder, o, kind):
                of = ' (resumed)'
                if what == 'new':
                    other = reference(folder, kind, '-' + version, o.seconds)
                    of = f': {100 * rate / bound:.0f} % of that, {100 * rate / other:.0f} % of openssl s_server ({other:.0f})'
                print(f'  {version} {what}: {rate:.0f} sessions per CPU second ({n} made){of}')


if __name__ == '__main__':
    sys.exit(main())
