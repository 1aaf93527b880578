#!/bin/bash
# Builds the image, runs it as it is meant to be run, and says how it went.
#
#   docker/check.sh [bookworm|trixie]
#
# With a Docker engine where there is one; else, as root on Debian, with buildah and podman on a
# base image made from this machine's own package archive. Leaves nothing behind, also when it fails
# or is stopped.
#
# BLAS=reference checks the other linear algebra. TESTS=no leaves the test suite out (the parity
# suite and the jobs stay). KEEP=DIR keeps the scratch folder there, for the next run to start from.
set -euo pipefail
{ # read whole before it starts: the file may change while it runs

here=$(cd "$(dirname "$0")" && pwd)
suite=${1:-bookworm}
limit=900 # MB, the image without test packages
case $suite in
    bookworm | trixie) ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac
export BLAS=${BLAS:-openblas}

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'docker/check.sh: %s\n' "$*" >&2; exit 1; }

# ---------------------------------------------------------------- scratch, and its removal

if [ -n "${KEEP:-}" ]; then
    mkdir -p "$KEEP"
    work=$(cd "$KEEP" && pwd)
else
    work=$(mktemp -d "${TMPDIR:-/var/tmp}/rbridge-check.XXXXXX")
fi
engine=podman
image=localhost/rbridge-mi:check-$suite
tests=localhost/rbridge-mi-test:check-$suite
store=(--root "$work/storage" --runroot "$work/run" --storage-driver overlay)

# shellcheck disable=SC2317  # a trap calls it
clean_up() {
    local code=$?
    set +e
    trap - EXIT
    trap '' INT TERM HUP
    if [ "$engine" = docker ]; then
        docker image rm --force "$image" "$image-changed" "$image-engines" "$tests" >/dev/null 2>&1
    else
        podman "${store[@]}" rm --all --force >/dev/null 2>&1
        end_leftovers
        buildah "${store[@]}" rm --all >/dev/null 2>&1
        # A build that was interrupted leaves mounts behind.
        grep -F " $work/" /proc/self/mounts | cut -d' ' -f2 | sort -r |
            while read -r mount; do umount --lazy "$mount"; done
    fi
    [ -n "${KEEP:-}" ] || rm -rf --one-file-system "$work"
    [ "$code" = 0 ] || printf '\ndocker/check.sh %s: FAILED\n' "$suite" >&2
    exit "$code"
}

# What an interrupted build still has running: processes whose root lies in the scratch folder.
# shellcheck disable=SC2317
end_leftovers() {
    local process
    for process in /proc/[0-9]*; do
        case $(readlink "$process/root") in
            "$work"/?*) kill -KILL "${process#/proc/}" ;;
        esac
    done 2>/dev/null
}

# shellcheck disable=SC2317  # a trap calls it
stop() {
    trap '' INT TERM HUP
    set +e
    if [ -n "$group" ]; then
        kill -TERM -- "-$group" 2>/dev/null
        sleep 2
        kill -KILL -- "-$group" 2>/dev/null
    fi
    exit "$1"
}
group= # of the processes that do the work; see the end
trap clean_up EXIT
trap 'stop 130' INT
trap 'stop 143' TERM HUP

# ---------------------------------------------------------------- the tree as git sees it

context=$work/context
export CONTEXT=$context

# What is committed or could be, in a copy: the working tree may change meanwhile.
copy_tree() {
    rm -rf "$context"
    mkdir "$context"
    cd "$here/.."
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files -z --cached --others --exclude-standard |
            while IFS= read -r -d '' path; do [ ! -e "$path" ] || printf '%s\0' "$path"; done |
            tar --create --null --files-from - | tar --extract --directory "$context"
    else
        tar --create --exclude ./.venv --exclude __pycache__ . | tar --extract --directory "$context"
    fi
    cd "$work"
    sed -e 's/[[:space:]]*#.*//' -e '/^\[/d' -e '/^$/d' "$context/r/packages.txt" |
        grep '^r-' | while read -r name; do
            grep -q "^$name=" "$context/docker/r-packages-$suite.txt" ||
                fail "docker/r-packages-$suite.txt lacks $name, which r/packages.txt wants: docker/renew.sh"
        done
}

# ---------------------------------------------------------------- an engine

tools() { # buildah and podman, through apt if they are not there
    local package missing=()
    for package in buildah podman runc mmdebstrap; do
        command -v "$package" >/dev/null || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    command -v apt-get >/dev/null || fail "no Docker engine answers, and these are missing: ${missing[*]}"
    say "installing ${missing[*]}"
    { apt-get update --quiet &&
        DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
            "${missing[@]}"; } >"$work/tools.log" 2>&1 || { tail "$work/tools.log" >&2; fail "apt could not install ${missing[*]}"; }
}

