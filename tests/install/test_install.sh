#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs into a directory, moves what is there to another one, and builds small programs out of it
# as packagers and their users do: with find_package and with pkg-config, shared and static, as C and
# as C++. Each publishes to the installed daemon and reads back.
#
#     test_install.sh CMAKE BUILD CC [SANITIZER-FLAG]
#
# With a sanitizer only CC is used: another compiler has another runtime.
set -eu
cmake=$1 build=$2 cc=$3 sanitize=${4:-}
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
dir=$(mktemp -d)
daemon=
cleanup() {
    if [ -n "$daemon" ]; then
        kill "$daemon" && wait "$daemon" || true
    fi
    rm -rf "$dir"
}
trap cleanup EXIT

fail() {
    echo "test_install: $*" >&2
    exit 1
}

quietly() { # a command, whose output is of interest only if it fails
    "$@" > "$dir/output" 2>&1 || { cat "$dir/output" >&2; fail "$*"; }
}

# -- install, and move --------------------------------------------------------------------------------
DESTDIR="$dir/staged" quietly "$cmake" --install "$build" --prefix /opt/spn
mkdir "$dir/other"
mv "$dir/staged/opt/spn" "$dir/other/place"
prefix="$dir/other/place"
libdir=$(dirname "$(find "$prefix" -name libsponson.a)")
for file in "$libdir/libsponson.so" "$prefix/include/sponson.h" "$prefix/include/spn_err.h" \
    "$libdir/pkgconfig/sponson.pc" "$libdir/cmake/sponson/sponsonConfig.cmake" \
    "$libdir/cmake/sponson/sponsonConfigVersion.cmake"; do
    [ -e "$file" ] || fail "not installed: $file"
done
# CMake itself compares its place with a prefix below /usr, because /lib may be a link to /usr/lib.
compares='#|_realOrig|_IMPORT_PREFIX "/|PACKAGE_PREFIX_DIR "/'
for path in "$dir" "$build" "$source" /opt /usr; do
    if grep -rhF -- "$path/" "$libdir/cmake" "$libdir/pkgconfig" | grep -vE "$compares"; then
        fail "what is installed names $path"
    fi
done
export PKG_CONFIG_PATH="$libdir/pkgconfig"
flags="-Wall -Wextra -pedantic -Wshadow -Wconversion -Werror $sanitize"
programs=""

is_static() { # program: contains the library, and does not look for it
    if readelf -d "$1" | grep -q libsponson; then
        fail "$1 is linked to the shared library"
    fi
}

# -- pkg-config ---------------------------------------------------------------------------------------
# The commands are README's own, with another compiler for `cc` and our program for `app.c`.
readme_command() { # the name of its row
    sed -n "s/^| $1 | \`cc app\.c \([^\`]*\)\`.*/\1/p" "$source/README.md"
}
shared=$(readme_command pkg-config)
static=$(readme_command "pkg-config, static library")
[ -n "$shared" ] && [ -n "$static" ] || fail "README.md has no commands with pkg-config"
export LD_RUN_PATH="$libdir" # instead of ldconfig

build_with_pkg_config() { # name, compiler and options
    name=$1
    shift
    eval "quietly \"\$@\" $flags -o \"$dir/${name}_shared\" \"$here/app/app.c\" -x none $shared"
    eval "quietly \"\$@\" $flags -o \"$dir/${name}_static\" \"$here/app/app.c\" -x none $static"
    is_static "$dir/${name}_static"
    programs="$programs $dir/${name}_shared $dir/${name}_static"
}

compilers="$cc"
[ -n "$sanitize" ] || compilers="$cc gcc clang"
for compiler in $compilers; do
    command -v "$compiler" > /dev/null || continue
    for standard in c99 c11 c17; do
        build_with_pkg_config "$(basename "$compiler")_$standard" "$compiler" "-std=$standard"
    done
done
cxx_compilers="g++ clang++"
if [ -n "$sanitize" ]; then
    case "$(basename "$cc")" in
    *clang*) cxx_compilers=clang++ ;;
    *) cxx_compilers=g++ ;;
    esac
fi
cxx=
for compiler in $cxx_compilers; do
    command -v "$compiler" > /dev/null || continue
    cxx=${cxx:-$compiler}
    for standard in c++11 c++17 c++20; do
        build_with_pkg_config "${compiler}_$standard" "$compiler" -x c++ "-std=$standard"
    done
done

unset LD_RUN_PATH

# -- find_package -------------------------------------------------------------------------------------
set -- -S "$here/app" "-DCMAKE_C_COMPILER=$cc" "-DCMAKE_C_FLAGS=$sanitize" "-DCMAKE_CXX_FLAGS=$sanitize" \
    "-DCMAKE_PREFIX_PATH=$prefix" -DCMAKE_BUILD_TYPE=Debug
with_cxx=
[ -z "$cxx" ] || with_cxx="-DWITH_CXX=ON -DCMAKE_CXX_COMPILER=$cxx"
# shellcheck disable=SC2086
quietly "$cmake" "$@" $with_cxx -DVERSION=0.1 -B "$dir/app"
quietly "$cmake" --build "$dir/app"
for program in "$dir"/app/cmake_*_shared "$dir"/app/cmake_*_static; do
    programs="$programs $program"
done
is_static "$dir/app/cmake_c_static"

# Where libzmq cannot be found, and where a package leaves the archive out, the shared library remains.
PKG_CONFIG_PATH="" PKG_CONFIG_LIBDIR="$dir" quietly "$cmake" "$@" -DCOMPONENTS=shared -B "$dir/no_zmq"
if PKG_CONFIG_PATH="" PKG_CONFIG_LIBDIR="$dir" "$cmake" "$@" -DCOMPONENTS=static -B "$dir/refused" \
    > "$dir/output" 2>&1; then
    fail "sponson::sponson_static was found without libzmq"
fi
tr -s ' \n' ' ' < "$dir/output" | grep -q "sponson::sponson_static needs" || fail "no reason: $(cat "$dir/output")"
if "$cmake" "$@" -DVERSION=0.2 -B "$dir/later" > "$dir/output" 2>&1; then
    fail "a later version was found"
fi

# -- run ----------------------------------------------------------------------------------------------
mkdir "$dir/data" "$dir/sockets"
mkfifo "$dir/ready"
export SPONSON_SOCKET_DIR="$dir/sockets"
"$prefix/sbin/sponsond" --data-dir "$dir/data" --socket-dir "$dir/sockets" --ready-fd 3 3> "$dir/ready" \
    2> "$dir/log" &
daemon=$!
read -r _ < "$dir/ready" || { cat "$dir/log" >&2; exit 1; }
count=0
for program in $programs; do
    said=$("$program" "$(basename "$program")" "hello from $program") || fail "$program"
    [ "$said" = "hello from $program" ] || fail "$program read: $said"
    count=$((count + 1))
done
[ "$count" -ge 8 ] || fail "only $count programs"
rm "$libdir/libsponson.a" "$libdir/cmake/sponson/"sponsonStatic*
quietly "$cmake" "$@" -DCOMPONENTS=shared -B "$dir/no_archive"
echo "$count programs; C++: ${cxx:-no compiler}"
