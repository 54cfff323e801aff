"""How good the model is, on data it never saw: BANKING77, CFPB complaints, the simulated company's replies.

    python bench/quality.py [--quick] [--only banking77,few_shot,out_of_scope,complaints,replies,speed]

Needs public data (bench/public_data.py). Every figure is of the served int8 graph unless its name says
otherwise. A key with `_interval` holds the 95 % interval of the key before it, over test tickets; one with `_seeds`
what each seed gave. No weight, limit or temperature is fitted on a test ticket. Some settings were chosen while test
figures were looked at (docs/experiments.md says which): contrastive loss and self-training with few labels, the label
mix and the validation days of the complaints. `--only` keeps the figures of the other parts in bench/out/quality.json,
each part with its seconds and the commit it was measured at. Quick runs use a fraction of the tickets: they show that
it works, not how good it is.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

# As a script this folder comes first, and its pipeline.py would hide the package of that name.
sys.path.sort(key=lambda place: place == str(Path(__file__).parent))

import banking77
import complaints
import replies
from bench_record import OUT, record
from parts import add_only
from public_data import BANKING77

from models.comparison import difference
from models.config import TrainConfig
from models.encoder import load_tokenizer
from models.experiments.origin import git_state
from models.intervals import share_of
from models.ladder.rungs import LADDER, lay_out, measure_rung
from models.predictions import Predictor, inputs_of
from models.quality import best_ranks
from models.release import Release
from models.train import package
from models.training.data import TrainingData
from models.training.fit import fit
from models.training.lessons import taught
from models.training.run import validate
from tickets.progress import silent

Figures = dict[str, float | str]
SEEDS = (17, 18)

SHORT = TrainConfig(
    max_tokens=64,
    epochs=5,
    batch_size=64,
    trainable_layers=6,
    learning_rate=2e-4,
    head_learning_rate=1e-3,
    label_smoothing=0.1,
    patience=6,
)
FEW = dataclasses.replace(SHORT, epochs=25, batch_size=32, patience=25, contrastive_weight=0.3)
LONG = TrainConfig(
    max_tokens=128,
    epochs=2,
    batch_size=32,
    trainable_layers=3,
    learning_rate=2e-4,
    head_learning_rate=1e-3,
)
REPLIES = TrainConfig(epochs=3, trainable_layers=3, learning_rate=3e-4, head_learning_rate=3e-3, patience=4)


def banking(quick: bool) -> Figures:
    """The whole train split; another validation draw, order and first weights for each seed. Then one model of the same
    size that learns from those (models.training.lessons)."""
    asked, test = _questions(quick)
    made: dict[str, list[float]] = {"accuracy": [], "hits_at_3": [], "ece": [], "loss": []}
    with ExitStack() as stack:
        teachers = []
        for seed in SEEDS:
            config = dataclasses.replace(SHORT, seed=seed, epochs=2 if quick else SHORT.epochs)
            validation, train = _split(asked, 1_000, seed)
            data = banking77.data_of(train, validation, test, _tokenizer(config), config)
            release, lost = stack.enter_context(_trained(data, config))
            _keep(made, release, lost)
            teachers.append(release)
        student = dataclasses.replace(config, seed=SEEDS[-1] + 1, teacher_weight=0.7)
        data = taught(data, teachers, unlabelled=None, threads=2, report=_say)
        distilled, lost = stack.enter_context(_trained(data, student))
        figures = distilled.metrics["model"]["test"]
    return {
        "banking77_accuracy": round(figures["accuracy"], 4),
        "banking77_accuracy_interval": _interval(figures["accuracy"], len(test)),
        "banking77_hits_at_3": round(figures["hits@3"], 4),
        "banking77_hits_at_3_interval": _interval(figures["hits@3"], len(test)),
        "banking77_ece": round(figures["ece"], 4),
        "banking77_int8_loss_points": round(lost, 3),
        "banking77_single_accuracy": _mean(made["accuracy"]),
        "banking77_single_accuracy_seeds": _told(made["accuracy"]),
        "banking77_single_hits_at_3": _mean(made["hits_at_3"]),
        "ece_int8": _mean(made["ece"]),
        "ece_int8_seeds": _told(made["ece"]),
        "int8_loss_points": _mean(made["loss"]),
        "int8_loss_points_seeds": _told(made["loss"]),
    }


def few_shot(quick: bool) -> Figures:
    """Ten labelled questions an intent, five more of each for validation. A model learns from the ten; the next learns
    from it what the other questions of the train split, told without their labels, are about."""
    asked, test = _questions(quick)
    labelled, found = [], []
    for seed in SEEDS[: 1 if quick else None]:
        config = dataclasses.replace(FEW, seed=seed, epochs=3 if quick else FEW.epochs)
        train, rest = banking77.drawn(asked, 10, seed=seed)
        validation, unlabelled = banking77.drawn(rest, 5, seed=seed)
        data = banking77.data_of(train, validation, test, _tokenizer(config), config)
        with _trained(data, config) as (teacher, _):
            labelled.append(teacher.metrics["model"]["test"]["accuracy"])
            data = taught(data, [teacher], unlabelled=banking77.examples("more", unlabelled), threads=2, report=_say)
        student = dataclasses.replace(SHORT, seed=seed, epochs=1 if quick else 4, teacher_weight=0.5)
        with _trained(data, student) as (release, _):
            found.append(release.metrics["model"]["test"]["accuracy"])
    return {
        "banking77_10shot_accuracy": _mean(found),
        "banking77_10shot_accuracy_seeds": _told(found),
        "banking77_10shot_accuracy_interval": _interval(_mean(found), len(test)),
        "banking77_10shot_labelled_only_accuracy": _mean(labelled),
        "banking77_10shot_labelled_only_accuracy_seeds": _told(labelled),
    }


def out_of_scope(quick: bool) -> Figures:
    """Ten intents held out of training, drawn anew for each seed; how well the score tells their test questions from
    the others."""
    from sklearn.metrics import roc_auc_score

    asked, test = _questions(quick)
    found = []
    for seed in SEEDS[: 1 if quick else None]:
        config = dataclasses.replace(SHORT, seed=seed, epochs=2 if quick else 4)
        unknown = banking77.held_out_intents(asked, 10, seed=seed)
        known = [row for row in asked if row[1] not in unknown]
        validation, train = _split(known, 1_000, seed)
        inside = [row for row in test if row[1] not in unknown]
        data = banking77.data_of(train, validation, inside, _tokenizer(config), config)
        strange = banking77.data_of(known[::20], [], [row for row in test if row[1] in unknown], data.tokenizer, config)
        with _trained(data, config) as (release, _):
            predictor = Predictor.load(release, threads=2)
            scores = [predictor.predict(inputs_of(part.test.rows)).out_of_scope for part in (data, strange)]
        truth = np.repeat([0, 1], [len(part) for part in scores])
        found.append(float(roc_auc_score(truth, np.concatenate(scores))))
    return {"oos_auroc": _mean(found), "oos_auroc_seeds": _told(found)}


def complaint(quick: bool) -> Figures:
    """Text alone and text with attributes, each beside TF-IDF on the same rows and inputs."""
    config = dataclasses.replace(LONG, epochs=1, max_tokens=64) if quick else LONG
    figures: Figures = {}
    right: dict[str, NDArray[np.bool_]] = {}
    with _folder() as folder:
        workspace = complaints.lake(folder)
        for told in ("attributes", "text"):
            data = complaints.data_of(
                workspace,
                _tokenizer(config),
                config,
                with_attributes=told == "attributes",
                most=1_500 if quick else None,
            )
            known = data.index.columns_of(data.test.node) >= 0
            with _trained(data, config) as (release, _):
                leaves = Predictor.load(release, threads=2).predict(inputs_of(data.test.rows)).node_probabilities
            ranks = best_ranks(data.index, leaves[:, data.index.leaves], data.test.node)[known]
            simple, mixed = complaints.tfidf_ranks(data, with_attributes=told == "attributes")
            right[told] = ranks == 1
            test = release.metrics["model"]["test"]
            prefix = "cfpb_issue" if told == "attributes" else "cfpb_issue_text"
            figures |= {
                **_share(f"{prefix}_accuracy", ranks == 1),
                **_share(f"{prefix}_hits_at_3", ranks <= 3),
                **_share(f"{prefix}_tfidf_accuracy", simple == 1),
                **_share(f"{prefix}_tfidf_hits_at_3", simple <= 3),
                **_share(f"{prefix}_tfidf_with_mix_accuracy", mixed == 1),
                **_share(f"{prefix}_tfidf_with_mix_hits_at_3", mixed <= 3),
                f"{prefix}_over_tfidf_points": _points(ranks == 1, simple == 1),
                f"{prefix}_over_tfidf_with_mix_points": _points(ranks == 1, mixed == 1),
                f"{prefix.replace('issue', 'product')}_accuracy": test["accuracy_level_1"],
                f"{prefix}_ece": test["ece"],
                "cfpb_tickets": len(ranks),
            }
            if told == "attributes":
                cota1 = _cota1(data, config)
                figures |= {
                    "cfpb_issue_cota1_accuracy": cota1["accuracy"],
                    "cfpb_issue_cota1_hits_at_3": cota1["hits@3"],
                }
            _say(json.dumps(figures))
    return figures | {"cfpb_attributes_over_text_points": _points(right["attributes"], right["text"])}


def reply(quick: bool) -> Figures:
    """All templates; some never seen in training; a ranker that is told the contact type in neither query nor score.

    In English every contact type has several sentences, so the figures of English tickets alone are those of wording
    that nobody used before; in other languages most have one, and test tickets repeat it.
    """
    config = dataclasses.replace(REPLIES, epochs=1) if quick else REPLIES
    figures: Figures = {}
    with _folder() as folder:
        workspace, truth = replies.company(folder, days=14 if quick else 40, tickets_per_day=150, seed=11)
        data = replies.data_of(workspace, _tokenizer(config), config)
        best = replies.achievable(data, truth)
        cota1 = _cota1(data, config)
        figures["simulator_cota1_accuracy"] = cota1["accuracy"]
        figures["template_cota1_hits_at_1"] = cota1["template_hits@1"]
        figures["template_cota1_hits_at_3"] = cota1["template_hits@3"]
        with _trained(data, config) as (release, _):
            ranks = replies.template_ranks(release, data)
            figures["simulator_accuracy"] = release.metrics["model"]["test"]["accuracy"]
            figures["simulator_ece"] = release.metrics["model"]["test"]["ece"]
        blind = dataclasses.replace(config, condition_on_contact_type=False)
        with _trained(data, blind) as (release, _):
            unconditioned = replies.template_ranks(release, data)
        unseen = replies.unseen_templates(data, 15, seed=SEEDS[0])
        without = replies.without_templates(data, unseen)
        with _trained(without, config) as (release, _):
            partly = replies.template_ranks(release, data)
        new = np.isin(data.test.template[data.test.template != -1], unseen)
    hit = ranks <= 3
    english = replies.in_language(data, "en")
    return figures | {
        **_share("template_hits_at_3", hit),
        "template_achievable_hits_at_3": best,
        **_share("template_hits_at_3_english", hit[english]),
        "template_share_of_achievable": float(np.mean(hit)) / best,
        **_share("unseen_template_hits_at_3", partly[new] <= 3),
        **_share("seen_template_hits_at_3", partly[~new] <= 3),
        "unseen_template_share": float(np.mean(partly[new] <= 3) / np.mean(partly[~new] <= 3)),
        "template_conditioning_points": _points(hit, unconditioned <= 3),
        "template_hits_at_1": float(np.mean(ranks == 1)),
        "template_conditioning_points_at_1": _points(ranks == 1, unconditioned == 1),
    }


def speed(quick: bool) -> Figures:
    """What training costs beside a loop that does nothing but the arithmetic, over the same buckets."""
    from bare_loop import times_bare_loop

    return {"train_times_bare_loop": times_bare_loop(quick=quick)}


PARTS: Mapping[str, Callable[[bool], Figures]] = {
    "banking77": banking,
    "few_shot": few_shot,
    "out_of_scope": out_of_scope,
    "complaints": complaint,
    "replies": reply,
    "speed": speed,
}


def _keep(made: dict[str, list[float]], release: Release, lost: float) -> None:
    figures = release.metrics["model"]["test"]
    made["accuracy"].append(figures["accuracy"])
    made["hits_at_3"].append(figures["hits@3"])
    made["ece"].append(figures["ece"])
    made["loss"].append(lost)


def _questions(quick: bool) -> tuple[list[banking77.Question], list[banking77.Question]]:
    asked, test = (banking77.questions(BANKING77, part) for part in ("train", "test"))
    return (banking77.drawn(asked, 25, seed=0)[0], test[::6]) if quick else (asked, test)


def _split(
    rows: list[banking77.Question], first: int, seed: int
) -> tuple[list[banking77.Question], list[banking77.Question]]:
    """`first` rows, at most a fifth, and the rest; which ones, the seed says."""
    order = np.random.default_rng(seed).permutation(len(rows))
    cut = min(first, len(rows) // 5)
    return [rows[place] for place in order[:cut]], [rows[place] for place in order[cut:]]


def _tokenizer(config: TrainConfig) -> Tokenizer:
    return load_tokenizer(config.encoder, config.max_tokens)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def _trained(data: TrainingData, config: TrainConfig) -> Iterator[tuple[Release, float]]:
    """A release trained on the data, while the block runs, and the points of test accuracy that the served int8 graph
    loses against its network, neighbours' votes left out of both."""
    with _folder() as folder:
        fitted = fit(data, config, folder=folder / "fit", report=_say, progress=silent)
        accuracy = validate(fitted.network, data.test, batch_size=64)["validation_accuracy"]
        model = folder / "model"
        model.mkdir()
        release = package(
            fitted, data, config, model, encoder=config.encoder, languages=("en",), report=_say, ladder={}
        )
        served = Predictor.load(release, threads=2).alone().predict(inputs_of(data.test.rows))
        yield release, 100 * (accuracy - float(np.mean(served.predicted == data.test.node)))


