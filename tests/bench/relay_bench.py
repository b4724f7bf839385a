#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Relay benchmark: smtp-source -> relay -> smtp-sink on loopback, Postern and Postfix (tuned for throughput) in turns.

Both queue durably on the same disk. A run counts only if every message was accepted and exactly as many reached the
sink. The clock runs from the first connection until the sink has the last message. Ratios are medians over the rounds
of the rates in the same round. Everything runs in a network namespace in which only loopback exists. Needs root.
"""
import argparse, json, os, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

PORT, SINK = 2525, 2526
#              messages, bytes, sessions, recipients, many messages per connection
CASES = {
    'small20': (20000, 4096, 20, 1, False),
    'small20d': (20000, 4096, 20, 1, True),
    'small100': (20000, 4096, 100, 1, False),
    'small100d': (20000, 4096, 100, 1, True),
    'large': (500, 1 << 20, 10, 1, False),
    'rcpt50': (1000, 4096, 20, 50, False),
}
TICK = os.sysconf('SC_CLK_TCK')


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def process_tree(root):
    stats, children = {}, {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                fields = open(f'/proc/{name}/stat').read().rpartition(')')[2].split()
            except OSError:
                continue
            stats[int(name)] = fields
            children.setdefault(int(fields[1]), []).append(int(name))
    found, todo = {}, [root]
    while todo:
        pid = todo.pop()
        if pid in stats:
            found[pid] = stats[pid]
            todo += children.get(pid, [])
    return found


def cpu_seconds(root):
    """User and system time of a process, its descendants, and their dead children."""
    return sum(sum(map(int, f[11:15])) for f in process_tree(root).values()) / TICK


def pss_kib(root):
    total = 0
    for pid in process_tree(root):
        try:
            total += int(re.search(r'^Pss: +(\d+)', open(f'/proc/{pid}/smaps_rollup').read(), re.M)[1])
        except (OSError, TypeError):
            pass
    return total


def wait_greeting(port, proc):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if proc.poll() is not None:
            raise RuntimeError(f'ended with {proc.returncode} before it listened')
        try:
            with socket.create_connection(('127.0.0.1', port), 2) as s:
                if s.recv(500).startswith(b'220'):
                    s.sendall(b'QUIT\r\n')
                    s.recv(100)
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f'no greeting on port {port}')


def stop(proc):
    """Ends a process and what it started."""
    if proc.poll() is None:
        proc.terminate()
        try:
            proc.wait(20)
        except subprocess.TimeoutExpired:
            for pid in process_tree(proc.pid):
                os.kill(pid, signal.SIGKILL)
            proc.wait()


class Sink:
    def __init__(self):
        self.out = tempfile.TemporaryFile()
        self.proc = subprocess.Popen(['/usr/sbin/smtp-sink', '-c', '-m', '2000', '-u', 'nobody', f'127.0.0.1:{SINK}', '4096'],
                                     stdout=self.out)
        wait_greeting(SINK, self.proc)

    def count(self):
        fd = self.out.fileno()
        size = os.fstat(fd).st_size
        found = re.findall(rb'mesg=(\d+)\r', os.pread(fd, 200, max(0, size - 200)))
        return int(found[-1]) if found else 0


POSTFIX_MAIN = """
compatibility_level = 3.6
myhostname = bench.test
mydestination = localhost
relayhost = [127.0.0.1]:{sink}
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
queue_directory = {dir}/spool
data_directory = {dir}/data
in_flow_delay = 0
default_process_limit = 400
max_use = 10000
initial_destination_concurrency = 20
default_destination_recipient_limit = 100
smtp_connection_cache_on_demand = no
qmgr_message_active_limit = 50000
qmgr_message_recipient_limit = 100000
smtpd_peername_lookup = no
disable_dns_lookups = yes
smtpd_relay_restrictions = permit_mynetworks,reject
smtpd_recipient_restrictions =
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
receive_override_options = no_address_mappings,no_header_body_checks,no_milters,no_unknown_recipient_checks
local_recipient_maps =
alias_maps =
alias_database =
local_header_rewrite_clients =
notify_classes =
smtpd_tls_security_level = none
smtp_tls_security_level = none
"""


def start_postfix(folder):
    for sub in ('etc', 'spool', 'data'):
        os.mkdir(f'{folder}/{sub}')
    shutil.chown(f'{folder}/data', 'postfix')
    with open('/usr/share/postfix/master.cf.dist') as f:
        master = re.sub(r'^smtp( +)inet', f'127.0.0.1:{PORT} inet', f.read(), flags=re.M)
    master = re.sub(r'^([^# ]+ +(?:inet|unix) +[-yn] +[-yn] +)[y-]', r'\1n', master, flags=re.M)   # no chroot
    with open(f'{folder}/etc/master.cf', 'w') as f:
        f.write(master)
    with open(f'{folder}/etc/main.cf', 'w') as f:
        f.write(POSTFIX_MAIN.format(dir=folder, sink=SINK))
    return subprocess.Popen(['/usr/sbin/postfix', '-c', f'{folder}/etc', 'start-fg'],
                            stdout=open(f'{folder}/out', 'wb'), stderr=subprocess.STDOUT)


def start_postern(folder, binary):
    with open(f'{folder}/postern.yaml', 'w') as f:
        f.write(f'''hostname: bench.test
listeners: [{{address: "127.0.0.1:{PORT}", tls: none}}]
zones:
  lan: {{networks: [127.0.0.0/8], trust: relay}}
smarthost: {{host: 127.0.0.1, port: {SINK}, tls: none}}
limits: {{connections_per_client: 20000, connections: 20000}}
system: {{directory: {folder}/data, run_directory: {folder}/run, user: nobody, admin_user: nobody}}
''')
    return subprocess.Popen([binary, 'run', '-c', f'{folder}/postern.yaml'],
                            stdout=open(f'{folder}/out', 'wb'), stderr=subprocess.STDOUT)


class Relay:
    def __init__(self, name, binary):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix='postern-bench-')
        os.chmod(self.dir, 0o755)
        self.proc = start_postfix(self.dir) if name == 'postfix' else start_postern(self.dir, binary)
        try:
            wait_greeting(PORT, self.proc)
        except RuntimeError:
            say(open(f'{self.dir}/out', errors='replace').read()[-2000:])
            raise

    def close(self):
        stop(self.proc)
        shutil.rmtree(self.dir, ignore_errors=True)


def push(relay, sink, n, case, limit=180):
    _, size, sessions, rcpts, keep = case
    before, cpu = sink.count(), cpu_seconds(relay.proc.pid)
    start = time.monotonic()
    load = subprocess.Popen(['/usr/sbin/smtp-source', '-4', '-C', '50', '-M', 'gen.test', '-f', 'sender@gen.test', '-t', 'rcpt@dest.test',
                             '-m', str(n), '-l', str(size), '-s', str(min(sessions, n)), '-r', str(rcpts), *(['-d'] if keep else []),
                             f'inet:127.0.0.1:{PORT}'], stderr=subprocess.PIPE)
    accepted = None
    while True:
        if accepted is None and load.poll() is not None:
            accepted = time.monotonic() - start
            if load.returncode:
                raise RuntimeError('smtp-source: ' + load.stderr.read().decode(errors='replace')[-300:])
        if accepted is not None and sink.count() - before >= n:
            break
        if time.monotonic() - start > limit:
            load.kill()
            raise RuntimeError(f'{sink.count() - before} of {n} delivered after {limit} s')
        time.sleep(0.004)
    took = time.monotonic() - start
    time.sleep(0.5)
    if sink.count() - before != n:
        raise RuntimeError(f'{sink.count() - before} delivered of {n}')
    return {'rate': n / took, 'accept': n / accepted, 'cpu': (cpu_seconds(relay.proc.pid) - cpu) * 1000 / n, 'n': n}


def measure(name, binary, case, n, want=None):
    sink = relay = None
    try:
        sink, relay = Sink(), Relay(name, binary)
        push(relay, sink, max(case[2], 40), case)
        return want(relay, sink) if want else push(relay, sink, n, case)
    finally:
        for part in (relay and relay.close, sink and (lambda: stop(sink.proc))):
            part and part()


def cmd_run(a):
    rows = []
    for name in a.cases.split(','):
        case = CASES[name]
        n = {}
        for relay in ('postfix', 'postern'):         # how many messages fit in a.secs
            probe = measure(relay, a.binary, case, max(case[2], case[0] // 20))
            n[relay] = max(case[2], min(case[0], int(probe['accept'] * a.secs)))
        for rnd in range(a.rounds):
            for relay in ('postfix', 'postern'):
                r = measure(relay, a.binary, case, n[relay])
                rows.append({'case': name, 'relay': relay, 'round': rnd, **r})
                say(json.dumps(rows[-1]))
    print(f'{"case":10} {"postfix/s":>10} {"postern/s":>10} {"ratio":>6} {"cpu postfix":>12} {"cpu postern":>12} {"1/":>6}')
    for name in a.cases.split(','):
        def column(relay, key):
            return [r[key] for r in rows if r['case'] == name and r['relay'] == relay]
        base, ours = column('postfix', 'rate'), column('postern', 'rate')
        cpu_base, cpu_ours = statistics.median(column('postfix', 'cpu')), statistics.median(column('postern', 'cpu'))
        print(f'{name:10} {statistics.median(base):10.0f} {statistics.median(ours):10.0f} '
              f'{statistics.median(o / b for o, b in zip(ours, base)):6.1f} {cpu_base:10.2f} s {cpu_ours:10.3f} s {cpu_base / cpu_ours:6.1f}')
    print('rates: messages relayed per second; cpu: seconds per 1000 messages; medians, ratio: median of the rounds')


def cmd_idle(a):
    """Memory of many idle sessions, after EHLO."""
    def idle(relay, sink):
        before, open_sockets = pss_kib(relay.proc.pid), []
        for _ in range(a.n):
            s = socket.create_connection(('127.0.0.1', PORT), 10)
            s.recv(500)
            s.sendall(b'EHLO idle.test\r\n')
            open_sockets.append(s)
        for s in open_sockets:
            assert s.recv(2000).startswith(b'250')
        time.sleep(1)
        per = (pss_kib(relay.proc.pid) - before) / a.n
        print(f'{a.n} idle sessions: {per:.1f} KiB each')
        for s in open_sockets:
            s.close()
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (a.n + 500, max(a.n + 500, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    measure('postern', a.binary, CASES['small20'], 0, idle)


def cmd_latency(a):
    """Last byte to 250 with one session, beside the disk's own flush."""
    def one(relay, sink):
        with socket.create_connection(('127.0.0.1', PORT), 10) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            f = s.makefile('rb')
            f.readline()
            def command(line):
                s.sendall(line)
                while True:
                    reply = f.readline()
                    if reply[3:4] != b'-':
                        return reply
            command(b'EHLO one.test\r\n')
            body = b'Subject: x\r\n\r\n' + (b'x' * 70 + b'\r\n') * 56
            times = []
            for _ in range(a.n):
                command(b'MAIL FROM:<a@gen.test>\r\n')
                command(b'RCPT TO:<b@dest.test>\r\n')
                command(b'DATA\r\n')
                start = time.perf_counter()
                assert command(body + b'.\r\n').startswith(b'250')
                times.append(time.perf_counter() - start)
        fd = os.open(f'{relay.dir}/probe', os.O_CREAT | os.O_WRONLY)
        os.write(fd, b'x' * 4096 * a.n)
        os.fsync(fd)
        os.lseek(fd, 0, 0)
        flush = []
        for _ in range(a.n):
            start = time.perf_counter()
            os.write(fd, b'y' * 4096)
            os.fdatasync(fd)
            flush.append(time.perf_counter() - start)
        os.close(fd)
        print(f'last byte to 250, one session: median {statistics.median(times) * 1e6:.0f} us; '
              f'write over 4 KiB + fdatasync: median {statistics.median(flush) * 1e6:.0f} us')
    measure('postern', a.binary, CASES['small20d'], 0, one)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', choices=['run', 'idle', 'latency'])
    p.add_argument('binary', help='postern to measure')
    p.add_argument('--cases', default=','.join(CASES))
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--secs', type=float, default=20, help='most seconds of one run')
    p.add_argument('-n', type=int, default=1000, help='sessions (idle) or messages (latency)')
    a = p.parse_args()
    a.binary = os.path.abspath(a.binary)
    if os.geteuid() != 0:
        sys.exit('relay_bench.py needs root: it runs Postfix and makes a network namespace')
    if not os.environ.get('POSTERN_BENCH_NS'):
        os.environ['POSTERN_BENCH_NS'] = '1'
        os.execvp('unshare', ['unshare', '--net', '--', sys.executable, *sys.argv])
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    if subprocess.run(['stat', '-f', '-c', '%T', tempfile.gettempdir()], capture_output=True, text=True).stdout.strip() == 'tmpfs':
        sys.exit('the scratch folder is a tmpfs: set TMPDIR to a folder on a real disk')
    globals()['cmd_' + a.what](a)


if __name__ == '__main__':
    main()
