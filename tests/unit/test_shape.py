"""The comparer of shapes itself: each kind of difference is told, with its place."""

import pytest

from tests.shape import differences, fields, texts


@pytest.mark.parametrize(
    ("sample", "ours", "found"),
    [
        ({"a": 1}, {"a": 2}, set()),
        ({"a": 1, "b": 1}, {"a": 2}, {".b: missing"}),
        ({"a": 1}, {"a": 2, "b": 1}, {".b: extra"}),
        ({"a": 1}, {"a": "1"}, {".a: number there, number in text here"}),
        ({"a": "1.5"}, {"a": 1.5}, {".a: number in text there, number here"}),
        ({"a": "1.5"}, {"a": "-2e-3"}, set()),
        ({"a": "Buy"}, {"a": "1"}, {".a: text there, number in text here"}),
        ({"orderId": "1"}, {"orderId": "a-b"}, set()),
        ({"orderId": 1}, {"orderId": "1"}, {".orderId: number there, number in text here"}),
        ({"a": True}, {"a": 1}, {".a: bool there, number here"}),
        ({"a": False}, {"a": "false"}, {".a: bool there, text here"}),
        ({"a": ""}, {"a": "1"}, set()),
        ({"a": "1"}, {"a": ""}, set()),
        ({"a": 1}, {"a": ""}, {".a: number there, no text here"}),
        ({"a": None}, {"a": "x"}, {".a: null there, text here"}),
        ({"a": "x"}, {"a": None}, {".a: text there, null here"}),
        ({"a": {}}, {"a": []}, {".a: object there, list here"}),
        ({"a": {"b": 1}}, {"a": {"b": {}}}, {".a.b: number there, object here"}),
        ([], [{"a": 1}], set()),
        ([1], [], {"[]: empty"}),
        ([{"a": 1}], [{"a": 1}, {"a": "x"}], {"[].a: number there, text here"}),
        ([{"a": 1}, {"a": 1, "b": 2}], [{"a": 1}, {"a": 1, "b": 0}], set()),
        ([{"a": 1}, {"a": 1, "b": 2}], [{"b": 1}], {"[].a: missing"}),
        ([{"a": 1}, {"a": "1"}], [{"a": "2"}, {"a": 2}], set()),
        (
            [{"a": 1}, {"a": "1"}],
            [{"a": True}],
            {"[].a: number or number in text there, bool here"},
        ),
        ([["1", "2"]], [["1", "2"], ["3", 4]], {"[][1]: number in text there, number here"}),
        ([["1", "2"]], [["1"]], {"[]: [2] long there, 1 here"}),
        (["a"], ["b", "c"], set()),
        (
            [{"filterType": "A", "x": 1}, {"filterType": "B", "y": 1}],
            [{"filterType": "A", "y": 1}],
            {"[A].x: missing", "[A].y: extra"},
        ),
        ([{"filterType": "A"}], [{"filterType": "C"}], {"[C]: extra"}),
    ],
)
def test_differences(sample, ours, found):
    assert differences(sample, ours) == found


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError):
        differences({"a": 1}, {"a": object()})


def test_texts_are_found_at_any_depth():
    given = {"side": "Buy", "rows": [{"side": "Sell", "x": "y"}, {"side": 1}]}
    assert texts(given, ["side"]) == {("side", "Buy"), ("side", "Sell")}


def test_fields_are_found_at_any_depth():
    assert fields({"a": [{"b": {"c": 1}}, 2]}) == {"a", "b", "c"}
