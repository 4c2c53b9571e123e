#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The comparison: builds with the release's flags, measures, writes build/bench/report/report.md.
# --quick takes minutes instead of most of an hour, --help lists the rest. With redis-server and
# libhiredis-dev installed Redis is compared too (on Debian the former also starts a Redis of its own;
# this one needs none that runs). So is the gateway, with nginx and libnginx-mod-nchan, and with the
# packages of tests/web (npm ci --ignore-scripts there) and chromium: --only http is that alone.
set -eu
cd "$(dirname "$0")/../.."
sh tests/packages.sh test
cmake --preset bench >/dev/null
cmake --build --preset bench >/dev/null
exec python3 -B tests/bench/compare.py "$@"
