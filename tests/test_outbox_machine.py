"""The outbox against its model, on SQLite."""

import pytest

from tests.outbox_machine import POOL, REACHED, states_of_traces


@pytest.mark.timeout(200)
def test_the_outbox_behaves_like_its_model(app_with):
    assert states_of_traces(app_with(pool=POOL)) >= REACHED
