#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# On a bare Debian with the packages in /release1 and /release2: install, use, upgrade, remove, purge. Everything that
# is started here ends with the namespace.
# shellcheck disable=SC2086,SC2015 # lists of words
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
export SPONSON_DATA_DIR=/var/lib/sponson SPONSON_SOCKET_DIR=/run/sponson
passed=0

step() {
    passed=$((passed + 1))
    echo "$passed: $*"
}

fail() {
    echo "host.sh: $*" >&2
    [ ! -e /tmp/log ] || tail -n 20 /tmp/log >&2
    exit 1
}

quietly() {
    "$@" >/tmp/output 2>&1 || { cat /tmp/output; fail "$*"; }
}

packages="sponson sponson-http libsponson0 libsponson-dev python3-sponson node-sponson"

nothing_runs() {
    ! grep -lsE '^sponson' /proc/[0-9]*/comm || fail "something runs: $(cat /proc/[0-9]*/comm)"
}

# As the service does: not root, in the group of the sockets. Words and no function: `$as_sponson … &` is the program
# itself, and not a shell that waits for it.
as_sponson="setpriv --reuid sponson --regid sponson --clear-groups"

start() {
    $as_sponson sponsond >>/tmp/log 2>&1 &
    daemon=$!
    quietly $as_sponson sponson health --wait 10
}

