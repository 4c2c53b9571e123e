#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# root.sh BIN TAR: the root directory of the container, as a tar file: the programs that are in BIN, the shared
# libraries that they need with their licences, a user, and the two directories that are this user's. Nothing else:
# no shell, no package manager. The same programs and libraries make the same file.
set -eu
bin=$1
tar=$2
user=65532 # of the daemon, in Containerfile too
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
root=$work/root

for place in sbin/sponsond sbin/sponson-http bin/sponson; do
    install -D -m 0755 "$bin/${place#*/}" "$root/usr/$place"
done

# "name => path (address)", or "path (address)" for the loader.
ldd "$root"/usr/sbin/* "$root"/usr/bin/* >"$work/ldd"
if grep 'not found' "$work/ldd" >&2; then
    exit 1
fi
awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// && $1 !~ /:$/ { print $1 }' "$work/ldd" |
    sort -u >"$work/libraries"
while read -r library; do
    install -D -m 0755 "$library" "$root$library"
done <"$work/libraries"

# Debian's packages know who holds the rights in the libraries.
if command -v dpkg-query >/dev/null; then
    while read -r library; do
        file=$(readlink -f "$library")
        printf '%s\n' "$library" "/usr$library" "$file" "${file#/usr}"
    done <"$work/libraries" | sort -u | xargs dpkg-query -S 2>/dev/null | cut -d : -f 1 | sort -u >"$work/packages"
    while read -r package; do
        install -D -m 0644 "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
    done <"$work/packages"
fi
install -D -m 0644 "$(dirname "$0")/../../LICENSE" "$root/usr/share/doc/sponson/copyright"

mkdir -p "$root/etc"
printf 'root:x:0:0::/:/usr/sbin/nologin\nsponson:x:%s:%s::/data:/usr/sbin/nologin\n' $user $user >"$root/etc/passwd"
printf 'root:x:0:\nsponson:x:%s:\n' $user >"$root/etc/group"
install -d -m 0750 "$root/data" "$root/run/sponson"

pack() {
    owner=$1
    shift
    tar -C "$root" --sort=name --mtime=@0 --numeric-owner --owner="$owner" --group="$owner" -rf "$tar" "$@"
}
rm -f "$tar"
pack 0 --exclude=./data --exclude=./run/sponson .
pack $user ./data ./run/sponson
