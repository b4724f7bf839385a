# SPDX-License-Identifier: Apache-2.0
"""Servers that know passwords: Dovecot (IMAP, and its auth socket) and OpenLDAP's slapd, each in a temporary folder on loopback."""
import subprocess

from lib.programs import Program, have
from lib.util import free_port, listens


def self_signed(folder, names="DNS:localhost,IP:127.0.0.1"):
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                    "-subj", "/CN=localhost", "-addext", f"subjectAltName={names}", "-keyout", str(key), "-out", str(cert)],
                   check=True, capture_output=True)
    return cert, key


class Dovecot(Program):
    """users: {name: password}. As root it serves as the system's dovecot users."""

    def __init__(self, users):
        super().__init__()
        self.imap_port, self.imaps_port = self.port, free_port()
        self.certificate, key = self_signed(self.folder)
        self.socket = self.folder / "auth-client-postern"
        passwd = self.write("passwd", "".join(f"{name}:{{PLAIN}}{password}\n" for name, password in users.items()))
        config = self.write("dovecot.conf", f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
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
        self.start("dovecot", "-F", "-c", config, ready=lambda: listens(self.imap_port) and self.socket.exists())


class Slapd(Program):
    """users: {uid: (password, [addresses])} below ou=people,dc=example,dc=com. searcher: (DN, password) of the only one who may read."""

    def __init__(self, users, searcher=None):
        super().__init__()
        self.tls_port = free_port()
        self.url, self.tls_url = f"ldap://127.0.0.1:{self.port}", f"ldaps://127.0.0.1:{self.tls_port}"
        self.certificate, key = self_signed(self.folder)
        (self.folder / "data").mkdir()
        self.config = self.write("slapd.conf", f"""
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
        ldif = self.write("data.ldif", "\n".join(entries))
        subprocess.run([have("slapadd"), "-f", str(self.config), "-l", str(ldif)], check=True, capture_output=True)
        self.begin()

    def begin(self):
        """Once more, after its process has ended."""
        self.start("slapd", "-f", self.config, "-h", f"{self.url} {self.tls_url} ldaps://127.0.0.2:{self.tls_port}", "-d", "0",
                   ready=lambda: listens(self.port, self.tls_port))
