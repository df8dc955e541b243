"""Plain data: what a mistake is called, what pairs are, and that the hash of plain data never changes."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, field_validator, model_validator

from pipeline.errors import RequestError
from pipeline.options import PlainData, canonical_json, hash_of, hint, json_text, read_pairs


class Wheel(PlainData):
    """A group in a group."""

    size: int = Field(ge=1, description="a whole number from 1")
    note: str = ""

    @model_validator(mode="after")
    def _is_known(self) -> Wheel:
        if self.size == 13:
            raise ValueError("13 brings no luck")
        return self


class Car(PlainData):
    """Groups, lists, mappings and unions of them."""

    wheels: list[Wheel] = Field(default_factory=list, description="a list of wheels")
    spare: Wheel | None = Field(default=None, description="a wheel")
    colours: dict[Literal["body", "roof"], str] = Field(default_factory=dict, description="parts to colours")
    parts: tuple[str | Wheel, ...] = Field(default=(), description="names or wheels")
    speeds: list[float] = Field(default_factory=list, description="a list of numbers")
    built: dt.date | None = Field(default=None, description="a date")
    plate: str | None = Field(default=None, description="capital letters")
    path: str = Field(default="x", description="a path")

    @field_validator("plate")
    @classmethod
    def _is_in_capitals(cls, plate: str | None) -> str | None:
        if plate is not None and not plate.isupper():
            raise ValueError("small letters")
        return plate


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"wheel": []},
            (
                "there is no part 'wheel'; did you mean 'wheels'? (there are: wheels, spare, colours, "
                "parts, speeds, built, plate, path)"
            ),
        ),
        (
            {"wheels": [{"size": 1, "siz": 2}]},
            "there is no part 'wheels.0.siz'; did you mean 'size'? (there are: size, note)",
        ),
        ({"wheels": [{"size": 1}, {"size": 0}]}, "wheels.1.size is 0; allowed: a whole number from 1"),
        ({"wheels": [{}]}, "wheels.0.size is missing; it is a whole number from 1"),
        ({"wheels": 3}, "wheels is 3; allowed: a list of wheels"),
        ({"spare": {"size": 13}}, "spare: 13 brings no luck"),
        ({"spare": {"size": "2"}}, "spare.size is '2'; allowed: a whole number from 1"),
        ({"speeds": [1.0, "2"]}, "speeds.1 is '2'; allowed: a list of numbers"),
        ({"speeds": [float("inf")]}, "speeds.0 is inf; numbers must be finite"),
        (
            {"spare": {"size": 1, "note": float("nan")}},
            "spare.note is nan; numbers must be finite",
        ),
        ({"colours": {"seat": "red"}}, "a name in colours is 'seat'; allowed: parts to colours"),
        ({"plate": "ab"}, "plate is 'ab'; allowed: capital letters (small letters)"),
        ({"built": "soon"}, "built is 'soon'; allowed: a date"),
        ({"path": b"x"}, "path is not a plain value: bytes is not text, number, list or mapping"),
        ({"path": print}, "path is not a plain value: builtin_function_or_method is not text"),
    ],
)
def test_a_mistake_names_the_field_the_value_and_the_cure(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        Car.read(values, "part")
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1


def test_a_mistake_in_a_union_is_explained_for_each_way_to_read_it() -> None:
    with pytest.raises(RequestError) as caught:
        Car.read({"parts": ["bolt", {"size": 0}]}, "part")
    assert str(caught.value).splitlines() == [
        "parts.1 is {'size': 0}; allowed: names or wheels",
        "parts.1.size is 0; allowed: a whole number from 1",
    ]


def test_every_mistake_has_a_line_with_its_source_and_the_error_is_the_caller_s() -> None:
    with pytest.raises(LookupError) as caught:
        Car.read({"wheels": 3, "wing": 1}, "part", source="car.yaml", error=LookupError)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith("car.yaml: ") for line in lines)


def test_a_long_value_is_cut_in_the_error() -> None:
    with pytest.raises(RequestError) as caught:
        Car.read({"wheels": "x" * 10_000}, "part")
    assert len(str(caught.value)) < 300


def test_dates_and_paths_are_read_as_what_they_are() -> None:
    car = Car.read({"built": dt.date(2024, 2, 29), "path": Path("a") / "b"}, "part")
    assert (car.built, car.path) == (dt.date(2024, 2, 29), "a/b")
    assert Car.from_dict(json.loads(json.dumps(car.to_dict()))) == car


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(PLAIN)
def test_the_hash_is_that_of_sorted_json_without_spaces(value: Any) -> None:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hash_of(value) == hashlib.sha256(text.encode()).hexdigest()
    assert json.loads(canonical_json(value)) == value


def test_the_hash_is_pinned() -> None:
    assert (
        hash_of({"b": [1, 2.5, None], "a": {"ü": True}})
        == "2dab1d6ef6ca48b2bb7246443cacd36a26e84d76424665f92405db3101d1c3ce"
    )


@pytest.mark.parametrize("value", [float("nan"), {"a": float("inf")}])
def test_numbers_that_are_not_finite_have_no_hash(value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        hash_of(value)


def test_pairs_are_parted_by_the_first_equals_sign() -> None:
    assert read_pairs(["a=1", "b==2=3"], str) == {"a": "1", "b": "=2=3"}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a"], "'a' is not METRIC=NUMBER"),
        (["=1"], "'=1' is not METRIC=NUMBER"),
        (["a=1", "a=2"], "'a' is given twice; keep one of them"),
        (["a=x"], "'a=x' is not METRIC=NUMBER: could not convert string to float: 'x'"),
    ],
)
def test_what_is_not_a_pair_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_pairs(texts, float, form="METRIC=NUMBER")
    assert str(caught.value) == message


def test_a_hint_is_given_only_where_a_name_is_near() -> None:
    assert hint("generater", ["generator", "voice"]) == "; did you mean 'generator'?"
    assert hint("zzz", ["generator", "voice"]) == ""


def test_a_name_that_is_not_utf8_is_refused_and_named() -> None:
    with pytest.raises(RequestError, match=r"wheels names 'caf\\udce9', which is not UTF-8; rename the file"):
        Car.read({"wheels": [{"size": 1, "note": "caf\udce9"}]}, "option")


class Engine(PlainData):
    """A group that has a name."""

    name: str
    power: int = 1


class Vehicle(PlainData):
    """A group that is said to be one."""

    engine: Engine = Field(description="a group")


def test_a_group_that_is_given_as_a_word_says_how_it_is_written() -> None:
    with pytest.raises(
        RequestError,
        match=r"engine is 'big'; allowed: a group of options \(name, power\), as in engine: \{name: big\}",
    ):
        Vehicle.read({"engine": "big"}, "option")


def test_json_holds_a_name_that_is_not_utf8_and_gives_it_back() -> None:
    text = json_text({"clip": "caf\udce9 é \\udce9"})
    assert "é" in text
    assert json.loads(text.encode("utf-8", "strict")) == {"clip": "caf\udce9 é \\udce9"}
    assert hash_of("caf\udce9") != hash_of("caf\\udce9")
