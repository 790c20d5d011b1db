"""Fields of configurations: types and ranges, named in one line."""

import dataclasses
from typing import Annotated, Literal

import pytest

from tf_hmr import config_values
from tf_hmr import method as methods


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: config_values.NonNegative = 0.5


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner = Inner()
    several: tuple[Inner, ...] = (Inner(),)
    count: config_values.Count = 1
    scale: config_values.Positive = 1.2
    flag: bool = False
    name: str = "a"
    choice: Literal["one", "two"] = "one"
    depths: tuple[config_values.Count, ...] = (1, 2)
    bounds: Annotated[
        tuple[config_values.Positive, config_values.Positive],
        config_values.Rising(),
    ] = (1.0, 2.0)


WRONG = [
    ({"count": 0}, r"^count is 0, expected an integer of 1 or more\.$"),
    ({"count": 1.5}, "count is 1.5, expected an integer"),
    ({"count": True}, "count is True"),
    ({"count": None}, "count is None"),
    ({"scale": 0}, "scale is 0, expected a finite number over 0"),
    ({"scale": float("nan")}, "scale is nan"),
    ({"scale": float("inf")}, "scale is inf"),
    ({"scale": "1"}, "scale is '1'"),
    ({"flag": 1}, "flag is 1, expected true or false"),
    ({"name": 3}, "name is 3, expected text"),
    ({"choice": "quat"}, "choice is 'quat', expected one of 'one', 'two'"),
    ({"choice": ["one"]}, "choice is"),
    ({"depths": [1, 0]}, "depths.1 is 0"),
    ({"depths": 3}, "depths is 3, expected a list"),
    ({"bounds": (1.0,)}, "bounds is .*, expected a list of 2"),
    ({"bounds": (2.0, 1.0)}, "bounds is .*the smaller number first"),
    ({"inner": Inner(-1)}, "inner.rate is -1, expected .* of 0 or more"),
    ({"inner": None}, "inner is None, expected a Inner"),
    ({"several": (Inner(), Inner(float("nan")))}, r"several.1.rate is nan"),
    ({"name": 10 * [100 * "x"]}, r"name is .{60}\.\.\., expected text\.$"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_a_value_without_a_meaning_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        config_values.check(dataclasses.replace(Outer(), **change))


def test_values_in_their_ranges_pass():
    config_values.check(Outer())
    config_values.check(Outer(scale=1, depths=[3], bounds=(1, 1), count=10**6))


@pytest.mark.parametrize("name", methods.names())
def test_every_method_refuses_what_files_may_hold(name):
    own_fields = dataclasses.fields(methods.make_config(name))
    names = {field.name for field in own_fields}
    for change in (
        {"image_size": 0},
        {"image_size": None},
        {"image_size": 10**9},
        {"crop_scale": -1},
        {"crop_scale": "1"},
        {"hidden": 0},
        {"encoder": "../../x"},
        {"keypoints_2d": float("nan")},
        {"encoder_depths": "12"},
    ):
        (field,) = change
        if field not in names:
            continue
        with pytest.raises(ValueError, match=rf"^{field}.* is .*expected"):
            methods.make_config(name, **change)
