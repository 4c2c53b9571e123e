# SPDX-License-Identifier: Apache-2.0
import pytest

from stage import Stage


@pytest.fixture
def bare():
    """A stage without a daemon."""
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture
def stage(bare):
    bare.start()
    return bare
