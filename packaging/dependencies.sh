# shellcheck shell=sh
# shellcheck disable=SC2034 # the lists are for whoever sources this
# SPDX-License-Identifier: Apache-2.0
# Debian packages, by purpose, and how the scripts install them. Sourced.

BUILD_PACKAGES="gcc libc6-dev cmake ninja-build pkg-config libltdl-dev
 libinih-dev libzstd-dev libssl-dev libjansson-dev"
# ISA-L is fast on two architectures; elsewhere zlib does its work. FOR_ARCH: for
# another machine than this.
case ${FOR_ARCH:-$(dpkg --print-architecture)} in
amd64 | arm64) BUILD_PACKAGES="$BUILD_PACKAGES libisal-dev" ;;
*) BUILD_PACKAGES="$BUILD_PACKAGES zlib1g-dev" ;;
esac
# The backends that speak HTTP, beside BUILD_PACKAGES.
NETWORK_PACKAGES="libcurl4-openssl-dev libexpat1-dev"
TEST_PACKAGES="libcmocka-dev zlib1g-dev strace zstd gzip python3 python3-venv
 g++ clang make binutils e2fsprogs file util-linux mandoc openssl libuv1-dev
 doxygen prometheus jq"
# What the benchmarks are measured against.
BENCH_PACKAGES="libsqlite3-dev zstd openssl e2fsprogs util-linux python3 curl rclone"
# To draw the pictures of docs/observability.md anew.
PICTURE_PACKAGES="prometheus python3-matplotlib"
# To build the Debian packages, and to try them in fresh chroots.
DEB_PACKAGES="debhelper devscripts dpkg-dev fakeroot"
PACKAGE_TEST_PACKAGES="autopkgtest lintian mmdebstrap rpm rpmlint"
# To run on other architectures. In their chroots: tools of this machine's own, and
# these and BUILD_PACKAGES' libraries of the other's.
PLATFORM_PACKAGES="mmdebstrap arch-test qemu-user-static util-linux"
PLATFORM_TOOL_PACKAGES="cmake ninja-build pkg-config binutils-multiarch zstd gzip strace
 openssl python3 file util-linux make"
PLATFORM_TEST_PACKAGES="libcmocka-dev zlib1g-dev"
# The same machine with musl; what Persist links comes from Debian's sources.
MUSL_PACKAGES="musl-tools gcc libc6-dev linux-libc-dev bzip2 xz-utils perl"
PORT_SOURCES="zlib libzstd jansson cmocka libinih libtool openssl"
# What there is for Windows, compiled and run here.
WINDOWS_PACKAGES="gcc-mingw-w64-x86-64 wine64 cmake ninja-build pkg-config make
 perl bzip2 xz-utils"
WINDOWS_SOURCES="zlib libzstd jansson cmocka openssl"
# What is compiled for macOS here.
MACOS_PACKAGES="python3 python3-venv libcmocka-dev zlib1g-dev gcc pkg-config"
# The manual as HTML.
DOC_PACKAGES="mkdocs python3 doxygen"
LINT_PACKAGES="ccache clang-format clang-tidy cppcheck shellcheck gcovr
libc6-dev-i386"

# need PACKAGE...: installs those that are missing. Root only; anyone else is
# told what to ask for.
need() {
    missing=
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
            grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "missing packages:$missing" >&2
        echo "hint: run as root: apt-get install$missing" >&2
        return 1
    fi
    echo "installing:$missing"
    apt-get update -qq
    # A program is wanted, never the service its package brings along.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    else
        policy=
    fi
    result=0
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends $missing >/dev/null || result=$?
    [ -z "$policy" ] || rm -f "$policy"
    case " $missing " in
    *" prometheus "*) systemctl disable -q prometheus 2>/dev/null || true ;;
    esac
    return "$result"
}
