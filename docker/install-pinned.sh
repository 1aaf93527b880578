#!/bin/sh
# For the Dockerfile: installs sections of this Debian's pin file, and checks that the whole R
# installation is then the pinned one.
#
#   install-pinned.sh SECTION… [-- other packages, at the archive's version]
set -eu

# shellcheck source=/dev/null
. /etc/os-release
pins=$(dirname "$0")/r-packages-$VERSION_CODENAME.txt

section() {
    sed -e 's/[[:space:]]*#.*//' "$pins" |
        awk -v section="[$1]" '/^\[/ { on = ($0 == section); next } on && NF'
}

packages=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    pinned=$(section "$1")
    [ -n "$pinned" ] || { echo "$pins has no section [$1]" >&2; exit 1; }
    packages="$packages $pinned"
    shift
done
[ $# -eq 0 ] || shift

DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
apt-get update --quiet
# shellcheck disable=SC2086  # the packages are words
apt-get install --yes --quiet --no-install-recommends $packages "$@"
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log \
    /var/log/alternatives.log /var/cache/ldconfig/aux-cache

# shellcheck disable=SC2016  # dpkg's own fields
dpkg-query --show --showformat='${db:Status-Status} ${Package}=${Version}\n' 'r-*' \
    'libblas3' 'liblapack3' 'libopenblas*' 2>/dev/null | sed -n 's/^installed //p' |
    grep -v '^r-doc' >/tmp/installed || true
if grep -vxF -f "$pins" /tmp/installed >/tmp/loose && ! grep -q '^r-base-dev=' /tmp/installed; then
    echo "not pinned in $pins:" >&2
    cat /tmp/loose >&2
    exit 1
fi
rm -f /tmp/installed /tmp/loose