# This machine's own Debian archives, told for another suite.
sources() {
    local mine
    # shellcheck source=/dev/null
    mine=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016  # apt's own fields
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v mine="$mine" -v suite="$suite" '
            $2 ~ "^" mine "(-updates|-security)?$" && $3 == "main" {
                sub("^" mine, suite, $2)
                line = "deb " $1 " " $2 " main"
                if (!seen[line]++) print line
            }'
}

base_image() { # what debian:SUITE-slim is, from the archive
    local options=()
    if [ "$suite" = bookworm ]; then # else a package of 60 MB comes in
        options=(--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include=usr-is-merged)
    fi
    sources >"$work/sources"
    [ -s "$work/sources" ] || fail "apt on this machine knows no Debian archive to build $suite from"
    mmdebstrap --quiet --variant=minbase --mode=root "${options[@]}" \
        --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' \
        "$suite" "$work/base.tar" - <"$work/sources" >"$work/base.log" 2>&1 || {
        tail "$work/base.log" >&2
        fail "mmdebstrap could not make $suite"
    }
    local container
    container=$(buildah "${store[@]}" from scratch)
    buildah "${store[@]}" add --quiet "$container" "$work/base.tar" / >/dev/null
    buildah "${store[@]}" config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    buildah "${store[@]}" commit --quiet --format docker "$container" "docker.io/library/debian:$suite-slim" >/dev/null
    buildah "${store[@]}" rm "$container" >/dev/null
    rm -f "$work/base.tar"
}

# How pip reaches its index here: what concerns the network, not folders on this disk.
pip_settings() {
    mkdir -p "$work/pip"
    if ! command -v python3 >/dev/null; then
        echo '[global]' >"$work/pip/pip.conf"
        return
    fi
    python3 -m pip config list 2>/dev/null | python3 -c '
import ast, pathlib, re, shutil, sys

folder, found = pathlib.Path(sys.argv[1]), {}
for line in sys.stdin:
    match = re.match(r"(?:global|install|wheel|:env:)\.([a-z-]+)=(.*)", line.strip())
    if match and match[1] in ("index-url", "cert", "proxy", "trusted-host", "timeout"):
        found.setdefault(match[1], ast.literal_eval(match[2]))
if "cert" in found:
    shutil.copy(found["cert"], folder / "cert.pem")
    found["cert"] = "/mnt/cert.pem"
text = "".join(f"{key} = {value}\n" for key, value in found.items())
(folder / "pip.conf").write_text("[global]\n" + text)
' "$work/pip" || fail "this machine's pip settings could not be read"
}

if command -v docker >/dev/null && timeout 20 docker info >/dev/null 2>&1; then
    engine=docker
    export BUILD="docker build"
    run=(docker run --rm)
    inspect=(docker image inspect)
else
    [ "$(id -u)" = 0 ] || fail "no Docker engine answers; buildah and podman are used as root: run this as root"
    export CONTAINERS_CONF=$work/containers.conf
    export BASE=docker.io/library/debian:$suite-slim
    # pip's settings are lent to the build only; nothing of them is in the image.
    export BUILD="env TMPDIR=$work buildah ${store[*]} build --pull-never --isolation chroot --format docker --layers
        --volume $work/pip:/mnt:ro"
    run=(podman "${store[@]}" run --rm --pull=never)
    inspect=(podman "${store[@]}" image inspect)
fi
# No network, nothing writable but /tmp, no capability, no way to get one.
safe=(--network none --read-only --tmpfs /tmp --cap-drop all --security-opt no-new-privileges)
mine=() # who writes to a folder of this machine: root can remove what user 1000 made, others can't
[ "$(id -u)" = 0 ] || mine=(--user "$(id -u):$(id -g)")

prepare_engine() {
    if [ "$engine" = docker ]; then
        say "$(docker --version)"
        return
    fi
    tools
    cat >"$CONTAINERS_CONF" <<'CONF'
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
netns = "none"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
CONF
    pip_settings
    say "no Docker engine: $(buildah --version), $(podman --version)"
    if ! buildah "${store[@]}" inspect --type image "$BASE" >/dev/null 2>&1; then
        say "base image of $suite from this machine's Debian archive"
        base_image
    fi
}

# ---------------------------------------------------------------- build

build() { # TARGET TAG: says how many seconds it took
    local start=$SECONDS
    if ! TARGET=$1 TAG=$2 "$context/docker/build.sh" "$suite" >"$work/build-$1.log" 2>&1; then
        tail -n 40 "$work/build-$1.log" >&2
        fail "the build of $1 failed"
    fi
    took=$((SECONDS - start))
}

