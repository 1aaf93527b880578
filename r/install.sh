#!/bin/sh
# Installs the R side, and what Python needs to build rpy2 against it: only what is missing,
# through apt where that is allowed; otherwise it prints the one command to run. On a Debian that
# docker/ has a pin file for, in the versions that the image has.
#
#   r/install.sh              what the library needs
#   r/install.sh --engines    the R packages of MiceImputer, JomoImputer and PanImputer as well
#   r/install.sh --test       what its tests need as well
#   r/install.sh --openblas   what the library needs, and OpenBLAS for R: large models are fitted 2.8
#                             times as fast. Not by default: results' last digits depend on the BLAS
set -eu

here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}

# The sections come in this order: run, build, engines, test.
sections() {
    case ${1:-} in
        --test) cat ;;
        --engines) sed '/^\[test\]/,$d' ;;
        *) sed -e '/^\[engines\]/,$d' -e '/^\[test\]/,$d' ;;
    esac | grep -v '^\['
}

wanted() {
    sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$here/packages.txt" | sections "${1:-}"
    [ "${1:-}" != --openblas ] || echo libopenblas0-serial
}

installed() {
    dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}

# An R that apt doesn't know of (built by hand, from conda, on another system) counts by what it
# can load.
has_r_package() {
    command -v Rscript >/dev/null 2>&1 &&
        Rscript -e 'q(status = !requireNamespace(commandArgs(TRUE), quietly = TRUE))' "$1" \
            >/dev/null 2>&1
}

r_name() {
    case $1 in
        r-cran-amelia) echo Amelia ;;
        r-cran-lmertest) echo lmerTest ;;
        r-cran-mertools) echo merTools ;;
        r-cran-randomforest) echo randomForest ;;
        *) echo "${1#r-cran-}" ;;
    esac
}

# Whether R runs on the system's reference BLAS (see doctor.py), which OpenBLAS's package replaces.
reference_blas() {
    case $(Rscript --vanilla -e 'cat(extSoftVersion()[["BLAS"]])' 2>/dev/null) in
        */blas/libblas.* | */lib/libblas.* | */lib64/libblas.*) return 0 ;;
        *) return 1 ;;
    esac
}

offer_openblas() {
    case ${1:-} in --openblas | --test) return 0 ;; esac
    if reference_blas; then
        echo "R runs on the reference BLAS. \`make r-openblas\` has large models fitted 2.8 times as fast;"
        echo "results' last digits depend on the BLAS (docs/benchmarks.md)."
    fi
}

is_there() {
    case $1 in
        r-base-core) command -v R >/dev/null 2>&1 ;;
        r-base-dev)
            # shellcheck disable=SC2046  # the flags are words
            installed r-base-dev || {
                command -v cc >/dev/null 2>&1 && command -v make >/dev/null 2>&1 &&
                    [ -n "$(R CMD config --ldflags 2>/dev/null)" ] &&
                    echo 'int main(void){return 0;}' |
                    cc -x c - -o /dev/null $(R CMD config --ldflags 2>/dev/null) 2>/dev/null
            }
            ;;
        libopenblas0-serial) command -v Rscript >/dev/null 2>&1 && ! reference_blas ;;
        chromium) command -v chromium >/dev/null 2>&1 ;;
        *) installed "$1" || has_r_package "$(r_name "$1")" ;;
    esac
}

# The pin file of this Debian, if docker/ has one.
# shellcheck source=/dev/null
suite=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
pins=$here/../docker/r-packages-$suite.txt

# name=version, if the pin file has it and apt can get that version; else the name.
pinned() {
    pin=$(grep "^$1=" "$pins" 2>/dev/null) || pin=
    if [ -n "$pin" ] && apt-cache madison "$1" 2>/dev/null | grep -qF " ${pin#*=} "; then
        echo "$pin"
    else
        echo "$1"
    fi
}

# The R packages of the pin file that the wanted ones may need.
needed() {
    sed -n -e 's/[[:space:]]*#.*//' -e '/^\[/p' -e 's/^\(r-cran-[^=]*\)=.*/\1/p' "$pins" 2>/dev/null |
        sections "${1:-}" || true
}

missing=
for package in $(wanted "${1:-}"); do
    is_there "$package" || missing="$missing $package"
done

case $missing in
    *r-cran-*)
        for package in $(needed "${1:-}"); do
            case " $missing " in *" $package "*) continue ;; esac
            is_there "$package" || missing="$missing $package"
        done
        ;;
esac

# A Python of the system's own comes without venv and without its headers.
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    missing="$missing python3 python3-venv"
fi
header='import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
if ! "$python" -c "$header" 2>/dev/null; then
    missing="$missing python3-dev"
fi

if [ -z "$missing" ]; then
    offer_openblas "${1:-}"
    exit 0
fi

command="apt-get install --yes --no-install-recommends$missing"
if ! command -v apt-get >/dev/null 2>&1; then
    echo "This system has no apt. Install R 4.2 or newer with the equivalents of:$missing" >&2
    exit 1
elif [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo=sudo
else
    echo "Missing:$missing" >&2
    echo "Run, then start again:  sudo apt-get update && sudo $command" >&2
    exit 1
fi
$sudo apt-get update --quiet
exact=
for package in $missing; do
    exact="$exact $(pinned "$package")"
done
echo "Installing:$exact"
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
# shellcheck disable=SC2086  # the packages are words
$sudo apt-get install --yes --quiet --no-install-recommends $exact
offer_openblas "${1:-}"
