# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

import support


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return support.make_certificates(tmp_path_factory.mktemp("certificates"))