build_images() {
    say "building ($suite, BLAS: $BLAS)"
    if [ "${TESTS:-}" != no ]; then
        build test "$tests"
        echo "image with the test packages: $took s"
    fi
    build image "$image"
    echo "image: $took s more"
    printf '\n# a change of code\n' >>"$context/rbridge_mi/__init__.py"
    build image "$image-changed"
    rebuild=$took
    echo "image after a change of code: $rebuild s"
    [ "$rebuild" -le 60 ] || fail "a change of code rebuilds in $rebuild s: look at the order of the layers"
    ENGINES=yes build image "$image-engines"
    echo "image with mice, jomo and pan: $took s"
}

# ---------------------------------------------------------------- run

limits() {
    say "what a container may do"
    "${run[@]}" "${safe[@]}" --entrypoint python "$image" -c '
import os, pathlib

status = dict(x.split(":\t", 1) for x in pathlib.Path("/proc/self/status").read_text().splitlines())
assert os.getuid() == 1000, os.getuid()
assert {status[x] for x in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}, status
assert status["NoNewPrivs"] == "1"
interfaces = os.listdir("/sys/class/net")
assert interfaces == ["lo"], interfaces
for folder in ("/", "/data", "/opt/venv", "/usr/lib/R", "/var/lib", "/home/rbridge"):
    try:
        (pathlib.Path(folder) / "written").touch()
    except OSError:
        continue
    raise AssertionError(f"{folder} can be written to")
print("user 1000, no capability, no network, nothing to write to but /tmp")
'
}

doctor_and_demo() {
    say "rbridge-mi doctor"
    "${run[@]}" "${safe[@]}" "$image" doctor
    "${run[@]}" "${safe[@]}" --user 54321:54321 "$image" doctor >/dev/null
    echo "(as user 54321 too)"

    say "rbridge-mi demo"
    "${run[@]}" "${safe[@]}" "$image" demo --out /tmp/demo >"$work/demo.txt" || { cat "$work/demo.txt"; fail "the demo failed"; }
    tail -n 1 "$work/demo.txt"
}

jobs_twice() {
    say "rbridge-mi run, twice"
    rm -rf "$work/job"
    mkdir "$work/job"
    cp "$context"/examples/*hsb* "$work/job/"
    sed -i 's/^formats = .*/formats = ["csv", "parquet"]/' "$work/job/hsb.toml"
    chmod -R a+rwX "$work/job"
    local job=("${run[@]}" "${safe[@]}" "${mine[@]}" --volume "$work/job:/data")
    "${job[@]}" --entrypoint python "$image" make_hsb.py
    "${job[@]}" "$image" run hsb.toml 2>&1 | tail -n 3
    mv "$work/job/hsb-results" "$work/job/first"
    "${job[@]}" "$image" run hsb.toml >/dev/null 2>&1
    diff --recursive --brief --exclude run.json "$work/job/first" "$work/job/hsb-results" ||
        fail "the same job in the same image gave other bytes"
    echo "the same bytes in $(find "$work/job/first" -type f ! -name run.json | wc -l) files"

    say "a job with mistakes"
    local code=0
    sed -i -e 's/^m = .*/m = 1.5/' -e 's/^reml = .*/reml = "yes"/' "$work/job/hsb.toml"
    "${job[@]}" "$image" run hsb.toml 2>&1 || code=$?
    [ "$code" = 1 ] || fail "it ended with $code, not 1"
    diff --recursive --brief --exclude run.json "$work/job/first" "$work/job/hsb-results" ||
        fail "it touched the results of the run before"
    rm -rf "$work/job"
}

# The jobs that every stack runs; what each gave is stored in tests/stacks.
jobs_of_every_stack() {
    say "the jobs of every stack"
    rm -rf "$work/stacks"
    cp -r "$context/tests/stacks" "$work/stacks"
    chmod -R a+rwX "$work/stacks"
    local there=("${run[@]}" "${safe[@]}" "${mine[@]}" --volume "$work/stacks:/data" --entrypoint python "$image")
    "${there[@]}" stacks.py run found >"$work/stacks.txt" 2>&1 || { cat "$work/stacks.txt"; fail "a job of tests/stacks failed"; }
    if [ "$BLAS" = openblas ]; then
        "${there[@]}" stacks.py check "$suite" found || fail "other numbers than tests/stacks/$suite has: see its README"
    else # the stored numbers are OpenBLAS's
        "${there[@]}" stacks.py check "$suite" found || true
    fi
}

labels() {
    say "labels"
    for name in r:r-base-core lme4:r-cran-lme4 amelia:r-cran-amelia matrix:r-cran-matrix; do
        label=$("${inspect[@]}" --format "{{index .Config.Labels \"rbridge-mi.${name%%:*}\"}}" "$image")
        # shellcheck disable=SC2016  # dpkg's own field
        inside=$("${run[@]}" "${safe[@]}" --entrypoint dpkg-query "$image" --show --showformat='${Version}' "${name#*:}")
        [ "$label" = "$inside" ] || fail "label rbridge-mi.${name%%:*} is '$label', but the image has $inside"
        echo "rbridge-mi.${name%%:*} = $label"
    done
}

