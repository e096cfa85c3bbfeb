# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# Chroots in which this machine compiles for another one and runs what came out:
# Debian of this machine's architecture with a cross compiler, the libraries of
# the other architecture beside its own, qemu-user where the processor cannot
# run it itself. Sourced; $work is a folder of the caller, root only.
# shellcheck disable=SC2016 # what runs in the chroot is expanded there

# triple_of PLATFORM: what compilers call it.
triple_of() {
    case $1 in
    i386) echo i686-linux-gnu ;;
    arm64) echo aarch64-linux-gnu ;;
    musl) echo x86_64-linux-musl ;;
    *) echo "$1-linux-gnu" ;;
    esac
}

# The kernel hands foreign programs to qemu, also within a chroot (flag F).
emulation() {
    case $1 in
    amd64 | i386 | musl) return ;;
    arm64) machine=aarch64 ;;
    *) machine=$1 ;;
    esac
    [ -e /proc/sys/fs/binfmt_misc/register ] ||
        mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc || return
    [ -e "/proc/sys/fs/binfmt_misc/qemu-$machine" ] ||
        cat "/usr/lib/binfmt.d/qemu-$machine.conf" >/proc/sys/fs/binfmt_misc/register
}

# Tools of this machine, and the libraries of PLATFORM.
packages_for() {
    FOR_ARCH=$1 TRIPLE=$(triple_of "$1") sh -c '. packaging/dependencies.sh
        case $FOR_ARCH in
        musl) echo $PLATFORM_TOOL_PACKAGES $MUSL_PACKAGES ;;
        *)
            printf "%s " $PLATFORM_TOOL_PACKAGES "gcc-$TRIPLE" "g++-$TRIPLE"
            for package in $BUILD_PACKAGES $NETWORK_PACKAGES $PLATFORM_TEST_PACKAGES; do
                case $package in
                lib*-dev | zlib1g-dev) printf "%s:%s " "$package" "$FOR_ARCH" ;;
                esac
            done
            ;;
        esac' | tr -s ' \n' ,
}

# The archive this machine uses, without what is laid over it: its updates for
# other architectures may be a step behind.
archive() {
    apt-get indextargets --format '$(SITE)' | grep -v security | sort -u | head -n 1
}

# sources NAME...: their archives in $work/sources. A mirror may lag behind with
# one release's file: the next release's does as well.
sources() {
    mkdir -p "${work:?}/sources/lists/partial"
    for suite in bookworm trixie; do
        echo "deb-src $(archive) $suite main"
    done >"$work/sources/list"
    sources_apt update || return
    for source; do
        for suite in bookworm trixie; do
            [ -z "$(find "$work/sources" -name "${source}_*.orig.tar.*")" ] || break
            (cd "$work/sources" && sources_apt source --download-only "$source/$suite") || :
        done
        [ -n "$(find "$work/sources" -name "${source}_*.orig.tar.*")" ] || return
    done
}
sources_apt() {
    apt-get -qq -o "Dir::Etc::SourceList=$work/sources/list" \
        -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$work/sources/lists" "$@"
}

# The chroot of PLATFORM as a tar file, kept for the next run: made anew when
# its packages change.
make_base() {
    . packaging/dependencies.sh
    packages=$(packages_for "$1") || return
    [ "$(cat "$work/$1.packages" 2>/dev/null)" != "$packages" ] ||
        [ ! -f "$work/$1.tar" ] || return 0
    set -- "$1" "--architectures=amd64,$1"
    case $1 in
    musl)
        # shellcheck disable=SC2086 # a list of words
        sources $PORT_SOURCES || return
        set -- "$1" --architectures=amd64 \
            --customize-hook='mkdir -p "$1/usr/src/libraries" "$1/opt"' \
            --customize-hook="copy-in tests/platforms/libraries tests/platforms/toolchain.cmake \
                tests/platforms/$1 /opt" \
            --customize-hook="cp $work/sources/*.orig.tar.* \"\$1/usr/src/libraries\"" \
            --customize-hook="chroot \"\$1\" env -i HOME=/root PATH=\"\$PATH\" LC_ALL=C.UTF-8 /opt/$1"
        ;;
    esac
    platform=$1
    shift
    mmdebstrap "$@" --variant=apt --include="${packages%,}" bookworm \
        "$work/$platform.part.tar" "deb $(archive) bookworm main" || return
    set -- "$platform"
    mv "$work/$1.part.tar" "$work/$1.tar"
    echo "$packages" >"$work/$1.packages"
}

# A fresh one with the committed tree in /src.
make_chroot() {
    emulation "$1" && make_base "$1" || return
    rm -rf "$work/root-$1"
    mkdir -p "$work/root-$1/src"
    tar -xf "$work/$1.tar" -C "$work/root-$1" --exclude='./dev/*' || return
    git archive HEAD | tar -x -C "$work/root-$1/src"
}

# inside PLATFORM COMMAND...: in its chroot, with the toolchain in the
# environment.
inside() {
    root=$work/root-$1
    triple=$(triple_of "$1")
    libraries=/usr/lib/$triple/pkgconfig
    case $1 in
    i386) libraries=/usr/lib/i386-linux-gnu/pkgconfig ;;
    musl) libraries=/usr/local/$1/lib/pkgconfig ;;
    esac
    shift
    unshare --mount --pid --fork sh -eu -c '
        root=$1 triple=$2 libraries=$3
        shift 3
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        exec chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            LC_ALL=C.UTF-8 TRIPLE="$triple" PKG_CONFIG_LIBDIR="$libraries" \
            "$@"' - "$root" "$triple" "$libraries" "$@"
}
