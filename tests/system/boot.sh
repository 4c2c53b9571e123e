#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# boot.sh CMAKE BUILD KILLABLE: the units under a real systemd. A bare Debian is made by debootstrap, gets what the
# build installs, and is booted by systemd-nspawn; boot_inside.sh runs in it. KILLABLE is a daemon that hangs where it
# is told to. Needs root, a mirror of Debian, and a minute. Ends with 77 where it cannot be tried.
set -eu
cmake=$1 build=$2 killable=$3
here=$(cd "$(dirname "$0")" && pwd)
skip() {
    echo "boot: not tried: $1"
    exit 77
}
[ "$(id -u)" -eq 0 ] || skip "it needs root"
for tool in debootstrap systemd-nspawn unshare; do
    command -v $tool >/dev/null || skip "there is no $tool"
done

dir=$(mktemp -d /var/tmp/spn-boot-XXXXXX)
trap 'rm -rf "$dir"' EXIT
root=$dir/root
packages=systemd,systemd-sysv,dbus,libzmq5,liblmdb0,libxxhash0,libjansson4,libmicrohttpd12
debootstrap --variant=minbase --include=$packages bookworm "$root" >"$dir/log" 2>&1 || skip "debootstrap: $(tail -1 "$dir/log")"
DESTDIR=$root "$cmake" --install "$build" >/dev/null
prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$build/CMakeCache.txt")
cp "$killable" "$root/killable"
cp "$here/boot_inside.sh" "$root/inside.sh"
chroot "$root" useradd --system --user-group sponson
chroot "$root" ldconfig
cat >"$root/etc/systemd/system/inside.service" <<END
[Service]
Type=oneshot
ExecStart=/bin/sh /inside.sh $prefix
ExecStopPost=/bin/systemctl --no-block poweroff
TimeoutStartSec=120
[Install]
WantedBy=multi-user.target
END
chroot "$root" systemctl enable inside.service 2>/dev/null

# nspawn wants /run to be a tmpfs.
cat >"$dir/run.sh" <<END
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system &&
exec timeout -k 10 180 systemd-nspawn --quiet --boot --register=no --keep-unit --private-network --console=pipe \
    -D $root
END
unshare -m sh "$dir/run.sh" </dev/null >"$dir/log" 2>&1 || true
[ -e "$root/results" ] || skip "systemd-nspawn: $(tail -2 "$dir/log")"
cat "$root/results"
if grep -q '^FAILED' "$root/results" || ! grep -qx "done" "$root/results"; then
    cat "$root/journal" 2>/dev/null
    exit 1
fi