replay_all() {
    for stream in /streams/*.sse; do
        session=$(basename "$stream" .sse)
        echo "$session"
        $as_sponson sponson replay "$session" --format sse
    done
}

readme() { # language: the code of that block in README.md
    awk -v language="$1" '$0 == "```" language { inside = 1; next } /^```/ { inside = 0 } inside' /README.md
}

# -- install -----------------------------------------------------------------------------------------
quietly apt-get update
quietly apt-get install -y --no-install-recommends /release1/*.deb gcc libc6-dev pkg-config man-db
for package in $packages; do
    dpkg-query -W -f '${Status} ${Version}\n' "$package" | grep -qx 'install ok installed 0.*-1' || fail "$package"
    quietly dpkg --verify "$package"
    [ ! -s /tmp/output ] || fail "$package: $(cat /tmp/output)"
    [ -s "/usr/share/doc/$package/copyright" ] && [ -s "/usr/share/doc/$package/changelog.Debian.gz" ] ||
        fail "$package has no copyright or changelog"
done
nothing_runs
step "installed; nothing was started"

[ "$(stat -c '%U:%G %a' /var/lib/sponson)" = "sponson:sponson 700" ] || fail "$(ls -ld /var/lib/sponson)"
getent passwd sponson | grep -q ':/usr/sbin/nologin$' || fail "the user sponson may log in"
conffiles=$(dpkg-query -W -f '${Conffiles}\n' $packages | awk 'NF { print $1 }')
[ -n "$conffiles" ] || fail "no configuration file"
[ "$(find /etc/sponson -type f | wc -l)" -eq "$(echo "$conffiles" | grep -c '^/etc/sponson/')" ] ||
    fail "a file in /etc/sponson is no configuration file"
for unit in $(dpkg-query -L $packages | grep '/systemd/system/sponson-http'); do
    dpkg-query -S "$unit" | grep -q '^sponson-http:' || fail "$unit is in another package"
done
for page in sponsond sponson sponson-publish sponson-http libsponson spn_publish; do
    quietly man "$page"
done
for file in bash-completion/completions/sponson zsh/vendor-completions/_sponson \
    fish/vendor_completions.d/sponson.fish; do
    [ -s "/usr/share/$file" ] || fail "no completion: $file"
done
for program in sponson sponsond sponson-http; do
    quietly "$program" --version
    quietly "$program" --help
    ! ldd "$(command -v $program)" | grep 'not found' || fail "$program"
done
step "users, directories, manual pages and programs"

# -- the main job ------------------------------------------------------------------------------------
install -d -m 0750 -o sponson -g sponson /run/sponson
start
for stream in /streams/*.sse; do
    quietly $as_sponson sponson record "$(basename "$stream" .sse)" "$stream"
done
replay_all >/tmp/before
[ "$(grep -c '^data' /tmp/before)" -gt 0 ] || fail "nothing was recorded"
kill -9 "$daemon"
wait "$daemon" || true
nothing_runs
start
replay_all >/tmp/after
cmp /tmp/before /tmp/after || fail "a kill took events"
step "recorded, killed, and replayed: $(grep -c '^data' /tmp/after) lines of data"

# -- programs ----------------------------------------------------------------------------------------
cd /tmp
command=$(sed -n 's/^| pkg-config | `\(cc app\.c [^`]*\)`.*/\1/p' /README.md)
[ -n "$command" ] || fail "README.md has no command for pkg-config"
cp /app.c app.c
eval "quietly $command -o app"
ldd app | grep -q 'libsponson.so.0 => /' || fail "app is not linked to libsponson.so.0"
[ "$($as_sponson ./app c-app hello)" = hello ] || fail "app"
readme python >readme.py
[ "$($as_sponson python3 readme.py)" = "1 world" ] || fail "python: $($as_sponson python3 readme.py 2>&1)"
readme js >readme.mjs
mkdir -p node_modules
module=$(dirname "$(dpkg -L node-sponson | grep 'sponson/package.json$')")
ln -s "$module" node_modules/sponson
[ "$($as_sponson node readme.mjs)" = "true Hello
true world" ] || fail "node: $($as_sponson node readme.mjs 2>&1)"
step "programs in C, Python and Node"

setpriv --reuid nobody --regid sponson --clear-groups \
    sponson-http --listen 127.0.0.1:8080 --insecure-loopback --no-socket --ready-fd 3 3>/tmp/ready 2>>/tmp/log &
gateway=$!
$as_sponson python3 - <<'PYTHON' || fail "the gateway"
import time, urllib.error, urllib.request
url = "http://127.0.0.1:8080/v1/sessions/chat-9"
end = time.monotonic() + 10
while True:
    try:
        urllib.request.urlopen(urllib.request.Request(url, b"hello", {"Content-Type": "text/plain"}), timeout=10).read()
        break
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > end:
            raise
text = urllib.request.urlopen(url + "?until=caught-up", timeout=10).read()
assert b"data: hello" in text, text
PYTHON
kill "$gateway"
wait "$gateway" || fail "the gateway's exit code"
step "the gateway, as a user of the group"

# -- upgrade -----------------------------------------------------------------------------------------
for file in $conffiles; do
    echo "# mine" >>"$file"
done
quietly apt-get install -y --no-install-recommends /release2/*.deb
for package in $packages; do
    dpkg-query -W -f '${Status} ${Version}\n' "$package" | grep -qx 'install ok installed 0.*-2' || fail "$package"
done
for file in $conffiles; do
    [ "$(tail -n 1 "$file")" = "# mine" ] || fail "the upgrade changed $file"
done
replay_all >/tmp/after
cmp /tmp/before /tmp/after || fail "the daemon does not run any more"
kill "$daemon"
wait "$daemon" || fail "the daemon's exit code"
start
replay_all >/tmp/after
cmp /tmp/before /tmp/after || fail "the new version reads something else"
step "upgraded: settings and events are kept, what ran goes on"

# -- remove ------------------------------------------------------------------------------------------
kill "$daemon"
wait "$daemon" || fail "the daemon's exit code"
quietly apt-get remove -y $packages
for file in $conffiles; do
    [ "$(tail -n 1 "$file")" = "# mine" ] || fail "removal changed $file"
done
[ -s /var/lib/sponson/data.mdb ] || fail "removal took the database"
left=$(find /usr /lib -xdev -path '*sponson*' ! -path '/usr/share/doc*' 2>/dev/null)
[ -z "$left" ] || fail "left behind: $left"
nothing_runs
step "removed: settings and events are kept"

quietly apt-get purge -y $packages
grep -q 'sponson: the events in /var/lib/sponson are kept' /tmp/output ||
    fail "purge does not say where the events are: $(cat /tmp/output)"
[ ! -e /etc/sponson ] || fail "purge left $(find /etc/sponson)"
[ -s /var/lib/sponson/data.mdb ] || fail "purge took the database"
step "purged: the events are kept, and it says where"

quietly apt-get install -y --no-install-recommends /release1/sponson_*.deb
start
replay_all >/tmp/after
cmp /tmp/before /tmp/after || fail "after a purge the events are others"
kill "$daemon"
wait "$daemon" || fail "the daemon's exit code"
rm -r /var/lib/sponson
quietly apt-get purge -y sponson
! grep 'are kept' /tmp/output || fail "purge speaks of events that are not there"
step "installed again on the same events"
echo "host.sh: $passed steps"
