"""A registry explains itself."""

import pytest

from reticle.registry import Registry


def colours() -> Registry:
    registry = Registry("colour")
    registry.register("red")(1)
    registry.register("green")(2)
    return registry


def test_register_returns_the_thing_and_files_it():
    registry, thing = Registry("colour"), object()
    assert registry.register("red")(thing) is thing
    assert registry["red"] is thing and list(registry) == ["red"]


@pytest.mark.errors
def test_a_duplicate_raises_and_keeps_the_first():
    registry = colours()
    with pytest.raises(ValueError) as e:
        registry.register("red")(3)
    assert str(e.value) == "colour 'red' is already registered by 1; choose another name."
    assert registry["red"] == 1


@pytest.mark.errors
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("grene", "Unknown colour 'grene'. Did you mean 'green'? Known: green, red."),
        ("purple", "Unknown colour 'purple'. Known: green, red."),
        (None, "Unknown colour None. Known: green, red."),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(name, text):
    with pytest.raises(ValueError) as e:
        colours()[name]
    assert str(e.value) == text


def test_membership_and_get_stay_those_of_a_dict():
    assert "rad" not in colours() and colours().get("rad") is None
