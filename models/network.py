"""The whole network: text encoder, attributes, contact-type decoder and template ranker, joined.

text -> encoder -> mean over tokens --+
                                      +-- gated fusion -> ticket vector -> decoder -> node logits
attributes -> embeddings, numbers ----+                        |              |
                                                               +--- ranker ---+-> template query
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import normalize

from models.attributes import FIRST_VALUE, MISSING, AttributeSpec
from models.batches import tokenise
from models.config import VECTOR_SIZE, TrainConfig
from models.decoder import ContactTypeDecoder, node_texts
from models.encoder import TextEncoder, load_encoder
from models.ranker import TemplateRanker
from models.tree_index import index_tree
from tickets.contact_types import ContactTypeTree

CATEGORY_WIDTH = 16  # of the embedding of one category's value
_ATTRIBUTE_HIDDEN = 128
_TEXTS_AT_ONCE = 32
_SHY_GATE = -2.0  # sigmoid(-2) is 0.12: attributes come in as far as training finds them useful


class NetworkOutput(NamedTuple):
    """What the network says of a batch; these are the outputs of the ONNX graph, in this order."""

    ticket_vector: Tensor  # (batch, 384) of length one
    node_logits: Tensor  # (batch, N)
    template_query: Tensor  # (batch, 384) of length one
    token_weights: Tensor  # (batch, T) how much each token spoke for the top leaf; 0 where masked


class AttributeReader(nn.Module):
    """Encoded attributes to one vector (batch, 384)."""

    first_row: Tensor

    def __init__(self, spec: AttributeSpec, *, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        sizes = torch.tensor([len(category.values) + FIRST_VALUE for category in spec.categories], dtype=torch.long)
        self.register_buffer("first_row", torch.cumsum(sizes, 0) - sizes, persistent=False)
        self.embedding = nn.Embedding(int(sizes.sum()), CATEGORY_WIDTH)
        width = len(spec.categories) * CATEGORY_WIDTH + 2 * len(spec.numbers)
        self.hidden = nn.Linear(width, _ATTRIBUTE_HIDDEN)
        self.output = nn.Linear(_ATTRIBUTE_HIDDEN, VECTOR_SIZE)

    def forward(self, categories: Tensor, numbers: Tensor, missing: Tensor) -> Tensor:
        """(batch, C) int64, (batch, M), (batch, M) -> (batch, 384). In training some attributes are hidden."""
        if self.training and self.dropout > 0:
            hidden = torch.rand(categories.shape, device=categories.device) < self.dropout
            categories = categories.masked_fill(hidden, MISSING)
            gone = (torch.rand(missing.shape, device=missing.device) < self.dropout).to(missing.dtype)
            numbers, missing = numbers * (1 - gone), torch.maximum(missing, gone)
        words = self.embedding(categories + self.first_row).flatten(1)
        vector: Tensor = self.output(torch.tanh(self.hidden(torch.cat([words, numbers, missing], dim=1))))
        return vector


class GatedFusion(nn.Module):
    """Text and attributes to one ticket vector: each of its 384 places decides how much of the attributes to take in
    (after Arevalo et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * VECTOR_SIZE, VECTOR_SIZE)
        nn.init.constant_(self.gate.bias, _SHY_GATE)

    def forward(self, text: Tensor, attributes: Tensor) -> Tensor:
        """(batch, 384) twice -> (batch, 384) of length one."""
        gate = torch.sigmoid(self.gate(torch.cat([text, attributes], dim=1)))
        return normalize(text + gate * attributes, dim=1)


