#!/bin/sh
# Installs libamphi from a build folder into a prefix of its own, builds the consumer against it with CMake's find_package and with
# pkg-config, and runs both.   run_consumer_test.sh BUILD_DIR
set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --component sdk --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; exit 1; }
libdir=$(dirname "$(find "$work/prefix" -name libamphi.so | head -1)")
# The prefix moves: nothing in the package may remember where it was installed.
mv "$work/prefix" "$work/moved"
libdir="$work/moved${libdir#"$work/prefix"}"

cmake -S "$here" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/moved" -DCMAKE_BUILD_TYPE=Debug >"$work/log" || { cat "$work/log"; exit 1; }
cmake --build "$work/cmake" >"$work/log" || { cat "$work/log"; exit 1; }
echo "find_package(amphi):"
"$work/cmake/consumer"

export PKG_CONFIG_PATH="$libdir/pkgconfig"
# shellcheck disable=SC2046
${CXX:-c++} "$here/main.cpp" -o "$work/consumer" $(pkg-config --cflags --libs amphi) -Wl,-rpath,"$libdir"
echo "pkg-config amphi $(pkg-config --modversion amphi):"
"$work/consumer"
