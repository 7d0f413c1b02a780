"""The context manager ``eval_mode``: restored after errors, shared by threads."""

from __future__ import annotations

import ast
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

import zoo
from zoo.utils.eval_mode import eval_mode

ROOT = Path(__file__).resolve().parents[2]


def network() -> nn.Module:
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.BatchNorm1d(2))
    net[2].eval()  # frozen, as of a pretrained network
    return net


def test_eval_mode_restores_each_module_also_after_errors():
    net = network()
    before = [part.training for part in net.modules()]
    with pytest.raises(ZeroDivisionError), eval_mode(net):
        1 / any(part.training for part in net.modules())
    assert [part.training for part in net.modules()] == before


def test_eval_mode_is_shared_by_overlapping_threads():
    net, modes, barrier = network(), [], threading.Barrier(8)

    def use(number: int) -> None:
        barrier.wait()
        for _ in range(50 + number):
            with eval_mode(net):
                modes.append(any(part.training for part in net.modules()))
                with eval_mode(net):
                    modes.append(net.training)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(modes) > 800
    assert not any(modes)
    assert net.training
    assert not net[2].training


@pytest.mark.parametrize("name", ["fnn", "vae", "gan", "lstm"])
def test_predict_and_sample_keep_the_mode(name, monkeypatch):
    model = zoo.create(name).train()
    before = [part.training for part in model.modules()]
    x = torch.rand(3, *model.spec.input_shape)
    uses = [lambda: model.predict(x)]
    uses += [lambda: model.sample(4)] if hasattr(model, "sample") and name != "lstm" else []
    for use in uses:
        use()
        assert [part.training for part in model.modules()] == before
    for part in (model, getattr(model, "average", model)):
        monkeypatch.setattr(type(part), "forward", lambda *_: 1 / 0)
    monkeypatch.setattr(type(model), "predictions", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.predict(x)
    assert [part.training for part in model.modules()] == before


def test_eval_mode_is_the_only_switch_in_the_code():
    """A call of ``.train(flag)`` that restores a mode by hand misses the cases above."""
    for path in (ROOT / "zoo").glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "train"
            if call and len(node.args) == 1 and isinstance(node.args[0], ast.Name):
                assert node.args[0].id != "training" or "testing" in path.parts, path
