#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What relay_bench.py does not measure of Postern: memory of idle sessions, and the time from the last byte to 250 with one
session beside the disk's own flush. Run in a network namespace of its own (it makes one); needs root.
    sessions.py idle|latency PATH_TO_POSTERN [N]
"""
import os, re, resource, socket, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
PORT, SINK = 2525, 2526


def greeting(port):
    end = time.monotonic() + 60
    while True:
        try:
            with socket.create_connection(('127.0.0.1', port), 2) as s:
                s.recv(500)
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def pss_kib(parent):
    total = 0
    for pid in [parent] + subprocess.run(['pgrep', '-P', str(parent)], capture_output=True, text=True).stdout.split():
        total += int(re.search(r'^Pss: +(\d+)', open(f'/proc/{pid}/smaps_rollup').read(), re.M)[1])
    return total


def idle(relay, folder, n):
    before, kept = pss_kib(relay.pid), []
    for _ in range(n):
        s = socket.create_connection(('127.0.0.1', PORT), 10)
        s.recv(500)
        s.sendall(b'EHLO idle.test\r\n')
        kept.append(s)
    for s in kept:
        assert s.recv(2000).startswith(b'250')
    time.sleep(1)
    print(f'{n} idle sessions after EHLO: {(pss_kib(relay.pid) - before) / n:.1f} KiB each')


def latency(relay, folder, n):
    s = socket.create_connection(('127.0.0.1', PORT), 10)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    f = s.makefile('rb')

    def command(line):
        s.sendall(line)
        while True:
            reply = f.readline()
            if reply[3:4] != b'-':
                return reply
    f.readline()
    command(b'EHLO one.test\r\n')
    text = b'Subject: x\r\n\r\n' + (b'x' * 70 + b'\r\n') * 56
    fd = os.open(f'{folder}/probe', os.O_CREAT | os.O_WRONLY)
    os.write(fd, b'x' * 4096 * n)
    os.fsync(fd)
    answers, flushes, echoes = [], [], []
    for i in range(n):
        start = time.perf_counter()
        command(b'NOOP\r\n')
        echoes.append(time.perf_counter() - start)
        command(b'MAIL FROM:<a@gen.test>\r\n')
        command(b'RCPT TO:<b@dest.test>\r\n')
        command(b'DATA\r\n')
        start = time.perf_counter()
        assert command(text + b'.\r\n').startswith(b'250')
        answers.append(time.perf_counter() - start)
        time.sleep(0.005)                             # the delivery is over, the disk quiet
        start = time.perf_counter()
        os.pwrite(fd, b'y' * 4096, 4096 * i)
        os.fdatasync(fd)
        flushes.append(time.perf_counter() - start)
        time.sleep(0.005)
    os.close(fd)
    middle = [round(statistics.median(x) * 1e6) for x in (answers, flushes, echoes)]
    print(f'one session, medians of {n}: last byte to 250 {middle[0]} us; write over 4 KiB + fdatasync {middle[1]} us; '
          f'NOOP and back {middle[2]} us')


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ('idle', 'latency'):
        sys.exit(__doc__)
    if not os.environ.get('POSTERN_BENCH_NS'):
        os.environ['POSTERN_BENCH_NS'] = '1'
        os.execvp('unshare', ['unshare', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', '--', sys.executable, *sys.argv])
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    n = int(sys.argv[3]) if len(sys.argv) > 3 else {'idle': 10000, 'latency': 500}[sys.argv[1]]
    with tempfile.TemporaryDirectory(prefix='postern-bench-') as folder:
        binary = os.path.abspath(sys.argv[2])
        out = open(f'{folder}/out', 'wb')
        sink = subprocess.Popen([binary, 'sink', '--listen', f'127.0.0.1:{SINK}', '--quiet'], stdout=out, stderr=out)
        greeting(SINK)
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        relay = subprocess.Popen([f'{HERE}/postern.sh', binary], stdout=out, stderr=out,
                                 env=dict(os.environ, BENCH_DIR=folder, BENCH_PORT=str(PORT), BENCH_SINK_PORT=str(SINK)))
        greeting(PORT)
        time.sleep(1)
        globals()[sys.argv[1]](relay, folder, n)
        for p in (relay, sink):
            p.terminate()
            p.wait()


if __name__ == '__main__':
    main()
