# SPDX-License-Identifier: Apache-2.0
"""Backup and restore: what a machine had is there on an empty one, and works; archives that are damaged or hostile write nothing."""
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest

from lib.daemon import postern as command
from lib.quarantine import fill, listed, mail, wait_held
from lib.util import wait_until
from lib.web import Web, logged_in, on, wait_web


def packed(entries, manifest, path):
    """An archive of our own: entries are (name, bytes) or TarInfo."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as t:
        for one in entries:
            if isinstance(one, tarfile.TarInfo):
                t.addfile(one)
                continue
            info = tarfile.TarInfo(one[0])
            info.size = len(one[1])
            t.addfile(info, io.BytesIO(one[1]))
        if manifest is not None:
            text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
            info = tarfile.TarInfo("manifest.json")
            info.size = len(text)
            t.addfile(info, io.BytesIO(text))
    subprocess.run(["zstd", "-q", "-f", "-o", str(path)], input=raw.getvalue(), check=True)
    return path


def entry(number, data, path, kind="data", **more):
    return {"name": f"files/{number:08}", "kind": kind, "path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(),
            "mode": "0600", "owner": "", "group": "", **more}


def manifest(entries, **more):
    return {"format": "postern-backup", "version": 1, "relay": "0.1.0", "made": 1, "hostname": "mx.example.com", "config": "/etc/postern/postern.yaml",
            "directory": "/var/lib/postern", "run_directory": "/run/postern", "entries": entries, **more}


@pytest.mark.slow
def test_a_machine_comes_back(postern, sink, tmp_path):
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "key").write_text("a secret\n")
    (conf / "key").chmod(0o600)
    relay = postern(web=on(), domains=[{"name": "example.com", "deliver": sink.hop}], webhooks=[{"url": "https://127.0.0.1:9/", "secret_file": str(conf / "key")}])
    relay.stop()
    ids = fill(relay, [mail(), mail(kind="virus")])
    relay.start()
    wait_held(relay, 2)
    relay.command("config", "set", "log.level", "info")
    web = logged_in(relay, "olga", "operator")
    token = web.post("/v1/account/tokens", {"name": "script", "scopes": ["status"]}).json["token"]
    assert relay.send("bob@example.com").code == 250
    file = tmp_path / "backup"
    relay.command("backup", file)  # while it runs
    assert file.stat().st_mode & 0o777 == 0o600
    shown = command("restore", file, "--list", check=0).stdout
    assert "configuration" in shown and "revision" in shown and str(conf / "key") in shown and "store/memory.db" in shown
    assert "spool" not in shown
    small = tmp_path / "small"
    relay.command("backup", small, "--no-quarantine")
    assert len([line for line in command("restore", small, "--list", check=0).stdout.splitlines() if "store/quarantine/" in line]) == 0
    # While it runs, and where something is, nothing is written.
    refused = command("restore", file, "-c", relay.config_path, "--outside", "--force")
    assert refused.returncode == 73 and "running" in refused.stderr
    assert "stop the relay" in command("backup", tmp_path / "x", "-c", relay.config_path, "--with-queue").stderr
    relay.stop()
    refused = command("restore", file, "-c", relay.config_path, "--outside")
    assert refused.returncode == 73 and "not empty" in refused.stderr
    before = relay.config_path.read_text()
    # An empty machine.
    for path in (relay.folder / "data", conf):
        shutil.rmtree(path)
    shutil.rmtree(relay.folder / ".postern-revisions")
    relay.config_path.unlink()
    assert "outside" in command("restore", file).stderr and not relay.config_path.exists()
    done = command("restore", file, "--outside")
    assert done.returncode == 0, done.stdout + done.stderr
    assert relay.config_path.read_text() == before and (conf / "key").read_text() == "a secret\n"
    assert (conf / "key").stat().st_mode & 0o777 == 0o600
    relay.start()
    assert sorted(m["id"] for m in listed(relay)) == sorted(ids)
    wait_web(relay)
    assert Web(relay).log_in("olga", "some other one").status == 401
    again = Web(relay)
    assert again.log_in("olga").status == 200 and again.get("/v1/session").json["role"] == "operator"
    assert Web(relay, token=token).get("/v1/status").status == 200
    assert "set log.level info" in relay.command("config", "history").stdout
    relay.command("quarantine", "release", ids[0])
    wait_until(lambda: any("Win now" in str(m) for m in sink.messages), "the message that was released")
    assert relay.send("bob@example.com").code == 250


def test_below_another_root(postern, tmp_path):
    relay = postern()
    root = tmp_path / "root"
    root.mkdir()
    with open(tmp_path / "b", "wb") as out:
        done = subprocess.run([str(relay.binary), "backup", "-", "-c", str(relay.config_path)], stdout=out, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "b", "rb") as given:
        done = subprocess.run([str(relay.binary), "restore", "-", "--to", str(root)], stdin=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (root / str(relay.config_path)[1:]).read_text() == relay.config_path.read_text()
    assert (root / str(relay.folder)[1:] / "data/store").is_dir()
    # A link in there leads nowhere.
    shutil.rmtree(root)
    root.mkdir()
    (root / str(tmp_path)[1:].split("/")[0]).symlink_to("/var")
    refused = command("restore", tmp_path / "b", "--to", root)
    assert refused.returncode == 73


def test_force_keeps_the_queue(postern, tmp_path):
    relay = postern(domains=[{"name": "example.com", "deliver": "127.0.0.1:1"}])
    (relay.folder / "data/spool.old").mkdir()  # is no queue
    relay.command("backup", tmp_path / "b")
    assert relay.send("bob@example.com").code == 250
    relay.stop()
    done = command("restore", tmp_path / "b", "--force", "--outside")
    assert done.returncode == 0, done.stderr
    relay.start()
    wait_until(lambda: len(json.loads(relay.command("queue", "list", "--json").stdout)["messages"]) == 1, "the message that was there")


def test_with_queue(postern, sink, tmp_path):
    relay = postern(domains=[{"name": "example.com", "deliver": "127.0.0.1:1"}])
    assert relay.send("bob@example.com").code == 250
    relay.stop()
    relay.command("backup", tmp_path / "b", "--with-queue")
    shutil.rmtree(relay.folder / "data")
    done = command("restore", tmp_path / "b", "--force", "--outside")
    assert done.returncode == 0, done.stderr
    relay.write({"domains": [{"name": "example.com", "deliver": sink.hop}]})
    relay.start()
    relay.command("queue", "retry", "--all")
    wait_until(lambda: sink.messages, "the message")


YAML = b"hostname: mx.example.com\n"


@pytest.mark.daily(3)
@pytest.mark.parametrize("path", ["../../etc/cron.d/x", "/etc/cron.d/x", "a/../../x", "a//b", "a/./b", "", "a\nb", "store/" + "x" * 300])
def test_paths_that_lead_elsewhere(tmp_path, path):
    packed([("files/00000001", YAML), ("files/00000002", b"x")],
           manifest([entry(1, YAML, "/etc/postern/postern.yaml", "configuration"), entry(2, b"x", path)]), tmp_path / "b")
    (tmp_path / "root").mkdir()
    done = command("restore", tmp_path / "b", "--to", tmp_path / "root")
    assert done.returncode == 65 and not list((tmp_path / "root").iterdir()), done.stderr


def test_paths_as_they_are_written(tmp_path):
    """Whatever is taken can be brought back; what could not be is said when it is taken."""
    for folder in ("conf", "data/store", "run"):
        (tmp_path / folder).mkdir(parents=True)
    for key in ("conf/a", "conf/b", "c", "data/d"):
        (tmp_path / key).write_text("secret\n")
        (tmp_path / key).chmod(0o600)
    config = tmp_path / "conf/postern.yaml"
    users = {f"{u}user": "" for u in ("", "admin_", "auth_", "sign_", "store_", "scan_", "table_", "mail_")}
    files = ["./a", f"{tmp_path}//conf/./b", "../c", f"{tmp_path}/./data/d"]
    config.write_text(json.dumps({"hostname": "mx.example.com", "webhooks": [{"url": f"https://127.0.0.1:{i + 1}/", "secret_file": f} for i, f in enumerate(files)],
                                  "system": {"directory": f"{tmp_path}/data/", "run_directory": f"{tmp_path}/./run", **users}}))
    command("backup", tmp_path / "b", "-c", config, check=0)
    shown = command("restore", tmp_path / "b", "--list", check=0).stdout
    assert sorted((line.split()[0], line.split()[-1]) for line in shown.splitlines()[3:]) == [
        ("configuration", str(config)), ("data", "d"), ("folder", "store"), *[("named", str(tmp_path / key)) for key in ("c", "conf/a", "conf/b")]], shown
    assert f"data {tmp_path}/data\n" in shown
    (tmp_path / "root").mkdir()
    command("restore", tmp_path / "b", "--to", tmp_path / "root", "--outside", check=0)
    assert all((tmp_path / "root" / str(tmp_path / key)[1:]).read_text() == "secret\n" for key in ("conf/a", "conf/b", "c", "data/d"))
    (tmp_path / "data/store/a\nb").touch()
    refused = command("backup", tmp_path / "b2", "-c", config)
    assert refused.returncode != 0 and "store/a\\x0ab cannot be kept" in refused.stderr and not (tmp_path / "b2").exists(), refused


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


CONFIG = entry(1, YAML, "/etc/postern/postern.yaml", "configuration")


@pytest.mark.parametrize("entries, its", [
    ([("files/00000001", YAML)], None),                                                      # no manifest
    ([("files/00000001", YAML)], b"{"),
    ([("files/00000001", YAML)], manifest([])),                                              # more than it says
    ([("files/00000001", YAML), ("files/00000002", b"y")], manifest([CONFIG, entry(2, b"x", "a")])),  # another content
    ([("files/00000001", YAML)], manifest([CONFIG, entry(2, b"x", "a")])),                   # something is missing
    ([("files/00000001", YAML)], manifest([CONFIG], version=2)),
    ([("files/00000001", YAML)], manifest([CONFIG], directory="/var/../etc")),
    ([("files/00000001", YAML)], manifest([CONFIG], hostname="mx\x1b]0;x\x07")),
    ([("files/00000001", YAML)], manifest([dict(CONFIG, owner="root\x1b[2J")])),
    ([("files/00000001", YAML)], manifest([dict(CONFIG, path="/etc/postern/\x9bx")])),
    ([("files/00000001", YAML), ("../x", b"x")], manifest([CONFIG])),
    ([("files/00000001", YAML), link("files/00000002", "/etc/passwd", tarfile.SYMTYPE)], manifest([CONFIG])),
    ([("files/00000001", YAML), link("files/00000002", "files/00000001", tarfile.LNKTYPE)], manifest([CONFIG])),
    ([("files/00000001", YAML)], manifest([dict(CONFIG, kind="data", path="a")])),           # no configuration
    ([("files/00000001", YAML)], manifest([dict(CONFIG, kind="device")])),
])
@pytest.mark.daily(5)
def test_archives_that_are_none_of_ours(tmp_path, entries, its):
    packed(entries, its, tmp_path / "b")
    (tmp_path / "root").mkdir()
    done = command("restore", tmp_path / "b", "--to", tmp_path / "root")
    assert done.returncode == 65 and not list((tmp_path / "root").iterdir()), done.stdout + done.stderr


def test_who_made_it_does_not_say_what_is_replaced(tmp_path):
    """Nor does the folder of -c, in which only the configuration goes."""
    folder = tmp_path / "conf"
    (folder / "keys").mkdir(parents=True)
    keys = folder / "keys/authorized"
    keys.write_text("mine\n")
    text = [("files/00000001", YAML), ("files/00000002", b"x")]
    for of in (packed(text[:1], manifest([CONFIG], directory=str(folder / "keys")), tmp_path / "moves"),
               packed(text, manifest([CONFIG, entry(2, b"x", str(keys), "named")]), tmp_path / "names"),
               packed(text, manifest([CONFIG, entry(2, b"x", "authorized")], directory=str(folder / "keys")), tmp_path / "has")):
        done = command("restore", of, "-c", folder / "postern.yaml", "--force")
        assert done.returncode and "--outside" in done.stderr, done
    assert keys.read_text() == "mine\n" and [p.name for p in folder.iterdir()] == ["keys"]


def test_damage_is_seen(postern, tmp_path):
    relay = postern()
    relay.command("backup", tmp_path / "b")
    whole = (tmp_path / "b").read_bytes()
    (tmp_path / "root").mkdir()
    for at in (10, len(whole) // 2, len(whole) - 20):
        (tmp_path / "damaged").write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1:])
        done = command("restore", tmp_path / "damaged", "--to", tmp_path / "root")
        assert done.returncode == 65 and not list((tmp_path / "root").iterdir())
    for n in (0, 100, len(whole) - 1000):
        (tmp_path / "damaged").write_bytes(whole[:n])
        assert command("restore", tmp_path / "damaged", "--to", tmp_path / "root").returncode == 65


def test_modes_are_tamed(tmp_path):
    text = b"#!/bin/sh\n"
    packed([("files/00000001", YAML), ("files/00000002", text)],
           manifest([CONFIG, entry(2, text, "store/x", mode="4777")]), tmp_path / "b")
    (tmp_path / "root").mkdir()
    assert command("restore", tmp_path / "b", "--to", tmp_path / "root").returncode == 0
    assert os.stat(tmp_path / "root/var/lib/postern/store/x").st_mode & 0o7777 == 0o664
