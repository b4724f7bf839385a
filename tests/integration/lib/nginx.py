# SPDX-License-Identifier: Apache-2.0
"""nginx as a mail proxy in front of the relay, with the HTTP server that tells it where to connect."""
import http.server
import subprocess
import threading

from lib.programs import have
from lib.util import free_port, listens, wait_until

CONFIG = """
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
daemon off; master_process off; pid {folder}/pid; error_log {folder}/log info;
events {{ }}
mail {{
  server_name front.example;
  auth_http 127.0.0.1:{http}/;
  proxy_smtp_auth off;
  proxy_pass_error_message on;
  server {{ listen 127.0.0.1:{port}; protocol smtp; smtp_auth none; {options} }}
}}
"""


class Nginx:
    """Passes on to the port `target` of 127.0.0.1; options: "xclient on;" or "proxy_protocol on;"."""

    def __init__(self, folder, target, options):
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                for name, value in (("Auth-Status", "OK"), ("Auth-Server", "127.0.0.1"), ("Auth-Port", str(target))):
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        config, self.log_path = folder / "nginx.conf", folder / "log"
        config.write_text(CONFIG.format(folder=folder, http=self.http.server_port, port=self.port, options=options))
        with open(folder / "out", "wb") as out:
            self.process = subprocess.Popen([have("nginx"), "-p", str(folder), "-c", str(config)], stdout=out, stderr=out)
        wait_until(lambda: listens(self.port), lambda: (folder / "out").read_text(), 20)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.http.shutdown()
        self.http.server_close()
