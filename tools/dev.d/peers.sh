# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# What the tests compare ringtape with: readers and WebSocket servers in Python and Node.js.

python_present() {
    cmp -s tests/peers/requirements.txt "$deps/venv/requirements.txt"
}

python_remedy="check that pip reaches the Python package index (or its mirror set in pip.conf)"
python_install() {
    python_venv
    "$deps/venv/bin/pip" install -q -r tests/peers/requirements.txt
    cp tests/peers/requirements.txt "$deps/venv/requirements.txt"
}

node_present() {
    cmp -s tests/peers/package.json "$deps/node/package.json.done"
}

# npm of Debian is hundreds of packages; where there is none, Debian's own package of ws will do.
node_remedy="check that npm reaches its registry, or that apt-get can install nodejs and node-ws"
node_install() {
    mkdir -p "$deps/node/node_modules"
    cp tests/peers/package.json "$deps/node/package.json"
    if command -v npm >/dev/null; then
        npm install --prefix "$deps/node" --no-package-lock --no-audit --no-fund
    else
        packages_get nodejs node-ws
        ln -sfn /usr/share/nodejs/ws "$deps/node/node_modules/ws"
    fi
    NODE_PATH=$deps/node/node_modules node -e 'require("ws")'
    cp "$deps/node/package.json" "$deps/node/package.json.done"
}
