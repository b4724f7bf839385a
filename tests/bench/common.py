# SPDX-License-Identifier: Apache-2.0
"""What the measurements of Postern alone share: a relay with a configuration of its own, and the CPU time of its processes."""
import json, os, socket, subprocess, time

HOST = '127.0.0.1'


def run(*args, **kw):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, text=True, **kw).stdout


def wait_for(port):
    end = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection((HOST, port), 2).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def cpu_of(pid):
    """Seconds; counted by the scheduler in ns, of all threads."""
    return sum(int(open(f'/proc/{pid}/task/{t}/schedstat').read().split()[0]) for t in os.listdir(f'/proc/{pid}/task')) / 1e9


class Relay:
    """Its files are FOLDER/NAME, FOLDER/NAME-run and the like."""

    def __init__(self, binary, folder, name, port, config):
        self.port = port
        config.setdefault('system', {}).update({'directory': f'{folder}/{name}', 'run_directory': f'{folder}/{name}-run', 'user': '',
                                                'admin_user': '', 'auth_user': '', 'store_user': ''})
        os.mkdir(f'{folder}/{name}')
        with open(f'{folder}/{name}.yaml', 'w') as f:
            json.dump(config, f)
        self.out = open(f'{folder}/{name}.log', 'wb')
        self.process = subprocess.Popen([binary, 'run', '-c', f'{folder}/{name}.yaml'], stdout=self.out, stderr=self.out)
        wait_for(port)

    def cpu(self, *names):
        """Of its processes so called; of all without a name."""
        total = 0
        for pid in run('pgrep', '-P', self.process.pid).split():
            name = open(f'/proc/{pid}/comm').read().strip()
            if not names or name.startswith(names):
                total += cpu_of(pid)
        return total

    def idle(self, *names):
        """Waits until what was accepted is delivered; the CPU time until then."""
        before = -1.0
        while (now := self.cpu(*names)) - before > 0.003:
            before = now
            time.sleep(0.4)
        return now

    def stop(self):
        self.process.terminate()
        self.process.wait()
