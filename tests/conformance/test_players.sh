#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the players make of a client that supports little, and of one that asks what is not answered.
#
#     test_players.sh BIN KIT
set -eu
bin=$1 kit=$2
output=$(mktemp)
trap 'rm -f "$output"' EXIT

fail() {
    echo "test_players: $*" >&2
    cat "$output" >&2
    exit 1
}

gives() { # exit code, command
    wanted=$1 code=0
    shift
    "$@" > "$output" 2>&1 || code=$?
    [ "$code" = "$wanted" ] || fail "exit $code and not $wanted: $*"
}

# `connect` works, with both WELCOMEs. Then the next command is unsupported, whether the transcript goes on
# with a frame of the client or with a line.
gives 77 "$bin/sponson-transcript" "$kit/transcripts/publish.txt" --client "$bin/eager-client"
gives 77 "$bin/sponson-transcript" "$kit/transcripts/subscribe.txt" --client "$bin/eager-client"
# The sidecar waits for a message (SUBSCRIBE after its line), or for a line.
gives 77 "$bin/sponson-conformance" "$kit/scenarios/once_timeout.txt" -- "$bin/eager-client"
gives 77 "$bin/sponson-conformance" "$kit/scenarios/sub_happy.txt" -- "$bin/eager-client"

# HEALTH (28) on read.sock is not in the transcript: the player names it.
gives 1 "$bin/sponson-transcript" "$kit/transcripts/publish.txt" --client "$bin/eager-client" 28
grep -q "it has sent HEALTH on read.sock" "$output" || fail "HEALTH is not named"
