#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the UI and makes a C file of it: web.py SOURCE FOLDER OUT.c DEPFILE, or web.py --none OUT.c for a page that says there is none.

SOURCE is web/, where npm installs what package-lock.json names, once, for all build folders; FOLDER gets what Vite makes. Each file is kept as
gzip makes it; see src/admin/web_assets.h."""
import fcntl
import gzip
import hashlib
import mimetypes
import pathlib
import shutil
import subprocess
import sys

MOST = 150 * 1024  # bytes of all files, compressed: a first visit on a slow line
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".svg": "image/svg+xml", ".json": "application/json", ".webmanifest": "application/manifest+json", ".txt": "text/plain; charset=utf-8"}
NONE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Postern</title>
<p>This program was built without its web pages (-Dweb=false). The API is below <a href="/v1/openapi.json">/v1</a>.</p></html>
"""


def fail(text, mend):
    sys.exit(f"web.py: {text}\n  To mend it: {mend}\n  Or build without the web pages: meson configure -Dweb=false")


def run(command, folder, what, mend):
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        fail(f"{what} failed:\n{done.stdout}", mend)


def node_version(node):
    text = subprocess.run([node, "--version"], stdout=subprocess.PIPE, text=True).stdout
    return int(text.lstrip("v").split(".")[0] or 0) if text else 0


def install(source, npm):
    """What package-lock.json names, exactly, and nothing that it brings is run."""
    lock, done = source / "package-lock.json", source / "node_modules/.package-lock.json"
    if done.exists() and done.stat().st_mtime >= lock.stat().st_mtime:
        return
    run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], source, "npm ci",
        "npm needs a way to its registry, or a mirror (npm config set registry); afterwards none is needed")
    done.touch()


def build(source, folder):
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        fail("Node.js and npm are needed for the web pages, and are not there", "apt-get install nodejs npm")
    if node_version(node) < 18:
        fail("Node.js is too old: version 18 or newer is needed", "apt-get install nodejs npm on Debian 12 or newer")
    with open(source / ".build.lock", "w") as lock:  # builds in several folders at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        install(source, npm)
        run([node, "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn", "--emptyOutDir", "--outDir", str(folder)], source,
            "vite build", "see the message above; npm run check in web/ tells more")
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def write(out, files):
    packed = {name: gzip.compress(data, 9, mtime=0) for name, data in files.items()}
    total = sum(map(len, packed.values()))
    if total > MOST:
        fail(f"the web pages have {total} bytes, compressed; {MOST} are the most",
             "see what is large: " + ", ".join(f"{n} {len(d)}" for n, d in packed.items()))
    with open(out, "w") as c:
        c.write('#include "admin/web_assets.h"\n')
        for i, data in enumerate(packed.values()):
            c.write(f"static const unsigned char data_{i}[] = {{\n")
            for at in range(0, len(data), 24):
                c.write("".join(f"{b}," for b in data[at:at + 24]) + "\n")
            c.write("};\n")
        c.write("const struct web_asset web_assets[] = {\n")
        for i, (name, data) in enumerate(files.items()):
            kind = TYPES.get(pathlib.Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
            etag = hashlib.sha256(data).hexdigest()[:20]
            hashed = "true" if name.startswith("assets/") else "false"
            c.write(f'    {{ "/{name}", "{kind}", "\\"{etag}\\"", data_{i}, sizeof data_{i}, {len(data)}, {hashed} }},\n')
        c.write(f"}};\nconst unsigned web_asset_n = {len(files)};\n")


def inputs(source):
    tops = (p for p in source.iterdir() if p.name not in ("node_modules", ".build.lock"))
    return sorted(p for top in tops for p in ([top] if top.is_file() else top.rglob("*")) if p.is_file())


if sys.argv[1] == "--none":
    write(sys.argv[2], {"index.html": NONE})
else:
    root, made, target, deps = sys.argv[1:]
    write(target, build(pathlib.Path(root), pathlib.Path(made).resolve()))
    with open(deps, "w") as f:
        f.write(target + ": " + " ".join(str(p).replace(" ", "\\ ") for p in inputs(pathlib.Path(root))) + "\n")
