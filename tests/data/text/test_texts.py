"""Texts: tokens and vocabularies, stateful batches, buckets by length, the n-gram baseline."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import DATA

import zoo
from zoo.__main__ import main
from zoo.data import load
from zoo.data.inputs import encode
from zoo.data.loader import STREAMS, EvalLoader, Loader
from zoo.data.text.modality import TextAugment
from zoo.data.text.tokenizer import build_vocabulary, detokenize, encode_prompt, to_ids, token_ids, tokenize
from zoo.exceptions import ZooError
from zoo.tasks.language_modeling import ngram
from zoo.testing.runs import check_processes, check_resume
from zoo.testing.subject import Case, Subject
from zoo.utils.random import generator_of

PROSE = "the cat sat on the mat. the dog ran, and the cat ran too!\n" * 200


@pytest.fixture
def prose(tmp_path) -> Path:
    path = tmp_path / "prose.txt"
    path.write_text(PROSE)
    return path


def token_stream(split) -> torch.Tensor:
    return split["x"].base


# --- tokens ---


def test_detokenize_inverts_tokenize():
    text = "It wasn't me, was it?\nNo: it was (of course) you."
    assert tokenize(text, "words")[:4] == ["it", "wasn't", "me", ","]
    assert detokenize(tokenize(text, "words"), "words") == text.lower()
    assert detokenize(tokenize(text, "characters"), "characters") == text


def test_build_vocabulary_by_size_and_frequency():
    known = build_vocabulary("aaabbc", max_size=2)
    assert known == ("", "\ufffd", "a", "b")
    assert build_vocabulary("aaabbc", min_freq=2) == known
    assert to_ids("abcd", token_ids(known)).tolist() == [2, 3, 1, 1]
    with pytest.raises(ZooError, match="prompt: 'c' is not one of the 2 characters"):
        encode_prompt("abc", "characters", known)


# --- one long text ---


def test_text_file_splits_and_next_token_targets(prose):
    data = load("text_file", path=str(prose), block_size=16)
    spec, held = data.spec, round(len(PROSE) * 0.1)
    numbered = to_ids(PROSE, token_ids(spec.vocabulary))
    assert token_stream(data.test)[:held].tolist() == numbered[-held:].tolist()
    assert token_stream(data.val)[:held].tolist() == numbered[-2 * held : -held].tolist()
    assert token_stream(data.train).tolist() == numbered[: -2 * held].tolist()
    x, y = (data.train[key].index_select(0, torch.tensor([5, 100])) for key in "xy")
    assert x.dtype == y.dtype == torch.int64
    assert torch.equal(x[:, 1:], y[:, :-1])


def test_eval_loader_counts_every_token_once(prose):
    data = load("text_file", path=str(prose), block_size=16)
    targets = torch.cat([batch["y"].flatten() for batch in EvalLoader(data.test, stride=16)])
    text = token_stream(data.test)
    assert Counter(targets[targets > 0].tolist()) == Counter(text[1:][text[1:] > 0].tolist())


@pytest.mark.parametrize("steps", [None, 7])
def test_loader_stateful_rows_continue_across_batches(prose, steps):
    data = load("text_file", path=str(prose), block_size=16)
    loader = Loader(data.train, batch_size=8, seed=0, stride=16, stateful=True, steps=steps)
    batches = [batch["x"] for macro_batch in loader for batch in macro_batch]
    assert len(batches) == loader.batches == (steps or len(token_stream(data.train)) // 16 // 8)
    text = token_stream(data.train).long()
    order = loader.order(0).view(-1, 8)
    assert ((order[1:] - order[:-1]) == 16).all()
    assert torch.equal(batches[3][2], text[order[3, 2] : order[3, 2] + 16])
    following = loader.order(1).view(-1, 8)
    assert len({int(loader.order(epoch)[0]) for epoch in range(5)}) > 1
    if steps:  # an epoch of fewer batches than a pass goes on with it
        assert torch.equal(following[0], order[-1] + 16)


def test_eval_loader_reads_parallel_streams(prose):
    data = load("text_file", path=str(prose), block_size=16)
    batches = [batch["x"] for batch in EvalLoader(data.val, stride=16)]
    streams = torch.cat(batches, 1)
    assert len(streams) == STREAMS
    assert torch.equal(streams.flatten(), token_stream(data.val)[:-1].long())


def test_evaluation_carries_the_hidden_state(prose):
    """The figure of a run is that of the text read as a whole, not window by window."""
    run = zoo.train(
        "gru",
        "text_file",
        **{"data.path": str(prose), "data.block_size": 16, "trainer.max_epochs": 1, "trainer.precision": "32-true"},
        report=False,
    )
    data = load("text_file", path=str(prose), block_size=16)
    model = run.model.eval()
    text = token_stream(data.test)[:-1].long().view(STREAMS, -1)
    truth = token_stream(data.test)[1:].long().view(STREAMS, -1)
    with torch.no_grad():
        logits = model(text)
    nll = torch.nn.functional.cross_entropy(logits.flatten(0, 1), truth.flatten(), ignore_index=0)
    assert run.metrics["test/nll"] == pytest.approx(float(nll), abs=1e-4)
    assert run.metrics["test/perplexity"] == pytest.approx(math.exp(run.metrics["test/nll"]), rel=1e-4)
    assert run.metrics["test/bits_per_character"] == pytest.approx(run.metrics["test/nll"] / math.log(2), rel=1e-4)


def test_text_file_default_ships_with_python():
    data = load("text_file")
    assert len(token_stream(data.train)) > 300_000
    assert (
        "python"
        in detokenize(
            (data.spec.vocabulary[n] for n in token_stream(data.train)[:20_000].tolist()), "characters"
        ).lower()
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"  \n ", "is empty"),
        (b"too short", "test split has 1 characters; must be more than data.block_size=128; use a text of at least"),
        (b"fine\n\xff\xfe" + b"x" * 5000, "line 2: byte 6 is not UTF-8"),
    ],
)
def test_text_file_rejects_unreadable_files_in_one_line(tmp_path, content, message):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(ZooError, match=message) as caught:
        load("text_file", path=str(path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_generate_from_the_command_line(prose, capsys):
    options = {"data.path": str(prose), "data.block_size": 16, "trainer.max_epochs": 1}
    run = zoo.train("lstm", "text_file", **options, report=False)
    assert "sample: " in capsys.readouterr().out
    assert (run.folder / "samples.txt").read_text().startswith("--- epoch 1 ---\n")
    assert main(["generate", str(run.folder), "prompt=the cat", "length=20", "seed=3"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("the cat")
    assert len(out) == len("the cat") + 20 + 1
    assert main(["generate", str(run.folder), "prompt=\u00e9"]) == 2
    assert "is not one of the" in capsys.readouterr().err
    assert main(["generate", str(run.folder), "lenght=20"]) == 2
    assert "did you mean 'length'" in capsys.readouterr().err
    assert main(["generate", "nowhere.ckpt"]) == 2
    assert "nowhere.ckpt: no such file" in capsys.readouterr().err


# --- the n-gram ---


def slow_ngram(train: str, history: str, symbol: str, kinds: int) -> float:
    """Witten-Bell by its formula, with dictionaries."""
    lower = slow_ngram(train, history[1:], symbol, kinds) if history else 1 / kinds
    size = len(history) + 1
    counts: dict[str, Counter] = defaultdict(Counter)
    for at in range(len(train) - size + 1):
        counts[train[at : at + size - 1]][train[at + size - 1]] += 1
    following = counts[history]
    if not following:
        return lower
    return (following[symbol] + len(following) * lower) / (following.total() + len(following))


def test_ngram_equals_its_formula():
    train, test = "abracadabra abracadabra cab", "cadabra dab"
    letters = sorted(set(train))
    code = {letter: n for n, letter in enumerate(letters)}
    got = ngram(*(np.array([code[c] for c in part]) for part in (train, test)), 3, len(letters))
    for at in range(2, len(test)):
        want = slow_ngram(train, test[at - 2 : at], test[at], len(letters))
        assert got[at] == pytest.approx(want, abs=1e-12)


def test_ngram_probabilities_sum_to_one():
    rng = np.random.default_rng(0)
    train = rng.integers(0, 4, 300)
    history = rng.integers(0, 4, 4)
    total = sum(ngram(train, np.append(history, symbol), 5, 4)[-1] for symbol in range(4))
    assert total == pytest.approx(1, abs=1e-12)


# --- many short texts ---


def reviews(path: Path, rows: int = 200) -> Path:
    words = ["good fine great", "bad poor awful"]
    lines = [f"it was {' really' * (n % 30)} {words[n % 2]} indeed\t{n % 2}" for n in range(rows)]
    path.write_text("\n".join(["review\tlabel", *lines]))
    return path


def test_text_table_trains_and_predicts(tmp_path):
    path = reviews(tmp_path / "reviews.tsv")
    run = zoo.train("gru", "text", **{"data.path": str(path), "trainer.max_epochs": 5}, report=False)
    assert run.metrics["test/accuracy"] == 1
    assert run.model.predict(["a great one", "what an awful thing"])["label"] == ["0", "1"]
    model = zoo.load(run.folder / "checkpoints" / "best.ckpt")
    assert model.predict("a great one")["label"] == ["0"]
    with pytest.raises(ZooError, match="text 2 is empty"):
        model.predict(["fine", ""])


def test_text_folder_per_class(tmp_path):
    for row in range(30):
        for label, word in (("ham", "hello"), ("spam", "buy")):
            file = tmp_path / "mails" / label / f"{row}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{word} number {row}")
    data = load("text", path=str(tmp_path / "mails"))
    assert data.spec.classes == ("ham", "spam")
    assert sum(data.sizes) == 60
    assert "hello" in data.spec.vocabulary


def test_vocabulary_is_of_training_texts_only(tmp_path):
    data = load("text", path=str(reviews(tmp_path / "r.tsv")), min_freq=1)
    assert int(data.test["x"].max()) < len(data.spec.vocabulary)
    other = tmp_path / "test.tsv"
    other.write_text("review\tlabel\nnever heard of good\t0\nbad bad bad\t1\n")
    separate = load("text", path=str(tmp_path / "r.tsv"), test=str(other))
    assert separate.test["x"][0, : separate.test["lengths"][0]].tolist()[:3] == [1, 1, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text\tlabel\ngood\t1\nbad\t\n", "line 3: the label .label. is missing"),
        ("text\tlabel\n\t1\nbad\t0\n", "line 2: the text .text. is missing"),
        ("text\tlabel\ngood\t1\nbad\t1\n", "all 2 texts have the label '1'"),
        ("1\t2\n3\t4\n", "has numbers, not texts"),
    ],
)
def test_text_rejects_unusable_labels_in_one_line(tmp_path, content, message):
    path = tmp_path / "bad.tsv"
    path.write_text(content)
    with pytest.raises(ZooError, match=message):
        load("text", path=str(path))


def test_loader_buckets_texts_by_length():
    if not (DATA / "sst2").is_dir():
        pytest.skip("SST-2 is not at hand (ZOO_DATA)")
    data = load("sentiment", root=str(DATA))
    assert data.sizes == (6920, 872, 1821)
    loader = Loader(data.train, batch_size=32, seed=0)
    rows, padded, symbols = [], 0, 0
    for macro_batch in loader:
        for batch in macro_batch:
            padded += int((batch["x"] == 0).sum())
            symbols += batch["x"].numel()
            assert batch["x"].shape[1] == int(batch["lengths"].max())
        rows += [row for index in macro_batch.index for row in index.tolist()]
    assert sorted(rows) == list(range(6920))
    assert padded / symbols < 0.15
    assert rows != Loader(data.train, batch_size=32, seed=1).order(0).tolist()


def test_word_dropout_is_drawn_per_text():
    batch = {"x": torch.full((50, 40), 7), "y": torch.zeros(50)}
    batch["x"][:, 30:] = 0
    out = TextAugment(0.3)(batch, generator_of(0))["x"]
    share = (out[:, :30] == 1).float().mean()
    assert 0.25 < share < 0.35
    assert not out[:, 30:].any()
    assert not torch.equal(out[0], out[1])


def test_encode_token_ids_equals_strings():
    spec = load("text_file").spec
    text = "while x: pass"
    assert torch.equal(encode(spec, text)["x"], encode(spec, to_ids(text, token_ids(spec.vocabulary))[None])["x"])


@pytest.mark.slow
def test_language_model_resumes_and_distributes_exactly():
    """The conformance checks do this on a model's first task alone; here a state is carried along the text."""
    subject = Subject("lstm", Case("language_modeling", "text"))
    check_resume(subject)
    check_processes(subject)


def test_resume_writes_each_sample_once(prose):
    options = {"data.path": str(prose), "data.block_size": 16, "run_dir": "cut", "trainer.max_epochs": 1}
    zoo.train("lstm", "text_file", **options, report=False)
    last = Path("cut/checkpoints/last.ckpt")
    earlier = last.read_bytes()
    zoo.resume("cut", report=False, **{"trainer.max_epochs": 2})
    last.write_bytes(earlier)  # as a crash after the second epoch leaves it
    zoo.resume("cut", report=False, **{"trainer.max_epochs": 3})
    heads = [line for line in Path("cut/samples.txt").read_text().splitlines() if line.startswith("--- epoch")]
    assert heads == [f"--- epoch {n} ---" for n in (1, 2, 3)]
