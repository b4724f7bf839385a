# SPDX-License-Identifier: Apache-2.0
"""Exim, as client and as server. Its Debian package and Postfix's exclude each other, so that it is unpacked beside the system
(tests/bench/peers.sh setup exim) and runs in a mount namespace of its own that has its user and its configuration. Needs root."""
import os
import pathlib
import shutil

from lib.programs import Program
from lib.smtp import Smtp
from lib.util import ROOT

UNPACKED = pathlib.Path(os.environ.get("PEERS", ROOT / "tests/bench/.peers")) / "exim"
PROGRAM = UNPACKED / "usr/sbin/exim4"

CONFIG = """
exim_path = {program}
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
log_selector = +smtp_protocol_error +received_recipients +delivery_size
primary_hostname = exim.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
dns_dnssec_ok = 0
message_size_limit = 50M
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
tls_advertise_hosts = {advertise_tls}
tls_certificate = {certificate}
tls_privatekey = {key}
auth_advertise_hosts = *
acl_smtp_rcpt = acl_rcpt
{main}
begin acl
acl_rcpt:
{acl}
begin routers
onward:
  driver = manualroute
  transport = onward
  route_list = * 127.0.0.1
  self = send
begin transports
onward:
  driver = smtp
  port = {next_port}
  allow_localhost
  hosts_try_fastopen =
{transport}
begin retry
* * F,1h,2s
begin authenticators
{authenticators}
"""

SERVER = """
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = {password}
  server_set_id = $auth1
"""

CLIENT = {
    "PLAIN": "one:\n  driver = plaintext\n  public_name = PLAIN\n  client_send = ^{user}^{password}\n",
    "LOGIN": "one:\n  driver = plaintext\n  public_name = LOGIN\n  client_send = : {user} : {password}\n",
    "CRAM-MD5": "one:\n  driver = cram_md5\n  public_name = CRAM-MD5\n  client_name = {user}\n  client_secret = {password}\n",
}


def why_not():
    """Why Exim cannot be had; empty when it can."""
    if os.geteuid() != 0:
        return "needs root"
    return "" if PROGRAM.exists() else f"no {PROGRAM}: tests/bench/peers.sh setup exim"


class Exim(Program):
    """Passes all it takes on to 127.0.0.1:next_port, with `transport` as further options of its smtp transport."""

    def __init__(self, next_port, certificate=None, main="", acl="  accept hosts = 127.0.0.0/8\n", transport="", authenticators=""):
        super().__init__()
        self.folder.chmod(0o777)
        etc = self.folder / "etc"
        (etc / "exim4").mkdir(parents=True)
        for name, line in (("passwd", "Debian-exim:x:907:907::/nonexistent:/usr/sbin/nologin\n"), ("group", "Debian-exim:x:907:\n")):
            (etc / name).write_text(pathlib.Path("/etc", name).read_text() + line)
        (self.folder / "spool").mkdir()
        (self.folder / "spool").chmod(0o777)
        cert, key = self.certificate_copies(certificate)
        (etc / "exim4/exim4.conf").write_text(CONFIG.format(
            program=PROGRAM, folder=self.folder, port=self.port, next_port=next_port, certificate=cert, key=key,
            advertise_tls="*" if certificate else "", main=main.replace("PORT", str(self.port)), acl=acl, transport=transport, authenticators=authenticators))
        script = f"mount -t overlay overlay -o lowerdir={etc}:/etc /etc && exec {PROGRAM} -bdf -q2s"
        self.start("unshare", "-m", "sh", "-c", script)

    def certificate_copies(self, certificate):
        """As its own user can read them."""
        out = []
        for path in certificate or ():
            out.append(self.folder / pathlib.Path(path).name)
            shutil.copy(path, out[-1])
            out[-1].chmod(0o644)
        return out or ["", ""]

    def client(self, **kw):
        return Smtp(self.port, **kw)
