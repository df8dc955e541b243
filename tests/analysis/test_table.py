"""Tables of clips: parts of them, configurations, and what belongs to all clips together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evalkit.analysis.table import ResultTable, rows_of_run
from evalkit.errors import UsageError
from evalkit.runs import Run
from evalkit.testing.runs import write_grid
from evalkit.testing.tables import ERROR, make_table


def joined(*parts: ResultTable) -> ResultTable:
    return replace(parts[0], rows=tuple(row for part in parts for row in part.rows))


def test_configurations_are_the_combinations_that_occur() -> None:
    table = joined(
        make_table({"lip_sync.error": [0.1, 0.3]}, params={"steps": 4, "size": "s", "fps": 25}),
        make_table({"lip_sync.error": [0.5]}, params={"steps": 3, "size": "s", "fps": 25}),
    )
    assert [(one.params, one.label, len(one.rows)) for one in table.configurations] == [
        ({"steps": 4}, "steps 4", 2),
        ({"steps": 3}, "steps 3", 1),
    ]
    assert [one.summary(ERROR).value for one in table.configurations] == [pytest.approx(0.2), 0.5]


def test_a_parameter_that_some_clips_do_not_have_makes_a_configuration_of_its_own() -> None:
    table = joined(
        make_table({"lip_sync.error": [0.1]}, params={"steps": 4}),
        make_table({"lip_sync.error": [0.5]}, params={}),
    )
    assert [one.params for one in table.configurations] == [{"steps": 4}, {"steps": None}]


def test_pooling_over_a_parameter_is_one_configuration() -> None:
    table = joined(
        *(
            make_table({"lip_sync.error": [error]}, params={"steps": steps, "size": size})
            for error, steps, size in ((0.1, 4, "s"), (0.3, 4, "l"), (0.5, 3, "s"))
        )
    )
    assert table.pooled({"steps": 4}).summary(ERROR).value == pytest.approx(0.2)
    assert table.pooled({"steps": 4}) is table.pooled({"steps": 4})
    assert table.pooled({"steps": 3}) is table.configurations[2]
    assert table.pooled().summary(ERROR).n == 3


def test_a_part_that_is_not_there_is_refused() -> None:
    table = make_table({"lip_sync.error": [0.1]}, params={"steps": 4})
    with pytest.raises(UsageError, match=r"run has no parameter 'stps' \(there are: steps\)"):
        table.where({"stps": 4})
    with pytest.raises(UsageError, match=r"run has no clip with steps=5 \(there are: 4\)"):
        table.where({"steps": 5})


def test_a_table_writes_itself_in_one_line() -> None:
    assert repr(make_table({"lip_sync.error": [0.1]})) == "<ResultTable run: 1 clips, 1 metrics>"


def test_a_configuration_is_named_by_what_was_planned_though_one_value_alone_has_a_result(
    tmp_path: Path,
) -> None:
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2, 3), unfinished=(0, 1, 2, 3))
    run = Run.open(folder)
    run = replace(run, manifest=replace(run.manifest, swept=["sample_steps"]))
    (configuration,) = rows_of_run(run).configurations
    assert configuration.label == "sample_steps 3"
