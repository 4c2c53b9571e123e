#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what Debian 12 has for building (no argument), testing (`test`), testing the gateway with clients of
# others (`web`: such tests are skipped without it) and checking (`check`). Node's headers come with a Node that is not
# Debian's; Debian has them beside it. On Debian nginx, caddy and prometheus
# start servers of their own; the tests need none that runs.
set -eu
packages="gcc libc6-dev cmake ninja-build pkg-config libzmq3-dev liblmdb-dev libjansson-dev libxxhash-dev libmicrohttpd-dev libssl-dev libsystemd-dev"
case "${1:-build}" in
build) ;;
test) packages="$packages g++ libcmocka-dev libhiredis-dev python3 strace patch" ;;
web)
    packages="nginx libnginx-mod-nchan caddy chromium openssl curl php-cli golang-go prometheus python3"
    command -v node >/dev/null && command -v npm >/dev/null || packages="$packages nodejs npm"
    ;;
check) packages="$packages g++ libcmocka-dev libhiredis-dev python3 strace patch clang clang-format clang-tidy cppcheck libclang-rt-14-dev git" ;;
*) echo "packages.sh: unknown set: $1" >&2; exit 2 ;;
esac
case "${1:-build}" in
test | check) command -v node >/dev/null || packages="$packages nodejs libnode-dev" ;;
esac
missing=""
for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0
sudo=""
if [ "$(id -u)" -ne 0 ]; then
    sudo="sudo"
    command -v sudo >/dev/null ||
        { echo "packages.sh: needs root or sudo to install:$missing" >&2; exit 1; }
fi
$sudo apt-get update -qq
# shellcheck disable=SC2086 # a list of names
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
