"""A seed that the database of runs cannot hold is refused before the run."""

from __future__ import annotations

import pytest

from splitbrain.harness.cli.main import run_main
from splitbrain.harness.drawing.seed import seed_or_drawn
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.seed_range import SEED_MAX, SEED_MIN


@pytest.mark.parametrize("seed", [SEED_MIN - 1, SEED_MAX + 1, 10**25])
def test_a_seed_of_more_than_64_bits_is_refused(
    seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadArguments, match=str(seed)):
        seed_or_drawn(seed)
    assert run_main(["sim", "--seed", str(seed)]) == 254
    assert "expected an integer" in capsys.readouterr().err


@pytest.mark.parametrize("seed", [SEED_MIN, 0, SEED_MAX])
def test_every_seed_of_64_bits_is_accepted(seed: int) -> None:
    assert seed_or_drawn(seed) == seed
