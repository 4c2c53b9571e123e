#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the packages, and tries them on a bare Debian 12 as an operator does: host.sh runs there.
#
#     test_packages.sh CMAKE WORK
#
# The bare root is made by debootstrap, and is entered in namespaces of its own. Exits with 77, skipped, where that
# cannot be: not root, no debootstrap or lintian, no namespaces, no mirror ($SPONSON_DEBIAN_MIRROR names another one).
set -eu
cmake=$1 work=$2
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
root="$work/root"
mirror=${SPONSON_DEBIAN_MIRROR:-http://deb.debian.org/debian}

skip() {
    echo "skipped: $*"
    exit 77
}

quietly() { # a command, whose output is of interest only if it fails
    "$@" >"$work/output" 2>&1 || { cat "$work/output"; echo "test_packages: $*" >&2; exit 1; }
}

[ "$(id -u)" -eq 0 ] || skip "needs root"
for program in debootstrap lintian unshare dpkg-shlibdeps; do
    command -v "$program" >/dev/null || skip "$program is not installed"
done
unshare --mount --pid --fork true 2>/dev/null || skip "no namespaces here"
rm -rf "$work"
mkdir -p "$work"
build="$work/build"
trap 'rm -rf "$root" "$build"' EXIT
if ! debootstrap --variant=minbase bookworm "$root" "$mirror" >"$work/debootstrap.log" 2>&1; then
    tail -n 3 "$work/debootstrap.log"
    skip "debootstrap finds no mirror"
fi

# -- two releases of the packages ------------------------------------------------------------------------
quietly "$cmake" -S "$source" --preset packages -B "$build"
quietly "$cmake" --build "$build"
for release in 1 2; do
    quietly "$cmake" "-DSPONSON_PACKAGE_RELEASE=$release" "$build"
    (cd "$build" && quietly cpack -B "$work/release$release")
    mkdir "$root/release$release"
    cp "$work/release$release"/*.deb "$root/release$release/"
done
[ "$(ls "$root/release1" | wc -l)" -eq 6 ] || { ls "$root/release1"; exit 1; }
lintian --allow-root --fail-on error "$root"/release1/*.deb >"$work/lintian.log" 2>&1 ||
    { grep '^E:' "$work/lintian.log" || cat "$work/lintian.log"; exit 1; }

# -- the host ----------------------------------------------------------------------------------------
cp "$here/host.sh" "$root/"
cp "$source/README.md" "$source/tests/install/app/app.c" "$source/client/examples/producer.c" "$root/"
mkdir "$root/streams"
cp "$source"/tests/data/*.sse "$root/streams/"
cp /etc/resolv.conf "$root/etc/"
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/test" # the root is thrown away
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin ${http_proxy:+"http_proxy=$http_proxy"} \
    unshare --mount --pid --fork --mount-proc="$root/proc" chroot "$root" sh /host.sh
