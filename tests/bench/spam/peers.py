# SPDX-License-Identifier: Apache-2.0
"""The others on the same messages: SpamAssassin with and without its classifier, bogofilter, Rspamd. As Debian configures them, without
network, trained with the same sets. Each by itself; CPU is what its processes spend on the messages it judges."""
import http.client
import json
import os
import pathlib
import pwd
import resource
import shutil
import socket
import subprocess
import tempfile
import time

import corpus


def content(file):
    data = open(file, 'rb').read()
    return data.split(b'\n', 1)[1] if data.startswith(b'From ') else data


def version_of(package):
    return subprocess.run(['dpkg-query', '-W', '-f', '${Version}', package], capture_output=True, text=True).stdout


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_for(port, seconds=120):
    end = time.time() + seconds
    while time.time() < end:
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit('nothing listens at port %d' % port)


def cpu_of(pid):
    """Seconds of a process and all below it, dead ones too."""
    total, parents, ticks = 0, {}, os.sysconf('SC_CLK_TCK')
    for stat in pathlib.Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = stat.read_text().rsplit(')', 1)[1].split()
            parents[int(stat.parent.name)] = int(fields[1]), sum(int(v) for v in fields[11:15]) / ticks
        except (OSError, IndexError):
            continue
    below = {pid}
    while True:
        more = {p for p, (parent, _) in parents.items() if parent in below} - below
        if not more:
            break
        below |= more
    for p in below:
        total += parents.get(p, (0, 0))[1]
    return total


class Folder:
    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix='postern-bench-spam-'))
        self.path.chmod(0o777)
        self.running = []
        return self

    def start(self, *command):
        log = open(self.path / 'log', 'ab')
        self.running.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=self.path,
                                             env={**os.environ, 'TMPDIR': str(self.path)}))
        return self.running[-1].pid

    def __exit__(self, *_):
        for p in reversed(self.running):
            p.terminate()
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
        shutil.rmtree(self.path, ignore_errors=True)


def training(kind):
    return corpus.files(corpus.TRAIN_SPAM if kind == 'spam' else corpus.TRAIN_HAM)


def judge_all(judged, pid, judge):
    before = cpu_of(pid)
    scores = [judge(content(f)) for f in judged]
    return scores, (cpu_of(pid) - before) * 1000 / len(judged)


def spamassassin(judged, bayes):
    with Folder() as f:
        port, user = free_port(), 'debian-spamd' if any(p.pw_name == 'debian-spamd' for p in pwd.getpwall()) else 'nobody'
        settings = ['--cf=use_bayes %d' % bayes, '--cf=bayes_auto_learn 0', '--cf=bayes_path %s/bayes/b' % f.path, '--cf=bayes_file_mode 0777']
        (f.path / 'bayes').mkdir()
        if bayes:
            for kind in ('ham', 'spam'):
                messages = f.path / kind
                messages.mkdir()
                for i, file in enumerate(training(kind)):
                    (messages / str(i)).write_bytes(content(file))
                subprocess.run(['sa-learn', '-L', '--' + kind, '--no-sync', str(messages)] + settings, check=True, stdout=subprocess.DEVNULL)
            subprocess.run(['sa-learn', '--sync'] + settings, check=True, stdout=subprocess.DEVNULL)
        for p in [f.path / 'bayes', *(f.path / 'bayes').iterdir()]:
            shutil.chown(p, user)
            p.chmod(0o777)
        pid = f.start('spamd', '-L', '-x', '-u', user, '-i', '127.0.0.1', '-p', str(port), '-m', '1', '--min-children=1',
                      '--max-conn-per-child=1000000', *settings)
        wait_for(port)

        def judge(message):
            with socket.create_connection(('127.0.0.1', port), 300) as s:
                s.sendall(b'CHECK SPAMC/1.2\r\nContent-length: %d\r\n\r\n' % len(message) + message)
                s.shutdown(socket.SHUT_WR)
                answer = b''.join(iter(lambda: s.recv(65536), b'')).decode()
            return float(answer.split('Spam:')[1].split(';')[1].split('/')[0])
        judge(content(judged[0]))
        return judge_all(judged, pid, judge)


def bogofilter(judged):
    with Folder() as f:
        for kind, option in (('ham', '-n'), ('spam', '-s')):
            messages = f.path / kind
            messages.mkdir()
            for i, file in enumerate(training(kind)):
                (messages / str(i)).write_bytes(content(file))
            subprocess.run(['bogofilter', '-C', '-d', str(f.path), option, '-B', str(messages)], check=True)
        before, scores = resource.getrusage(resource.RUSAGE_CHILDREN), []
        for file in judged:
            out = subprocess.run(['bogofilter', '-C', '-d', str(f.path), '-T'], input=content(file), capture_output=True).stdout
            scores.append(float(out.split()[1]))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return scores, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000 / len(judged)


def post(port, path, message):
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=120)
    c.request('POST', path, message)
    answer = c.getresponse()
    data = answer.read()
    c.close()
    return answer.status, data


def rspamd(judged):
    with Folder() as f:
        normal, controller, redis, silent = (free_port() for _ in range(4))
        local = f.path / 'local.d'
        local.mkdir()
        for name, text in {
                'worker-normal.inc': 'bind_socket = "127.0.0.1:%d";\ncount = 1;\n' % normal,
                'worker-controller.inc': 'bind_socket = "127.0.0.1:%d";\nsecure_ip = "127.0.0.1";\n' % controller,
                'worker-proxy.inc': 'enabled = false;\n', 'worker-fuzzy.inc': 'enabled = false;\n',
                'redis.conf': 'servers = "127.0.0.1:%d";\n' % redis,
                'classifier-bayes.conf': 'autolearn = false;\n',
                'options.inc': 'dns { nameserver = ["127.0.0.1:%d"]; timeout = 0.01s; retransmits = 1; }\n' % silent,
                'logging.inc': 'type = "console";\nlevel = "warning";\n',
                **{m + '.conf': 'enabled = false;\n' for m in ('rbl', 'surbl', 'spf', 'dkim', 'dmarc', 'arc', 'asn', 'mx_check', 'fuzzy_check',
                                                              'greylist', 'ratelimit', 'history_redis', 'replies', 'url_redirector')}}.items():
            (local / name).write_text(text)
        f.start('redis-server', '--port', str(redis), '--bind', '127.0.0.1', '--save', '', '--dir', str(f.path))
        wait_for(redis)
        pid = f.start('rspamd', '-f', '--insecure', '-c', '/etc/rspamd/rspamd.conf',
                      *('--var=%s=%s' % (k, f.path) for k in ('LOCAL_CONFDIR', 'DBDIR', 'RUNDIR', 'LOGDIR')))
        wait_for(normal)
        wait_for(controller)
        for kind in ('ham', 'spam'):
            for file in training(kind):
                post(controller, '/learn' + kind, content(file))

        def judge(message):
            status, data = post(normal, '/checkv2', message)
            return json.loads(data)['score'] if status == 200 else 0.0
        judge(content(judged[0]))
        time.sleep(10)           # what it compiles at its first start
        return judge_all(judged, pid, judge)


def all_of_them(judged):
    sa = version_of('spamassassin')
    return [('SpamAssassin', sa + '-bayes', lambda: spamassassin(judged, 1)), ('SpamAssassin', sa + '-rules', lambda: spamassassin(judged, 0)),
            ('bogofilter', version_of('bogofilter'), lambda: bogofilter(judged)), ('Rspamd', version_of('rspamd'), lambda: rspamd(judged))]
