#!/bin/sh
# Builds the image, with labels that hold the R installation's versions.
#
#   docker/build.sh [bookworm|trixie] [option of `docker build`…]
#
# BASE, BLAS (openblas, reference), ENGINES (no, yes: with mice, jomo and pan), TARGET (image,
# test), TAG, CONTEXT and BUILD (the command, if it is not `docker build`) come from the environment.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
suite=bookworm
case ${1:-} in
    '' | -*) ;;
    *) suite=$1; shift ;;
esac
context=${CONTEXT:-$here/..}
target=${TARGET:-image}
blas=${BLAS:-openblas}
engines=${ENGINES:-no}
pins=$context/docker/r-packages-$suite.txt
[ -e "$pins" ] || { echo "there is no pin file for $suite: $pins" >&2; exit 2; }

pin() { sed -n "s/^$1=//p" "$pins"; }

case $blas in
    openblas) library=libopenblas0-serial ;;
    reference) library=libblas3 ;;
    *) echo "BLAS is openblas or reference, not $blas" >&2; exit 2 ;;
esac
case $engines in
    yes) with="mice $(pin r-cran-mice), jomo $(pin r-cran-jomo), pan $(pin r-cran-pan), mitml $(pin r-cran-mitml)" ;;
    no) with=none ;;
    *) echo "ENGINES is yes or no, not $engines" >&2; exit 2 ;;
esac
revision=$(git -C "$here" rev-parse HEAD 2>/dev/null || true)

# shellcheck disable=SC2086  # the command is words
exec ${BUILD:-docker build} --file "$context/docker/Dockerfile" --target "$target" \
    --tag "${TAG:-rbridge-mi}" \
    --build-arg "BASE=${BASE:-debian:$suite-slim}" --build-arg "BLAS=$blas" \
    --build-arg "ENGINES=$engines" \
    --label "org.opencontainers.image.version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$context/rbridge_mi/__init__.py")" \
    --label "org.opencontainers.image.revision=$revision" \
    --label "rbridge-mi.debian=$suite" \
    --label "rbridge-mi.r=$(pin r-base-core)" \
    --label "rbridge-mi.lme4=$(pin r-cran-lme4)" \
    --label "rbridge-mi.amelia=$(pin r-cran-amelia)" \
    --label "rbridge-mi.matrix=$(pin r-cran-matrix)" \
    --label "rbridge-mi.engines=$with" \
    --label "rbridge-mi.blas=$library $(pin $library)" \
    "$@" "$context"
