# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by the scripts here: the kernel table, what follows from an
# architecture, and the cache. Nothing in the cache is ever half done: a
# product is made in a temporary folder and renamed into place.

set -eu -o pipefail
# O, CC, -j and so on of the make that runs this are not meant for the makes in
# these scripts, the kernel's above all.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

VMDIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$VMDIR/../.." && pwd)
# shellcheck disable=SC2034 # for those who source this
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/hpheap

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

say()
{
	echo "  $*" >&2
}

# rows: the table without its comments
rows()
{
	grep -v '^#' "$VMDIR/kernels.table"
}

# kernel NAME: set K_* from the table's line, and what its architecture means
kernel()
{
	local row
	row=$(rows | awk -v n="$1" '$1 == n') || true
	[ -n "$row" ] || die "no kernel '$1' in selftests/vm/kernels.table; there are: $(rows | awk '{ printf "%s ", $1 }')"
	# shellcheck disable=SC2034
	read -r K_NAME K_SET K_ARCH K_SOURCE K_PAGE K_NODE K_SPEED <<<"$row"
	arch "$K_ARCH"
}

# arch DEBARCH: set the kernel's name for it, the compiler prefix, the image
# shellcheck disable=SC2034
arch()
{
	case $1 in
	amd64)	 A_KERNEL=x86     A_TRIPLE=x86_64-linux-gnu      A_IMAGE=arch/x86/boot/bzImage ;;
	arm64)	 A_KERNEL=arm64   A_TRIPLE=aarch64-linux-gnu     A_IMAGE=arch/arm64/boot/Image ;;
	ppc64el) A_KERNEL=powerpc A_TRIPLE=powerpc64le-linux-gnu A_IMAGE=vmlinux ;;
	*)	 die "architecture '$1' is not known here" ;;
	esac
}

# publish TMP DEST: the rename that makes a product count as done
publish()
{
	rm -rf "$2"
	mv "$1" "$2"
}

# lock NAME: one process at a time may work on NAME until this script ends
lock()
{
	mkdir -p "$CACHE"
	exec 9>"$CACHE/$1.lock"
	flock -n 9 || { say "waiting for another run that holds $1"; flock 9; }
}

# kernel_dir: the folder of the kernel that kernel() chose: image and build/
kernel_dir()
{
	case $K_SOURCE in
	config/*) "$VMDIR/build-kernel" "$K_NAME" ;;
	*)	  "$VMDIR/fetch" kernel "$K_NAME" ;;
	esac
}
