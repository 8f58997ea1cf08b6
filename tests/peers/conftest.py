# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

import kafka_broker
import support


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return support.make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """One for all tests of a process, each with a prefix of topics of its own."""
    with kafka_broker.Broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running
