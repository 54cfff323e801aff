"""What every model card says, whatever was measured: use, loading, ethics, limits."""

from __future__ import annotations

USE = """## Intended use

Agents of a support team see its suggestions beside a ticket, in the console or the helpdesk's sidebar, and decide:
they accept, correct or ignore. Leads may count suggestions to see what people write about. Where it is too unsure, or a
ticket is unlike anything it has seen, it abstains and pre-selects nothing.

Out of scope: closing tickets or answering customers without a person; decisions about people, such as refusing a refund
or judging an agent; tickets of another company, another language than those below, or text that is no support ticket;
any use as a general classifier.
"""

LOADING = """## How to load it

The text encoder by plain transformers, from inside this folder (from the hub: the repository's id and
`subfolder="encoder"`):

```python
import torch
from transformers import AutoModel, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("./encoder")
encoder = AutoModel.from_pretrained("./encoder")
batch = tokenizer(["Where is my refund?"], padding=True, truncation=True, return_tensors="pt")
with torch.no_grad():
    states = encoder(**batch).last_hidden_state
mask = batch["attention_mask"].unsqueeze(-1)
vectors = torch.nn.functional.normalize((states * mask).sum(dim=1), dim=1)  # mean of token states, of length one
```

The whole model, as it is served, by ticket-triage:

```python
from datetime import UTC, datetime
from pathlib import Path

from models.release import open_release
from models.suggest import Suggester
from tickets.records import Ticket

suggester = Suggester.load(open_release(Path(".")))
ticket = Ticket(ticket_id="1", created_at=datetime.now(UTC), body="Where is my refund?")
(suggestion,) = suggester.suggest([ticket])
for likely in suggestion.contact_types:
    print(f"{likely.probability:.2f} {likely.band} {likely.path}")
```

| file | what it holds |
|---|---|
| model.onnx | the served graph, int8 |
| tokenizer.json, attributes.json | how texts and attributes become numbers |
| contact_types.json, templates.json | the catalogue that it was trained with |
| encoder/ | the text encoder, by transformers (safetensors, float32) |
| heads.safetensors | the rest of the network |
| vectors.safetensors, neighbours.parquet | template vectors; vectors and excerpts of training tickets |
| neighbours.onnx | finds the training tickets that are nearest |
| reference.parquet | what it said of its validation tickets, for monitoring |
| metrics.json, release.json | all figures; settings, calibration, and the hash of every file |
"""

ETHICS = """## Ethical considerations and privacy

- Tickets are masked before they are stored or learned from: names, addresses, telephone and card numbers and other
  personal data. Masking is by rules and misses some. This folder keeps excerpts and vectors of training tickets, and
  whole validation tickets: treat it as you treat the tickets.
- What it learned is how agents labelled. Their habits and mistakes come back as suggestions, and a suggestion on the
  screen pulls agents towards it. Labels that people are asked for at random lean on none; accuracy is measured on them.
- It may serve some customers worse than others: by language, channel, or what they write about. The slices above show
  where that was measured; `triage evaluate --errors` tests more of them.
- Attributes of tickets are inputs. Leave out of dataset.toml what should not decide, such as age or nationality.
"""

LIMITS = """- Contact types without training tickets are found by their name and description alone.
- The validation tickets chose the weights that were kept (early stopping) and fitted temperatures, bands and the
  limits of abstaining, all at once: their figures, the calibration error above all, flatter the model. Nothing was
  chosen on the test tickets.
- Similar tickets and distances are taken from training tickets alone.
- It knows the world of its training period. New products, names and kinds of trouble make it worse until it is
  trained again; monitoring is there to notice.
"""
