#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the policy checks cost: messages a second and CPU per message through a relay without any and through one with all that need no
DNS (allow and block lists of 100,000 entries each, greylisting, limits, pause exemption, reputation, guards), and through one that writes the
history as well, in alternation;
and the CPU of a client that is refused at once by a block list.
    policy.py PATH_TO_POSTERN [--messages N] [--sessions N] [--rounds N] [--refusals N]
"""
import argparse, os, shutil, socket, statistics, subprocess, tempfile, threading, time

from common import HOST, Relay, run, wait_for

SINK, DNS = 2536, 2535
PORTS = {'core': 2537, 'checks': 2538, 'history': 2544, 'refusing': 2539}
ENTRIES = 100_000


def write_lists(folder):
    """Entries that nobody in this run matches."""
    files = {}
    for name, line in (('clients', lambda i: f'10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}'),
                       ('senders', lambda i: f'user{i}@domain{i % 5000}.example'), ('recipients', lambda i: f'former{i}@here.example')):
        for which in ('allow', 'block'):
            files[which, name] = f'{folder}/{which}-{name}'
            with open(files[which, name], 'w') as f:
                f.writelines(f'{line(i if which == "allow" else i + ENTRIES)}\n' for i in range(ENTRIES))
    return {w: {n: [{'file': files[w, n]}] for n in ('clients', 'senders', 'recipients')} for w in ('allow', 'block')}


def config_of(kind, folder):
    c = {'hostname': 'bench.test', 'domains': [{'name': 'here.example', 'deliver': {'host': HOST, 'port': SINK, 'tls': 'none'}}],
         'listeners': [{'address': f'{HOST}:{PORTS[kind]}'}], 'log': {'level': 'info'}, 'queue': {'free_space': '0%'},
         'dns': {'servers': [f'{HOST}:{DNS}']}}
    none = {'sender': {'resolvable': False}, 'recipient': {'resolvable': False}, 'reputation': {'enabled': False}}
    none |= {check: {'enabled': False} for check in ('spf', 'dkim', 'arc', 'dmarc')}  # which need the DNS
    if kind in ('core', 'checks'):
        c |= {'store': {'history': 0}}
    if kind == 'core':
        c |= {'checks': none, 'guard': {'outbound': {'enabled': False}, 'open_relay': {'enabled': False}}}
    if kind in ('checks', 'history'):
        c['checks'] = none | write_lists(folder) | {
            'reputation': {'enabled': True}, 'greeting_pause': {'enabled': True, 'pause': '10ms'},
            'greylist': {'enabled': True, 'delay': '1s', 'private_exempt': False},
            'client_limits': {'enabled': True, 'connections': 10000, 'rate': 1000000},
            'recipient_limit': {'enabled': True, 'most': 1000}, 'helo': {'reject_invalid': True, 'reject_non_fqdn': True}}
    if kind == 'refusing':
        c['checks'] = none | write_lists(folder) | {'delay_reject': False}
        c['checks']['block']['clients'].append('127.0.0.0/24')
    return c


def answer_names(port):
    """A name server that knows no name: the relay asks once for each address, and then knows it."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((HOST, port))
    while True:
        query, peer = s.recvfrom(4096)
        end = query.index(b'\0', 12) + 5
        s.sendto(query[:2] + b'\x81\x83\0\1\0\0\0\0\0\0' + query[12:end], peer)


def start(binary, folder, kind):
    return Relay(binary, folder, kind, PORTS[kind], config_of(kind, folder))


def load(binary, relay, o, messages, *more):
    """Messages a second until the last is accepted; CPU of all the relay's processes per message until all are delivered, in us."""
    before, begin = relay.idle(), time.monotonic()
    run(binary, 'send', '--sessions', o.sessions, '--messages', messages, '--size', '2K', '--to', 'user@here.example', '--helo',
        'client.example', '--quiet', *more, f'{HOST}:{relay.port}')
    took = time.monotonic() - begin
    return messages / took, (relay.idle() - before) / messages * 1e6


def compare(binary, folder, o, what, *more):
    relays = {kind: start(binary, folder, kind) for kind in ('core', 'checks', 'history')}
    for relay in relays.values():
        load(binary, relay, o, 1000, '--retry', 10, *more)  # knows the client now
    rates, cpus = {kind: [] for kind in relays}, {kind: [] for kind in relays}
    for _ in range(o.rounds):
        for kind, relay in relays.items():
            rate, cpu = load(binary, relay, o, o.messages, *more)
            rates[kind].append(rate)
            cpus[kind].append(cpu)
    for kind, relay in relays.items():
        relay.stop()
        shutil.rmtree(f'{folder}/{kind}')
        shutil.rmtree(f'{folder}/{kind}-run', ignore_errors=True)
    rate, cpu = ({k: statistics.median(v) for k, v in d.items()} for d in (rates, cpus))
    print(f"{what}: {rate['core']:.0f} messages/s, {cpu['core']:.0f} us of CPU per message without checks (medians of {o.rounds})")
    for kind, name in (('checks', 'with all checks'), ('history', 'with them and the history')):
        print(f"  {name}: {rate[kind]:.0f} messages/s, {100 - 100 * rate[kind] / rate['core']:.1f} % less; {cpu[kind]:.0f} us", flush=True)


def refusals(binary, folder, o):
    relay = start(binary, folder, 'refusing')
    relay.idle()  # the first segment of the spool is written
    before = relay.cpu('relay-'), relay.cpu('store')
    for _ in range(o.refusals):
        s = socket.create_connection((HOST, relay.port))
        while s.recv(1000):
            pass
        s.close()
    relay.idle()
    print(f"refused at connect: {(relay.cpu('relay-') - before[0]) / o.refusals * 1e6:.0f} us of the worker's CPU each, "
          f"{(relay.cpu('store') - before[1]) / o.refusals * 1e6:.0f} us of the store's for the history ({o.refusals} connections)")
    relay.stop()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('binary')
    p.add_argument('--messages', type=int, default=20000)
    p.add_argument('--sessions', type=int, default=20)
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--refusals', type=int, default=10000)
    o = p.parse_args()
    binary, folder = os.path.abspath(o.binary), tempfile.mkdtemp(prefix='postern-policy-')
    sink = subprocess.Popen([binary, 'sink', '--listen', f'{HOST}:{SINK}', '--quiet'])
    wait_for(SINK)
    threading.Thread(target=answer_names, args=(DNS,), daemon=True).start()
    try:
        compare(binary, folder, o, 'kept connections', '--pipeline')
        compare(binary, folder, o, 'a connection each', '--reconnect')
        refusals(binary, folder, o)
    finally:
        sink.terminate()
        sink.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    main()
