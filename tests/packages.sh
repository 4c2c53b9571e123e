#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what Debian 12 has for building (no argument), testing (`test`), testing the gateway with clients of
# others (`web`: such tests are skipped without it), checking (`check`), the Python package with its wheel
# (`python`), the Node package (`node`), Debian packages (`packages`), and trying these in a bare root (`host`).
# Node's headers come with a Node that is not Debian's; Debian has them beside it. On Debian nginx, caddy and
# prometheus start servers of their own; the tests need none that runs.
set -eu
packages="gcc libc6-dev cmake ninja-build pkg-config libzmq3-dev liblmdb-dev libjansson-dev libncurses-dev libxxhash-dev libmicrohttpd-dev libssl-dev libyaml-dev"
wheel="python3-dev python3-build python3-setuptools python3-wheel python3-venv"
case "${1:-build}" in
build) ;;
python) packages="$packages $wheel" ;;
packages)
    packages="$packages dpkg-dev file python3-dev gzip"
    command -v node >/dev/null || packages="$packages libnode-dev nodejs"
    ;;
node) command -v node >/dev/null && command -v npm >/dev/null || packages="$packages nodejs npm libnode-dev" ;;
test) packages="$packages g++ libcmocka-dev libhiredis-dev python3 strace patch systemd tmux $wheel python3-yaml python3-pytest python3-starlette python3-httpx python3-fastapi python3-uvicorn mypy" ;;
web)
    packages="nginx libnginx-mod-nchan caddy chromium openssl curl php-cli golang-go prometheus buildah python3"
    command -v node >/dev/null && command -v npm >/dev/null || packages="$packages nodejs npm"
    ;;
check) packages="$packages $wheel g++ libcmocka-dev libhiredis-dev python3 strace patch clang clang-format clang-tidy cppcheck libclang-rt-14-dev git" ;;
host) packages="debootstrap lintian" ;;
*) echo "packages.sh: unknown set: $1" >&2; exit 2 ;;
esac
case "${1:-build}" in
test | check) command -v node >/dev/null || packages="$packages nodejs libnode-dev" ;;
esac
# Manual pages and completions are tried by them.
[ "${1:-build}" != test ] || packages="$packages man-db zsh fish"
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
