#!/bin/bash
# Installs the Debian packages that are missing for: run, test, bench, fuzz or lint. Says which, and nothing when all are there.
set -eu
run="gcc meson ninja-build pkg-config libevent-dev libssl-dev libunbound-dev libyaml-dev libjansson-dev libseccomp-dev
     libmicrohttpd-dev libcurl4-openssl-dev zlib1g-dev libgsasl-dev libldap-dev libcrypt-dev libidn2-dev libsqlite3-dev libpq-dev libpcre2-dev libpsl-dev publicsuffix libarchive-dev libmagic-dev libicu-dev nodejs"
test="libcmocka-dev libgmime-3.0-dev dovecot-core sasl2-bin libsasl2-modules libsasl2-modules-db python3 python3-pytest python3-pytest-xdist python3-yaml python3-cryptography knot postfix postfix-pcre swaks sslscan haproxy nginx libnginx-mod-mail s-nail openssl iproute2 nftables procps msmtp nodejs node-nodemailer curl man-db slapd dovecot-imapd dovecot-lmtpd python3-dkim python3-nacl python3-authres opendkim miltertest libmail-dkim-perl rsyslog
      python3-spf python3-dnspython libmail-spf-perl libmail-dmarc-perl libmail-srs-perl libopendkim-dev libopendmarc-dev libspf2-dev publicsuffix
      clamav clamav-daemon clamav-milter clamav-testfiles spamassassin spamd rspamd c-icap libc-icap-mod-virus-scan p7zip-full zip postgresql ldap-utils chromium prometheus zstd"
command -v npm >/dev/null || run="$run npm" # some builds of nodejs bring it along
bench="postfix iproute2 python3 procps libcmocka-dev libspf2-dev libopendkim-dev libopendmarc-dev publicsuffix python3-dkim openssl nodejs
       spamassassin spamd bogofilter rspamd redis-server python3-numpy python3-scipy chromium"
fuzz="clang libclang-rt-14-dev"
lint="clang-tidy cppcheck valgrind"

case ${1:-run} in
run) want=$run ;;
test) want="$run $test" ;;
bench) want="$run $bench" ;;
fuzz) want="$run $fuzz" ;;
lint) want="$run $test $lint" ;;
*) echo "usage: $0 run|test|bench|fuzz|lint" >&2; exit 64 ;;
esac

# Exim cannot be installed beside Postfix: it is unpacked in a folder. Without it its conversations are skipped.
peers="$(dirname "$0")/../tests/bench"
unpack_exim() {
    [ "$1" = test ] && [ ! -d "${PEERS:-$peers/.peers}/exim" ] || return 0
    "$peers/peers.sh" setup exim >/dev/null 2>&1 || echo "Exim could not be fetched; its tests will be skipped" >&2
}

# One peer of src/mailauth comes from npm. Without it the comparison is skipped.
mailauth="$(dirname "$0")/../tests/mailauth"
fetch_mailauth() {
    [ "$1" = test ] && [ ! -d "$mailauth/node_modules/mailauth" ] || return 0
    (cd "$mailauth" && npm ci --ignore-scripts --no-audit --no-fund --silent) >/dev/null 2>&1 ||
        echo "npm's mailauth could not be fetched; the comparison with it will be skipped" >&2
}

# The web pages are driven by npm's playwright-core, and looked at by axe-core. Without them those tests are skipped.
web="$(dirname "$0")/../tests/web"
fetch_web() {
    case $1 in test | bench) ;; *) return 0 ;; esac
    [ ! -e "$web/node_modules/.package-lock.json" ] || [ "$web/package-lock.json" -nt "$web/node_modules/.package-lock.json" ] || return 0
    (cd "$web" && npm ci --ignore-scripts --no-audit --no-fund --silent && touch node_modules/.package-lock.json) >/dev/null 2>&1 ||
        echo "npm's playwright-core and axe-core could not be fetched; the tests of the web pages will be skipped" >&2
}

missing=
for p in $want; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || { unpack_exim "${1:-run}"; fetch_mailauth "${1:-run}"; fetch_web "${1:-run}"; exit 0; }

echo "Installing Debian packages:$missing"
as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "These packages are missing, and there is no sudo. As root: apt-get install$missing" >&2; exit 77; }
    as_root=sudo
fi
# Services that come with a package must not start by themselves: the tests start their own on loopback.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
    made_policy=yes
fi
finish() { [ -z "$made_policy" ] || $as_root rm -f $policy; }
trap finish EXIT
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -qq update >"$log" 2>&1 || { cat "$log" >&2; exit 69; }
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -qq --no-install-recommends install $missing >"$log" 2>&1 ||
    { tail -n 40 "$log" >&2; echo "apt-get could not install:$missing" >&2; exit 69; }
rm -f "$log"
unpack_exim "${1:-run}"
fetch_mailauth "${1:-run}"
fetch_web "${1:-run}"
