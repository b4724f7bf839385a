# SPDX-License-Identifier: Apache-2.0
"""Servers that know passwords: Dovecot (IMAP, and its auth socket) and OpenLDAP's slapd, each in a temporary folder on loopback."""
import os
import pathlib
import shutil
import subprocess
import tempfile

from lib.programs import have
from lib.util import free_port, listens, wait_until


def self_signed(folder, names="DNS:localhost,IP:127.0.0.1"):
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                    "-subj", "/CN=localhost", "-addext", f"subjectAltName={names}", "-keyout", str(key), "-out", str(cert)],
                   check=True, capture_output=True)
    return cert, key


class Dovecot:
    """users: {name: password}. As root it serves as the system's dovecot users."""

    def __init__(self, users):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-dovecot-"))
        self.folder.chmod(0o755)
        self.imap_port, self.imaps_port = free_port(), free_port()
        self.certificate, key = self_signed(self.folder)
        self.socket, self.log_path = self.folder / "auth-client-postern", self.folder / "log"
        passwd = self.folder / "passwd"
        passwd.write_text("".join(f"{name}:{{PLAIN}}{password}\n" for name, password in users.items()))
        config = self.folder / "dovecot.conf"
        config.write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.log_path}
auth_verbose = yes
listen = 127.0.0.1
protocols = imap
ssl = required
ssl_cert = <{self.certificate}
ssl_key = <{key}
auth_mechanisms = plain login cram-md5 scram-sha-256
auth_failure_delay = 0
auth_cache_size = 0
mail_location = maildir:{self.folder}/mail/%u
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {passwd}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={self.folder}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {self.imap_port}
  }}
  inet_listener imaps {{
    port = {self.imaps_port}
    ssl = yes
  }}
}}
service auth {{
  unix_listener {self.socket} {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
""")
        (self.folder / "mail").mkdir()
        (self.folder / "mail").chmod(0o777)
        self.process = subprocess.Popen([have("dovecot"), "-F", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_until(lambda: (listens(self.imap_port) and self.socket.exists()) or self.process.poll() is not None,
                   lambda: f"Dovecot\n{self.log()}", 30)
        assert self.process.poll() is None, self.process.stderr.read().decode() + self.log()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def stop(self):
        if not self.process:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)


class Slapd:
    """users: {uid: (password, [addresses])} below ou=people,dc=example,dc=com. searcher: (DN, password) of the only one who may read."""

    def __init__(self, users, searcher=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-slapd-"))
        self.port, self.tls_port = free_port(), free_port()
        self.url, self.tls_url = f"ldap://127.0.0.1:{self.port}", f"ldaps://127.0.0.1:{self.tls_port}"
        self.certificate, key = self_signed(self.folder)
        (self.folder / "data").mkdir()
        config = self.folder / "slapd.conf"
        config.write_text(f"""
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {self.folder}/pid
modulepath /usr/lib/ldap
moduleload back_mdb
allow bind_anon_cred
TLSCertificateFile {self.certificate}
TLSCertificateKeyFile {key}
database mdb
suffix "dc=example,dc=com"
rootdn "cn=admin,dc=example,dc=com"
rootpw admin
directory {self.folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by {f"dn.exact={searcher[0]}" if searcher else "*"} read by anonymous auth
""")
        entries = ["dn: dc=example,dc=com\nobjectClass: domain\ndc: example\n", "dn: ou=people,dc=example,dc=com\nobjectClass: organizationalUnit\nou: people\n"]
        for uid, (password, mail) in users.items():
            entries.append(f"dn: uid={uid},ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n"
                           f"userPassword: {password}\n" + "".join(f"mail: {m}\n" for m in mail))
        if searcher:
            entries.append(f"dn: {searcher[0]}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n"
                           f"cn: {searcher[0][3:].split(',')[0]}\nuserPassword: {searcher[1]}\n")
        ldif = self.folder / "data.ldif"
        ldif.write_text("\n".join(entries))
        subprocess.run([have("slapadd"), "-f", str(config), "-l", str(ldif)], check=True, capture_output=True)
        self.process = subprocess.Popen([have("slapd"), "-f", str(config), "-h", f"{self.url} {self.tls_url} ldaps://127.0.0.2:{self.tls_port}", "-d", "0"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env={**os.environ})
        wait_until(lambda: listens(self.port) and listens(self.tls_port), "slapd", 30)

    def stop(self):
        if not self.process:
            return
        self.process.terminate()
        self.process.wait(20)
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)
