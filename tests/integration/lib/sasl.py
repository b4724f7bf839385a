# SPDX-License-Identifier: Apache-2.0
"""Counterparts of authentication: Dovecot's auth service behind Postfix, Cyrus SASL behind Postfix, an OAuth 2 token
endpoint over HTTPS, and a small server for what no real one can be brought to do."""
import base64
import http.server
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import threading
import urllib.parse

from lib.programs import Postfix, Program, have
from lib.util import free_port, listens, wait_until

USER, PASSWORD = "relay@client.example", "s3cret,Pass=\"word\"!"


DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
auth_verbose = yes
protocols =
ssl = no
listen = 127.0.0.1
default_internal_user = dovecot
default_login_user = dovenull
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
  mechanisms = plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
  unix_listener auth-userdb {{
    mode = 0600
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0600
  }}
}}
"""


class Dovecot(Program):
    """Its auth service alone. Needs root. tokens: the port of a TokenServer that is asked whether a token is good."""

    def __init__(self, mechanisms="plain login", tokens=None):
        super().__init__()
        (self.folder / "run").mkdir()
        self.write("users", f"{USER}:{{PLAIN}}{PASSWORD}\n")
        self.write("oauth2.conf",
            f"introspection_url = http://127.0.0.1:{tokens or 9}/introspect?token=\nintrospection_mode = get\nforce_introspection = yes\n"
            "username_attribute = username\nactive_attribute = active\nactive_value = true\n")
        self.start("dovecot", "-F", "-c", self.write("dovecot.conf", DOVECOT.format(folder=self.folder, mechanisms=mechanisms)),
                   ready=(self.folder / "auth").exists)


class Smarthost(Postfix):
    """Postfix that takes mail from authenticated clients only: STARTTLS on port, TLS from the first byte on tls_port; AUTH after TLS only.
    sasl: a Dovecot, or None for Cyrus SASL with an sasldb of its own and these mechanisms."""

    def __init__(self, relayhost, certificate, sasl=None, mechanisms="", **settings):
        restrictions = "permit_sasl_authenticated,reject"
        self.tls_port = free_port()
        self.cyrus_folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-cyrus-"))  # known before Postfix starts
        self.cyrus_folder.chmod(0o755)
        super().__init__(relayhost, **{
            "mynetworks": "", "smtpd_sasl_auth_enable": "yes", "smtpd_tls_security_level": "may", "smtpd_tls_auth_only": "yes",
            "smtpd_tls_cert_file": certificate[0], "smtpd_tls_key_file": certificate[1], "smtpd_relay_restrictions": restrictions,
            "smtpd_recipient_restrictions": restrictions, "smtpd_sasl_authenticated_header": "yes",
            "smtpd_sasl_security_options": "noanonymous", "smtpd_sasl_tls_security_options": "noanonymous",
            **({"smtpd_sasl_type": "dovecot", "smtpd_sasl_path": sasl.folder / "auth"} if sasl else {
                "smtpd_sasl_type": "cyrus", "smtpd_sasl_path": "smtpd", "cyrus_sasl_config_path": self.cyrus_folder,
                "import_environment": f"MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG POSTLOG_SERVICE POSTLOG_HOSTNAME TZ LANG=C SASL_CONF_PATH={self.cyrus_folder}"}), **settings})
        with open(self.config / "master.cf", "a") as f:
            f.write(f"127.0.0.1:{self.tls_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n")
        if not sasl:
            self.cyrus(mechanisms)
        self.run("reload")
        wait_until(lambda: listens(self.tls_port), lambda: f"Postfix\n{self.log()}", 30)

    def cyrus(self, mechanisms):
        database = self.cyrus_folder / "sasldb2"
        user, realm = USER.split("@")
        subprocess.run([have("saslpasswd2"), "-p", "-c", "-f", str(database), "-u", realm, user], input=PASSWORD, text=True, check=True)
        shutil.chown(database, "postfix")
        (self.cyrus_folder / "smtpd.conf").write_text(f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {database}\n"
                                                f"mech_list: {mechanisms}\n")

    def stop(self):
        super().stop()
        shutil.rmtree(self.cyrus_folder, ignore_errors=True)


class TokenServer:
    """An OAuth 2 token endpoint (RFC 6749 §6) at /token over HTTPS when a certificate is given, and at /introspect (plain HTTP, another port)
    what Dovecot asks about tokens. `answer` may be set to a function (form) -> (status, headers, body). Tokens count: token-1, token-2."""

    def __init__(self, certificate=None, life=3600):
        self.port, self.introspect_port, self.life = free_port(), free_port(), life
        self.forms, self.good, self.answer, self.rotate = [], set(), None, False
        self.servers = [self.serve(self.port, certificate), self.serve(self.introspect_port, None)]

    def serve(self, port, certificate):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                outer.forms.append({k: v[0] for k, v in form.items()})
                self.reply(*(outer.answer or outer.grant)(outer.forms[-1]))

            def do_GET(self):
                token = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query).get("token", [""])[0]
                self.reply(200, {}, json.dumps({"active": token in outer.good, "username": USER}))

            def reply(self, status, headers, body):
                body = body.encode()
                self.send_response(status)
                for k, v in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
                    self.send_header(k, v)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def grant(self, form):
        token = f"token-{len(self.forms)}"
        self.good.add(token)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": self.life}
        if self.rotate:
            answer["refresh_token"] = f"refresh-{len(self.forms)}"
        return 200, {}, json.dumps(answer)

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()


def auth_rule(script, seen=None):
    """An action for a sink's "auth" stage: script is a list of answers; after each 334 a line is read. seen gets the lines, decoded."""
    def action(session, argument):
        words = argument.split(" ")
        lines = [words[1]] if len(words) > 1 else []
        for answer in script[:-1]:
            session.sock.sendall(answer.encode() + b"\r\n")
            line = session.read_until(b"\n")
            if line is None:
                return b"421 gone\r\n"
            lines.append(line.strip().decode())
        if seen is not None:
            seen.append((words[0], [base64.b64decode(x) if x != "=" else b"" for x in lines]))
        return script[-1]
    return action


def secrets_in(*folders_and_texts):
    """Where one of the secrets stands, in whatever is given: folders (all files but those that are the secret's own) and texts."""
    needles = [PASSWORD.encode(), base64.b64encode(PASSWORD.encode()), base64.b64encode(f"\0{USER}\0{PASSWORD}".encode())]
    found = []
    for thing in folders_and_texts:
        if isinstance(thing, (str, bytes)):
            data = thing.encode() if isinstance(thing, str) else thing
            found += [data[:60] for n in needles if n in data]
            continue
        for base, _, names in os.walk(thing):
            for name in names:
                path = pathlib.Path(base) / name
                if path.is_file() and path.suffix != ".secret" and path.name != "postern.yaml":
                    found += [path for n in needles if n in path.read_bytes()]
    return found
