# SPDX-License-Identifier: Apache-2.0
"""nginx as a mail proxy in front of the relay, with the HTTP server that tells it where to connect."""
import http.server
import threading

from lib.programs import Program

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


class Nginx(Program):
    """Passes on to the port `target` of 127.0.0.1; options: "xclient on;" or "proxy_protocol on;"."""

    def __init__(self, folder, target, options):
        super().__init__(folder)

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
        config = CONFIG.format(folder=folder, http=self.http.server_port, port=self.port, options=options)
        self.start("nginx", "-p", folder, "-c", self.write("nginx.conf", config))

    def stop(self):
        super().stop()
        self.http.shutdown()
        self.http.server_close()
