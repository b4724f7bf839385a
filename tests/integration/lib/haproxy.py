# SPDX-License-Identifier: Apache-2.0
"""HAProxy in front of the relay."""
from lib.programs import Program

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


class Haproxy(Program):
    """Passes on to `target` ("127.0.0.1:2525") from the address `source`; options: those of its line `server`."""

    def __init__(self, folder, target, options, source="127.0.0.9", check=""):
        super().__init__(folder)
        self.start("haproxy", "-db", "-f", self.write("haproxy.cfg", CONFIG.format(port=self.port, target=target, options=options, source=source,
                                                                                   check=check)))
