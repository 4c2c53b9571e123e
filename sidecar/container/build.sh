#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh BIN IMAGE: an image with the programs that are in BIN, by buildah, without a network:
#     cmake --workflow --preset release
#     sh sidecar/container/build.sh build/release/bin sponson:0.1.0
# It needs neither a daemon nor privileges of its own. SOURCE_DATE_EPOCH dates the image; BUILDAH may name more words,
# such as `buildah --root DIR`.
set -eu
bin=$1
image=$2
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sh "$here/root.sh" "$bin" "$work/root.tar"
cp "$here/Containerfile" "$work"
version=$("$bin/sponson" --version)
# shellcheck disable=SC2086 # words
${BUILDAH:-buildah} --storage-driver vfs bud --isolation chroot --timestamp "${SOURCE_DATE_EPOCH:-0}" \
    --build-arg VERSION="${version#sponson }" --tag "$image" "$work"