class TriageNetwork(nn.Module):
    """Tickets to ticket vectors, contact types and template queries. Make one with `build_network`."""

    def __init__(self, encoder: TextEncoder, tree: ContactTypeTree, spec: AttributeSpec, config: TrainConfig) -> None:
        super().__init__()
        self.tree, self.index, self.spec = tree, index_tree(tree), spec
        self.encoder = encoder
        same = encoder.width == VECTOR_SIZE
        self.projection: nn.Module = nn.Identity() if same else nn.Linear(encoder.width, VECTOR_SIZE, bias=False)
        self.attributes = AttributeReader(spec, dropout=config.attribute_dropout)
        self.fusion = GatedFusion()
        self.decoder = ContactTypeDecoder(self.index, node_dropout=config.node_dropout)
        self.ranker = TemplateRanker()
        self.condition_on_contact_type = config.condition_on_contact_type

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, categories: Tensor, numbers: Tensor, missing: Tensor
    ) -> NetworkOutput:
        """(batch, T) int64 twice, (batch, C) int64, (batch, M) and (batch, M) float32 -> NetworkOutput."""
        return self.read_states(self.encoder(input_ids, attention_mask), attention_mask, categories, numbers, missing)

    def read_states(  # noqa: PLR0917  # the graph's inputs, in their order
        self,
        states: Tensor,
        attention_mask: Tensor,
        categories: Tensor,
        numbers: Tensor,
        missing: Tensor,
        mix: Tensor | None = None,
    ) -> NetworkOutput:
        """The part after the text encoder, from its token states (batch, T, width). `mix` (batch, N): the label mix of
        each ticket's time, the latest when None."""
        tokens = self.projection(states) * attention_mask.unsqueeze(2).to(states.dtype)
        ticket_vector = self.fusion(normalize(tokens.sum(dim=1), dim=1), self.attributes(categories, numbers, missing))
        node_logits = self.decoder(ticket_vector, mix)
        # The ranking loss may teach the ranker which contact types matter, not the decoder which are likely.
        likely = self.decoder.leaf_probabilities(node_logits).detach()
        expected = self.decoder.expected_vector(likely)
        query = self.ranker(ticket_vector, expected if self.condition_on_contact_type else torch.zeros_like(expected))
        direction = self.decoder.top_leaf_direction(likely)
        weights = (tokens @ direction.unsqueeze(2)).squeeze(2) / attention_mask.sum(dim=1, keepdim=True)
        return NetworkOutput(ticket_vector, node_logits, query, weights)

    @torch.no_grad()
    def encode_texts(self, tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
        """Mean token states of plain texts, projected and of length one: (n, 384) on the network's device."""
        was_training = self.training
        self.eval()
        try:
            tokens = tokenise(tokenizer, texts)
            order = torch.from_numpy(tokens.lengths).argsort(stable=True)
            vectors = torch.zeros(len(texts), VECTOR_SIZE, device=self.encoder.device)
            for start in range(0, len(texts), _TEXTS_AT_ONCE):
                rows = order[start : start + _TEXTS_AT_ONCE]
                ids, mask = (torch.from_numpy(array).to(vectors.device) for array in tokens.padded(rows.numpy()))
                states = self.projection(self.encoder(ids, mask))
                vectors[rows.to(vectors.device)] = normalize((states * mask.unsqueeze(2)).sum(dim=1), dim=1)
            return vectors
        finally:
            self.train(was_training)

    def refresh_nodes(self, tokenizer: Tokenizer) -> None:
        """Read the node texts again with the encoder as it is now. Training does so a few times an epoch."""
        self.decoder.texts.copy_(self.encode_texts(tokenizer, node_texts(self.tree)))

    def encode_templates(self, tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
        """Template vectors (n, 384) of length one, no gradient; the texts are of `template_text`."""
        with torch.no_grad():
            vectors: Tensor = self.ranker.template_vectors(self.encode_texts(tokenizer, texts))
            return vectors


def build_network(encoder: str, tree: ContactTypeTree, attributes: AttributeSpec, config: TrainConfig) -> TriageNetwork:
    """A network with a pretrained encoder (Hugging Face id or folder) and new heads, on the CPU; its node texts are not
    read yet (`refresh_nodes`, or `heads.load_heads`). Raises InputError, MachineError, ReleaseError."""
    torch.manual_seed(config.seed)
    return TriageNetwork(load_encoder(encoder, attention_dropout=config.attention_dropout), tree, attributes, config)
