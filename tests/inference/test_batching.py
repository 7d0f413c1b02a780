"""The batcher: requests of any size are independent, short ones first, none starves."""

import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.exceptions import ZooError
from zoo.inference.batching import STEPS, Batcher, Failure

LATER = 1e12  # a deadline that no test reaches


def batch(lengths, first=0.0):
    """Return sequences whose first number is their own, so that an answer can be told."""
    x = torch.zeros(len(lengths), max(lengths), 1)
    x[:, 0, 0] = first + torch.arange(len(lengths))
    return {"x": x, "lengths": torch.tensor(lengths)}


class Model:
    """Answers each row with its first number; fails at the row that is asked for, and notes the shapes it computes."""

    def __init__(self, seconds=0.0, fails=None, error=ValueError):
        self.seconds, self.fails, self.error, self.shapes = seconds, fails, error, []

    def __call__(self, rows):
        self.shapes.append((tuple(rows["x"].shape[:2]), rows["lengths"].tolist()))
        time.sleep(self.seconds)
        if self.fails is not None and (rows["x"][:, 0, 0] == self.fails).any():
            raise self.error("a row of no use")
        return [{"value": float(row[0, 0]), "steps": int(n)} for row, n in zip(rows["x"], rows["lengths"], strict=True)]


def drain(batcher):
    outcomes = []
    while batcher.waiting:
        outcomes += batcher.step()
    return dict(outcomes), [key for key, _ in outcomes]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.integers(1, 3000), min_size=1, max_size=30), min_size=1, max_size=6), st.integers(1, 64))
def test_batcher_answers_every_row_once_in_bounded_pieces(requests, rows):
    model = Model()
    batcher = Batcher(model, rows=rows)
    for key, lengths in enumerate(requests):
        batcher.add(key, batch(lengths, first=1000.0 * key), LATER)
    outcomes, _ = drain(batcher)
    for key, lengths in enumerate(requests):
        assert outcomes[key] == [{"value": 1000.0 * key + n, "steps": steps} for n, steps in enumerate(lengths)]
    for (count, steps), lengths in model.shapes:
        assert count <= rows
        assert count == 1 or count * steps <= STEPS
        assert steps == max(lengths) <= max(2 * min(lengths), 16)


def test_batcher_short_requests_pass_long_ones():
    batcher = Batcher(Model(), rows=64)
    batcher.add("long", batch([1000] * 500), LATER)
    batcher.step()
    batcher.add("short", batch([12]), LATER)
    _, order = drain(batcher)
    assert order == ["short", "long"]
    assert batcher.turn > 10


def test_batcher_long_request_is_not_starved():
    batcher = Batcher(Model(), rows=64)
    batcher.add("long", batch([1000] * 16), LATER)
    finished = []
    for number in range(20):
        batcher.add(number, batch([12]), LATER)
        finished += [key for key, _ in batcher.step()]
    assert "long" in finished


@pytest.mark.parametrize(("error", "status"), [(ValueError, 500), (ZooError, 422)])
def test_batcher_fails_only_the_request_at_fault(error, status):
    batcher = Batcher(Model(fails=2001.0, error=error))
    for key in range(4):
        batcher.add(key, batch([5, 6, 7], first=1000.0 * key), LATER)
    outcomes, _ = drain(batcher)
    assert isinstance(outcomes[2], Failure)
    assert outcomes[2].status == status
    assert ("no use" in outcomes[2].detail) == (error is ZooError)
    assert [len(outcomes[key]) for key in (0, 1, 3)] == [3, 3, 3]


def test_batcher_drops_late_requests():
    model = Model(seconds=0.02)
    batcher = Batcher(model, rows=1)
    batcher.add("late", batch([5] * 1000), time.monotonic() + 0.1)
    batcher.add("other", batch([5] * 2), LATER)
    started = time.monotonic()
    outcomes, _ = drain(batcher)
    assert time.monotonic() - started < 2
    assert outcomes["late"].status == 504
    assert len(outcomes["other"]) == 2
    assert len(model.shapes) < 20


def test_batcher_joins_rows_without_lengths():
    shapes = []

    def predict(rows):
        shapes.append(len(rows["x"]))
        return [{"value": float(row[0])} for row in rows["x"]]

    batcher = Batcher(predict, rows=8)
    for key in range(10):
        batcher.add(key, {"x": torch.full((1, 3), float(key))}, LATER)
    outcomes, _ = drain(batcher)
    assert outcomes == {key: [{"value": float(key)}] for key in range(10)}
    assert shapes == [8, 2]
