#!/bin/bash
# Postern as relay_bench.py runs any relay: postern.sh PATH_TO_POSTERN, with BENCH_PORT, BENCH_SINK_PORT and BENCH_DIR set.
set -eu
chmod 755 "$BENCH_DIR"
cat >"$BENCH_DIR/postern.yaml" <<EOF
hostname: bench.test
listeners: [{address: "127.0.0.1:$BENCH_PORT", tls: none}]
zones:
  lan: {networks: [127.0.0.0/8], trust: relay}
smarthost: {host: 127.0.0.1, port: $BENCH_SINK_PORT, tls: none}
checks: {recipient: {resolvable: no}} # there is no DNS here
guard: {outbound: {enabled: no}} # it would hold what one client sends past 100,000 messages an hour
limits: {connections_per_client: 20000, connections: 20000}
system: {directory: $BENCH_DIR/data, run_directory: $BENCH_DIR/run, user: nobody, admin_user: nobody, store_user: nobody}
EOF
exec "$1" run -c "$BENCH_DIR/postern.yaml"
