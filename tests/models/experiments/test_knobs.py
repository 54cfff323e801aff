"""Knobs in files: read with every mistake told, written so that they come back the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from models.config import PRESETS, TrainConfig
from models.experiments.knobs import read_knobs, write_knobs
from models.experiments.space import SPACE, Choice, Real, Whole, part_of
from tickets.errors import InputError


def test_knobs_are_read_from_toml_and_json(tmp_path: Path) -> None:
    (tmp_path / "k.toml").write_text(
        "# by hand\nepochs = 6\nlearning_rate = 1\nprecision = 'fp32'\nlabel_mix = false\n"
    )
    assert read_knobs(tmp_path / "k.toml") == {
        "epochs": 6,
        "learning_rate": 1.0,
        "precision": "fp32",
        "label_mix": False,
    }
    (tmp_path / "k.json").write_text('{"trainable_layers": null}')
    assert read_knobs(tmp_path / "k.json") == {"trainable_layers": None}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("learning_rat = 1e-4", r"no knob 'learning_rat'. Did you mean learning_rate\?"),
        ("zzz = 1", "no knob 'zzz'. Knobs: encoder, "),
        ("epochs = 2.5", "epochs is 2.5, a float; expected a whole number"),
        ("epochs = true", "epochs is True, a bool; expected a whole number"),
        ("learning_rate = '1e-4'", "a str; expected a number"),
        ("precision = 'fp8'", "expected 'auto' or 'fp32' or 'bf16'"),
        ("trainable_layers = 'all'", "expected a whole number or null"),
        ("epochs 6", "are no TOML"),
    ],
)
def test_a_mistake_in_a_file_of_knobs_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "k.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        read_knobs(path)


def test_a_file_that_holds_no_knobs_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_knobs(tmp_path / "nowhere.toml")
    (tmp_path / "k.json").write_text("[6]")
    with pytest.raises(InputError, match="hold a list"):
        read_knobs(tmp_path / "k.json")
    (tmp_path / "k.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        read_knobs(tmp_path / "k.json")


def test_what_is_written_makes_the_same_settings_of_the_preset(tmp_path: Path) -> None:
    base = PRESETS["cpu"]
    best = dataclasses.replace(base, learning_rate=1.23e-4, trainable_layers=None, epochs=7, device="cpu")
    best = dataclasses.replace(best, max_train_tickets=500)
    assert set(write_knobs(tmp_path / "best.json", best, base)) == {"learning_rate", "trainable_layers", "epochs"}
    again = dataclasses.replace(base, **read_knobs(tmp_path / "best.json"))
    assert again == dataclasses.replace(best, device=base.device, max_train_tickets=None)


def test_every_knob_that_is_searched_is_one_of_training_and_every_value_can_work() -> None:
    for name, within in SPACE.items():
        ends = within.values if isinstance(within, Choice) else (within.low, within.high)
        for value in ends:
            made = getattr(dataclasses.replace(TrainConfig(), **{name: value}), name)
            assert within.holds(made)


def test_a_part_of_the_space_is_searched_by_name() -> None:
    space = {"a": Real(0, 1), "b": Whole(1, 3), "c": Choice((1, 2))}
    assert list(part_of(space, ["c", "a"])) == ["a", "c"]
    assert part_of(space, []) == space
    with pytest.raises(InputError, match=r"'d' is not in the search space. Knobs: a, b, c"):
        part_of(space, ["d"])


def test_numbers_are_drawn_so_that_they_can_be_written_down() -> None:
    import optuna

    trial = optuna.trial.FixedTrial({"rate": 0.000123456, "share": 0.0})
    assert Real(1e-5, 1e-3, log=True).suggest(trial, "rate") == 0.000123  # type: ignore[arg-type]
    assert Real(0.0, 0.3).suggest(trial, "share") == 0.0  # type: ignore[arg-type]
    at_the_end = optuna.trial.FixedTrial({"rate": 2.344e-5})
    assert Real(2.344e-5, 1e-3, log=True).suggest(at_the_end, "rate") == 2.344e-5  # type: ignore[arg-type]
