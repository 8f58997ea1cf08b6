# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Client libraries of the exchanges, against a replayed store: into .deps/clients, by the verb
# clients-test alone (they bring 60 packages).

clients_present() {
    cmp -s tests/clients/requirements.txt "$deps/clients/requirements.txt"
}

# shellcheck disable=SC2034
clients_remedy="check that pip reaches the Python package index (or its mirror set in pip.conf)"
clients_install() {
    python3 -m venv "$deps/clients"
    "$deps/clients/bin/pip" install -q -r tests/clients/requirements.txt
    cp tests/clients/requirements.txt "$deps/clients/requirements.txt"
}

verb_clients-test() {
    setup_step clients
    zig_build install >&2
    run_environment
    RINGTAPE_CLIENTS_PYTHON="$deps/clients/bin/python" \
        exec "$deps/venv/bin/python" -m pytest tests/clients -o 'python_files=*_test.py' \
        -o pythonpath=tests/peers -p no:cacheprovider -q -rA "$@"
}