def _cota1(data: TrainingData, config: TrainConfig) -> Mapping[str, float]:
    """Test figures of COTA v1 on the same tickets, text and attributes; templates by how often they were sent for the
    contact types it expects."""
    return measure_rung(LADDER["cota1"], lay_out(data, config)).figures["test"]


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 4)


def _told(values: list[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)


def _share(name: str, right: NDArray[np.bool_]) -> Figures:
    """The share of tickets that came out right, and its interval."""
    share = float(np.mean(right))
    return {name: round(share, 4), f"{name}_interval": _interval(share, len(right))}


def _points(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> str:
    """By how many points the first is right more often on the same tickets, with its 95 % interval."""
    gap = difference(one, other)
    return f"{100 * gap.value:.2f} ({100 * gap.low:.2f} to {100 * gap.high:.2f})"


def _interval(accuracy: float, tickets: int) -> str:
    share = share_of(round(accuracy * tickets), tickets)
    return f"{share.low:.4f} to {share.high:.4f}"


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    add_only(parser, PARTS)
    chosen = parser.parse_args()
    kept = OUT / "quality.json"
    figures: dict[str, float | int | str | bool] = json.loads(kept.read_text()) if kept.exists() else {}
    figures = {name: value for name, value in figures.items() if name not in ("machine", "seconds")}
    if figures.get("quick", chosen.quick) != chosen.quick or set(chosen.only) == set(PARTS):
        figures = {}
    for name in chosen.only:
        begun, commit = time.perf_counter(), git_state()[0]
        print(f"{name} ...", file=sys.stderr, flush=True)
        figures |= PARTS[name](chosen.quick)
        figures |= {"quick": chosen.quick, f"{name}_seconds": round(time.perf_counter() - begun, 1)}
        figures[f"{name}_commit"] = commit or "unknown"
        taken = sum(float(figures.get(f"{part}_seconds", 0.0)) for part in PARTS)
        record("quality", figures, seconds=taken)


if __name__ == "__main__":
    main()
