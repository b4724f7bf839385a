# SPDX-License-Identifier: Apache-2.0
"""HAProxy in front of the relay."""
import subprocess

from lib.programs import have
from lib.util import free_port, listens, wait_until

CONFIG = """
global
  maxconn 200
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend in
  bind 127.0.0.1:{port}
  default_backend out
backend out
  {check}
  source {source}
  server relay {target} {options}
"""


class Haproxy:
    """Passes on to `target` ("127.0.0.1:2525") from the address `source`; options: those of its line `server`."""

    def __init__(self, folder, target, options, source="127.0.0.9", check=""):
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config, self.log_path = folder / "haproxy.cfg", folder / "log"
        config.write_text(CONFIG.format(port=self.port, target=target, options=options, source=source, check=check))
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([have("haproxy"), "-db", "-f", str(config)], stdout=log, stderr=log)
        wait_until(lambda: listens(self.port), lambda: f"HAProxy\n{self.log()}", 20)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
