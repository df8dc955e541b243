"""One reader for all YAML: what can be understood in two ways is refused, with file and line."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given

from evalkit.brands.guidelines import read_brand
from evalkit.cli import main
from evalkit.decisions.policy import load_policy
from evalkit.decisions.waivers import load_waivers
from evalkit.options import ConfigError, parse_yaml, read_yaml
from evalkit.sweeps.config import read_sweep

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml is not valid YAML, line 3: the key 'a' is there twice, first in line 1"),
        ("a:\n  - b: 1\n    c: 2\n    b: 3", "line 4: the key 'b' is there twice, first in line 2"),
        ("{1: a, 1.0: b}", "the key '1.0' is there twice"),
        ("1: a\n'1': b", "the key '1' is there twice"),
        ("True: 1\ntrue: 2", "the key 'true' is there twice"),
        ("0: 1\nfalse: 2", "the key 'false' is there twice"),
        ("a: {<<: {x: 1}, <<: {y: 2}}", "the key '<<' is there twice"),
        ("a: &a {x: 1, x: 2}\nb: *a", "the key 'x' is there twice"),
        ("\ufeffa: 1\na: 2", "line 2: the key 'a' is there twice"),
    ],
)
def test_a_key_that_is_there_twice_is_refused_with_both_lines(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_yaml(text, "f.yaml")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("010", "8"),
        ("-017", "-15"),
        ("0b11", "3"),
        ("1:30", "90"),
        ("16:9", "969"),
        ("10:20:30", "37230"),
        ("1:30.5", "90.5"),
        ("2026_11", "202611"),
        ("1_0.5", "10.5"),
    ],
)
@pytest.mark.parametrize("form", ["a:\n  - {}", "{}: a\nb: 1", "a: [1, {}]"])
def test_a_number_that_yaml_reads_otherwise_than_it_is_written_is_refused(
    written: str, read: str, form: str
) -> None:
    assert str(yaml.safe_load(written)) == read  # what YAML 1.1 makes of it
    with pytest.raises(ConfigError, match=rf"{re.escape(written)} is {re.escape(read)} in YAML"):
        parse_yaml(form.format(written), "f.yaml")
    assert parse_yaml(f"'{written}'", "f.yaml") == written


@pytest.mark.parametrize(
    ("written", "read"), [("no", False), ("NO", False), ("yes", True), ("On", True), ("off", False)]
)
def test_a_word_for_true_or_false_is_refused_with_its_line(written: str, *, read: bool) -> None:
    """The language of Norway, and the key that switches something on."""
    assert yaml.safe_load(written) is read
    with pytest.raises(ConfigError, match=f"line 2: {written} is {str(read).lower()} in YAML"):
        parse_yaml(f"a: 1\nb: {written}", "f.yaml")
    assert parse_yaml(f"'{written}'", "f.yaml") == written


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("0", 0),
        ("-0.5", -0.5),
        ("10", 10),
        ("0x10", 16),
        ("2026-03-01", dt.date(2026, 3, 1)),
        ("2026-03-01 10:20:30", "2026-03-01 10:20:30"),
        ("2026-3-1", "2026-3-1"),
        ("2026-03-01T10:20:30Z", "2026-03-01T10:20:30Z"),
        ("[y, n, =, 0o17, 08]", ["y", "n", "=", "0o17", "08"]),
        ("[true, False, TRUE]", [True, False, True]),
        ("1.30", 1.3),
        ("a:30", "a:30"),
        ("a: &a {x: 1}\nb: &b {<<: *a, x: 2, y: 3}\nc: {<<: *b, x: 4}",
         {"a": {"x": 1}, "b": {"x": 2, "y": 3}, "c": {"x": 4, "y": 3}}),
    ],
)  # fmt: skip
def test_what_means_one_thing_is_read(text: str, data: Any) -> None:
    assert parse_yaml(text, "f.yaml") == data


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2026-02-30", "line 2: '2026-02-30' is no timestamp: day is out of range for month"),
        ("a: !!timestamp 2026-01-01 25:00:00", "is no timestamp: hour must be in 0..23"),
        ("a: !!int ''", "line 1: '' is no int"),
        ("a: !!bool x", "'x' is no bool"),
        ("a: !!timestamp x", "'x' is no timestamp"),
        (f"a: {5000 * '9'}", "is no int: Exceeds the limit"),
        ("a: 1\nb: \x07", "line 2: it holds the character U+0007"),
        ("\0", "U+0000"),
        ("a: \udce9", "U+DCE9"),
        (3000 * "[", "nested too deeply"),
        ("a: !!python/object:os.system x", "line 1: could not determine a constructor"),
        ("? [1]\n: 2", "unhashable key"),
        ("a: *x", "line 1: found undefined alias"),
        ("--- a\n--- b", "line 2: but found another document"),
    ],
)
def test_every_other_mistake_is_one_error_that_names_the_file(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        parse_yaml(text, "f.yaml")
    assert str(caught.value).startswith("f.yaml ")
    assert "unicode string" not in str(caught.value)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.dates(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
)


@given(data=PLAIN)
def test_what_is_written_as_yaml_is_read_again(data: Any) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    if any(name in text for name in ("\x85", "\u2028", "\u2029", "\ufeff")):
        return  # the library does not read them as it writes them
    assert parse_yaml(text, "f.yaml") == yaml.safe_load(text)


@given(text=st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"%@`,?#\n 01.<=~"), max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_yaml(text, "f.yaml")
    except ConfigError as error:
        assert str(error).startswith("f.yaml is not valid YAML")  # noqa: PT017 - or it is read


def read_settings(path: Path) -> None:
    result = CliRunner().invoke(main, ["generate", "--settings", str(path), "--out", "x.mp4"])
    raise ConfigError(" ".join(result.output.split()))


@pytest.mark.parametrize(
    "read",
    [
        read_yaml,
        read_sweep,
        read_brand,
        read_settings,
        lambda path: load_policy(str(path)),
        lambda path: load_waivers(path, load_policy("customer_service"), "run", {}),
    ],
    ids=["yaml", "sweep", "brand", "settings", "policy", "waivers"],
)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nname: b\n", "mine.yaml is not valid YAML, line 2: the key 'name' is there twice, first in line 1"),
        ("name: 010\n", "mine.yaml is not valid YAML, line 1: 010 is 8 in YAML"),
        ("", "mine.yaml is empty"),
    ],
)  # fmt: skip
def test_every_file_is_read_so(tmp_path: Path, read: Callable[[Path], Any], text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(Exception, match=message):
        read(path)


def test_nothing_else_reads_yaml() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for package in ("evalkit", "pipeline", "training")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"yaml\.(\w*load\w*|\w*Loader)\b", path.read_text("utf-8"))
    }
    assert readers == {"evalkit/options.py"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("generator:\n  nam: reference\n", r"there is no option 'generator\.nam'.* \(line 2\)"),
        ("seeds: [1]\n\ngrid:\n  size: 3\n", r"grid\.size is 3; .* \(line 4\)"),
        (
            "inputs:\n  speech:\n    - {text: a}\n    - text: b\n      path: c\n",
            r"give path, text, question or question_audio, one of them \(line 4\)",
        ),
        ("inputs: {speech: [{text: a, languag: en}]}\n", r"'inputs\.speech\.0\.languag'.* \(line 1\)"),
        ("seeds: [1, -1]\n", r"seeds\.1 is -1; .* \(line 1\)"),
        ("# a\n\ngenerator: reference\n", r"as in generator: \{name: reference\} \(line 3\)"),
        ("grid: {size: &a [1, *a]}\n", "grid is .*; it must not hold itself"),
    ],
)
def test_a_mistake_in_a_file_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        read_sweep(path)
    assert str(caught.value).startswith(f"{path}: ")
