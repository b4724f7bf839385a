#!/bin/bash
# A relay to try things with: `postern run` on 127.0.0.1:2525 that delivers to `postern sink` on 127.0.0.1:2526. Ctrl-C ends
# both. demo.sh build/postern
set -eu
cd "$(dirname "$0")/.."
postern=$1
dir=$(dirname "$postern")/demo
config=$dir/postern.yaml
mkdir -p "$dir"
if [ ! -e "$config" ] || [ packaging/demo.yaml -nt "$config" ]; then
    [ ! -e "$config" ] || cp "$config" "$config.old"
    cp packaging/demo.yaml "$config"
    touch -r packaging/demo.yaml "$config"
fi
# A Unix socket's path must be short; deep in the file system the control socket goes elsewhere.
full=$(realpath "$dir")/run
[ ${#full} -le 90 ] || "$postern" config set system.run_directory "/tmp/postern-demo-$(id -u)" -c "$config" >/dev/null

sink='' relay='' asked=''
finish() { [ -z "$sink" ] || kill "$sink" 2>/dev/null || true; }
stop() { asked=yes; [ -z "$relay" ] || kill "$relay" 2>/dev/null || true; }
trap finish EXIT
trap stop INT TERM HUP

# In a session of its own, so that Ctrl-C does not end it before the relay has delivered what it still can.
setsid "$postern" sink --listen 127.0.0.1:2526 --store "$dir/mail" > >(sed -u 's/^/sink: /') &
sink=$!
sleep 0.3
kill -0 "$sink" 2>/dev/null || { echo "The test server could not start: is something else on 127.0.0.1:2526?" >&2; exit 69; }

"$postern" run -c "$config" &
relay=$!
for _ in $(seq 100); do
    kill -0 "$relay" 2>/dev/null || break
    (exec 3<>/dev/tcp/127.0.0.1/2525) 2>/dev/null && break
    sleep 0.1
done
if kill -0 "$relay" 2>/dev/null; then
    cat <<END

The relay listens on 127.0.0.1:2525 and passes all mail to a test server on 127.0.0.1:2526.
Send a first message from another terminal:

    $postern send --to you@example.com 127.0.0.1:2525
    swaks --server 127.0.0.1:2525 --to you@example.com        (after: apt install swaks)

It shows up here as "sink: received ..."; its text is in $dir/mail. More to try:

    $postern status -c $config
    $postern queue list -c $config
    $postern send --messages 10000 --sessions 20 127.0.0.1:2525

Ctrl-C stops it.

END
fi
code=0
wait "$relay" || code=$?
while kill -0 "$relay" 2>/dev/null; do wait "$relay" || code=$?; done # a signal ends only the waiting
[ -z "$asked" ] || code=0
exit $code
