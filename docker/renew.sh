#!/bin/sh
# Writes the pin files anew. Afterwards read the difference, and run docker/check.sh.
#
#   docker/renew.sh python          requirements*.txt; needs uv, asks the package index
#   docker/renew.sh r               r-packages-<suite>.txt, to standard output; to be run inside
#                                   the suite, for example:
#       docker run --rm -v "$PWD:/src:ro" debian:trixie-slim /src/docker/renew.sh r
set -eu

here=$(cd "$(dirname "$0")" && pwd)

names() { # the packages of one section of r/packages.txt
    sed -e 's/[[:space:]]*#.*//' "$here/../r/packages.txt" |
        awk -v section="[$1]" '/^\[/ { on = ($0 == section); next } on && NF'
}

would_install() { # name=version of all that apt would install, sorted by name
    # shellcheck disable=SC2048,SC2086  # the packages are words
    apt-get install --simulate --no-install-recommends $* |
        sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p' | LC_ALL=C sort -u
}

r_pins() {
    # shellcheck source=/dev/null
    . /etc/os-release
    apt-get update --quiet --quiet >&2
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    would_install "$(names run)" libopenblas0-serial >"$work/run"
    would_install "$(names run)" libblas3 liblapack3 >"$work/reference"
    would_install "$(names run)" libopenblas0-serial "$(names build)" >"$work/build"
    would_install "$(names run)" libopenblas0-serial "$(names engines)" >"$work/engines"
    would_install "$(names run)" libopenblas0-serial "$(names engines)" "$(names test)" >"$work/test"
    cat <<HEADER
# The R installation on Debian $VERSION_ID ($VERSION_CODENAME), to the letter: read by docker/Dockerfile, and by
# r/install.sh on such a machine. Written by docker/renew.sh; what is direct is in r/packages.txt.

[run]
HEADER
    grep '^r-' "$work/run"
    printf '\n[openblas] # the linear algebra: this, or the reference\n'
    grep '^libopenblas0-serial=' "$work/run"
    printf '\n[reference]\n'
    grep -E '^lib(blas|lapack)3=' "$work/reference"
    printf '\n[build] # to compile rpy2; in no image\n'
    grep '^r-base-dev=' "$work/build"
    printf '\n[engines] # mice, jomo and pan, for an image built with ENGINES=yes\n'
    grep '^r-' "$work/engines" | LC_ALL=C comm -13 "$work/run" -
    printf '\n[test] # what the tests need beside all that\n'
    grep '^r-' "$work/test" | LC_ALL=C comm -13 "$work/engines" -
}

lock() { # from what, to which file: with hashes, for Python 3.11 (bookworm) and 3.13 (trixie) alike
    output=$here/$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
        --generate-hashes --no-binary rpy2-rinterface --no-emit-index-url --no-emit-find-links --upgrade \
        --custom-compile-command 'docker/renew.sh python' --output-file "$output" "$@"
}

python_pins() {
    cd "$here/.."
    lock requirements.txt --extra io --extra parquet --extra report pyproject.toml
    lock requirements-build.txt docker/requirements-build.in
    lock requirements-test.txt --constraint docker/requirements.txt docker/requirements-test.in
}

case ${1:-} in
    r) r_pins ;;
    python) python_pins ;;
    *)
        sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
