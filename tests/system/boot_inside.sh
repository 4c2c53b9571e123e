#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# boot_inside.sh PREFIX: runs in the Debian that boot.sh has booted. Writes /results: a line for each check, then
# "done".
PATH=$1/bin:$1/sbin:$PATH
exec >/results 2>&1
check() { # NAME COMMAND...: it must succeed
    name=$1
    shift
    if output=$("$@" 2>&1); then echo "ok $name"; else echo "FAILED $name: $output"; fi
}
says() { # TEXT COMMAND...: its output must contain the text
    text=$1
    shift
    case "$("$@" 2>&1)" in *"$text"*) ;; *) "$@"; return 1 ;; esac
}
shows() { says "$1" systemctl show "$2" -p "${1%%=*}"; }
wait_for() { # COMMAND...: within 40 s
    for _ in $(seq 400); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    "$@"
}
publish() { printf 'data: x\n\n' | sponson record s --timeout 20; }
http() { # PORT METHOD PATH: the first line of the answer
    bash -c 'exec 5<>/dev/tcp/127.0.0.1/$0
        printf "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n\r\n" "$1" "$2" "$0" >&5
        head -1 <&5' "$@"
}
drop_in() { # UNIT: from standard input
    mkdir -p "/etc/systemd/system/$1.d"
    cat >"/etc/systemd/system/$1.d/test.conf"
    systemctl daemon-reload
}

check "the sockets alone" systemctl start sponson.socket
check "a client starts the daemon" publish
check "it says that it serves" shows ActiveState=active sponson.service
check "and what it has" shows "StatusText=sessions: " sponson.service
pid=$(systemctl show sponson.service -p MainPID --value)
check "system calls are filtered" grep -q '^Seccomp:.2' "/proc/$pid/status"
check "no capabilities" grep -q '^CapEff:.0000000000000000' "/proc/$pid/status"
check "a user of its own" says sponson stat -c %U "/proc/$pid"
check "programs of other users have names" says '"program":"sponson"' sponson clients --json
check "no network" test "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)"
check "a reload" systemctl reload sponson.service
check "is over" shows SubState=running sponson.service

(while publish >/dev/null; do :; done; echo "FAILED a client saw a restart") & client=$!
for _ in 1 2 3; do check "a restart" systemctl restart sponson.service; done
systemctl kill -s KILL sponson.service
check "after kill -9 it comes back" wait_for shows NRestarts=1 sponson.service
check "and serves" sponson health --timeout 20
kill $client
check "with all that it had" says '"data":"x"' sponson replay s

check "an instance" systemctl start sponson@two.socket
check "is another daemon" env SPONSON_SOCKET_DIR=/run/sponson-two sponson health --timeout 20
check "with its own data" test -e /var/lib/sponson-two/data.mdb

drop_in sponson.service <<END
[Service]
WatchdogSec=2
Environment=SPONSON_KILL_POINT=broker_signal:1:hang
ExecStart=
ExecStart=/killable
END
systemctl restart sponson.service
check "a daemon that will hang" sponson health --timeout 20
systemctl kill -s HUP sponson.service
check "is ended by the watchdog, and comes back" wait_for says "Failed with result 'watchdog'" \
    journalctl -u sponson.service
check "and serves again" sponson health --timeout 20
rm -r /etc/systemd/system/sponson.service.d
systemctl daemon-reload
systemctl kill -s KILL sponson.service
check "the daemon as it was" wait_for sponson health

mkdir -p /etc/default
echo 'SPONSON_HTTP_OPTS=--listen=127.0.0.1:8080 --insecure-loopback' >/etc/default/sponson-http
systemctl start sponson-http.socket sponson-http-admin.socket
systemctl start --no-block sponson-http.service
check "--listen fails with its sentence" wait_for says "TCP comes only through ListenStream=127.0.0.1:PORT" \
    journalctl -u sponson-http.service
systemctl stop sponson-http.service sponson-http.socket
echo 'SPONSON_HTTP_OPTS=--insecure-loopback' >/etc/default/sponson-http
drop_in sponson-http.socket <<END
[Socket]
ListenStream=127.0.0.1:8080
END
check "TCP through the .socket unit" systemctl start sponson-http.socket sponson-http.service
check "the gateway publishes" says "201 Created" http 8080 PUT /v1/sessions/tcp
check "and its admin listener answers" says "200 OK" http 9099 GET /healthz
check "it reads its keys again" systemctl reload sponson-http.service
pid=$(systemctl show sponson-http.service -p MainPID --value)
check "the gateway's system calls are filtered" grep -q '^Seccomp:.2' "/proc/$pid/status"
check "a stop" systemctl stop sponson-http.service sponson-http.socket sponson-http-admin.socket \
    sponson.socket sponson.service
journalctl --no-pager -u sponson -u sponson-http -u sponson.socket -u sponson@two >/journal
echo "done"