bill_of_materials() {
    say "bill of materials"
    local format
    format=$("${run[@]}" "${safe[@]}" --entrypoint python "$tests" docker/sbom.py --format)
    "${run[@]}" "${safe[@]}" --entrypoint dpkg-query "$image" --show --showformat="$format" >"$work/dpkg.txt"
    "${run[@]}" "${safe[@]}" --interactive --entrypoint python "$tests" docker/sbom.py "$suite" \
        <"$work/dpkg.txt" >"$work/sbom.json" || fail "no bill of materials could be written"
    echo "CycloneDX, $(grep -c '"purl":' "$work/sbom.json") components"
}

parity_suite() { # with every engine that has cases
    say "rbridge-mi parity"
    "${run[@]}" "${safe[@]}" "$image-engines" parity | tee "$work/parity.txt" | grep -v ' 0$'
}

test_suite() {
    say "the test suite"
    # The wheel's test downloads packages: not in here, where there is no network.
    local left_out=(--deselect tests/whole/test_wheel.py::test_wheel_fits_a_model)
    if [ "$suite" = trixie ]; then # fits.mertools gives the numbers of merTools 0.5.2, bookworm's
        left_out+=(--ignore tests/mertools/test_mertools.py)
    fi
    echo "left out: ${left_out[*]}"
    if ! "${run[@]}" "${safe[@]}" --env CI=true "$tests" -q -n 2 --dist loadfile \
        "${left_out[@]}" >"$work/tests.txt"; then
        tail -n 200 "$work/tests.txt"
        fail "the test suite failed inside the image"
    fi
    tail -n 1 "$work/tests.txt"
    # Apart: pytest-mpl takes pyplot into the process, which changes where plots make their figures.
    if ! "${run[@]}" "${safe[@]}" "$tests" -q --mpl tests/pictures >"$work/pictures.txt"; then
        tail -n 100 "$work/pictures.txt"
        fail "a plot differs from its picture in tests/pictures"
    fi
    echo "pictures: $(tail -n 1 "$work/pictures.txt")"
}

# ---------------------------------------------------------------- what came of it

megabytes() { # of an image
    echo $(($("${inspect[@]}" --format '{{.Size}}' "$1") / 1000000))
}

result() {
    say "result: $suite"
    local size
    size=$(megabytes "$image")
    # shellcheck disable=SC2016  # dpkg's own fields
    "${run[@]}" "${safe[@]}" --entrypoint python "$image" -c '
import collections, pathlib, subprocess

room = collections.Counter()
debian = subprocess.run(
    ["dpkg-query", "--show", "--showformat", "${Package} ${Installed-Size}\n"],
    check=True, capture_output=True, text=True,
).stdout
for line in debian.splitlines():
    name, size = line.rsplit(" ", 1)
    part = "R and its packages" if name.startswith("r-") else "other Debian packages"
    part = "BLAS" if "blas" in name or "lapack" in name else part
    part = "Python" if "python3" in name else part
    room[part] += int(size or 0) * 1024
for site in pathlib.Path("/opt/venv/lib").glob("python*/site-packages/*"):
    name = site.name.split("-")[0].removesuffix(".libs")
    files = [site] if site.is_file() else [x for x in site.rglob("*") if x.is_file()]
    size = sum(x.stat().st_size for x in files)
    room[name if size > 5e6 or name in room else "other Python packages"] += size
print("room:     " + ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in room.most_common(9)))
'
    echo "rebuild:  $rebuild s after a change of code"
    [ "$size" -le "$limit" ] || fail "the image has $size MB, more than $limit"
    echo "docker/check.sh $suite: passed in $((SECONDS / 60)) minutes"
    echo "size:     $size MB (at most $limit); with mice, jomo and pan $(megabytes "$image-engines") MB"
    echo "versions: $("${run[@]}" "${safe[@]}" "$image" doctor | awk '
        $1 ~ /^(Python|rbridge_mi|rpy2|pandas|numpy|scipy|r|blas|lme4|Amelia)$/ && NF == 2 {
            name = $1 == "r" ? "R" : $1; text = text (text ? ", " : "") name " " $2 }
        END { print text }')"
    echo "parity:   $(tail -n 1 "$work/parity.txt")"
}

check() {
    copy_tree
    prepare_engine
    build_images
    limits
    doctor_and_demo
    labels
    jobs_twice
    jobs_of_every_stack
    parity_suite
    if [ "${TESTS:-}" != no ]; then # both in the image with the test packages
        bill_of_materials
        test_suite
    fi
    result
}

# In a process group of its own, which `stop` can end: bash hears a signal at once while it waits,
# but not before a command in the foreground has ended.
set -m
check </dev/null &
set +m
group=$!
wait "$group"
exit
}
