"""Untrusted configurations and checkpoints: nothing in them is resolved, fetched or opened."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zoo
from zoo import registry
from zoo.__main__ import main
from zoo.config.run_config import read_run_config
from zoo.data.image.spec import ImageSpec
from zoo.testing.runs import StopAfter

QUICK = {"logger": "csv", "report": False, "trainer": {"max_epochs": 2, "accelerator": "cpu", "precision": "32-true"}}


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stranger") / "cut"
    with pytest.raises(zoo.Stopped):
        zoo.train("fnn", "wine", run_dir=str(folder), callbacks=[StopAfter(5)], **QUICK)
    return folder


def places(node, above=()):
    for key, value in node.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from places(value, (*above, key))


REFERENCES = st.sampled_from(["oc.env:SECRET", "seed", "oc.decode:'1'", "oc.env:SECRET,none", ".name", "x${seed}"])
SPELLINGS = st.sampled_from(["{}", '"{}"', "a{}b", "[{}]", "{{k: {}}}", '"\\x24{}"', '"\\u0024{}"'])


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 200), reference=REFERENCES, spelling=SPELLINGS)
def test_read_run_config_rejects_interpolations(cut, tmp_path, monkeypatch, place, reference, spelling):
    monkeypatch.setenv("SECRET", "very secret")
    values = yaml.safe_load((cut / "config.yaml").read_text())
    *above, last = sorted(places(values), key=str)[place % len(list(places(values)))]
    node = values
    for key in above:
        node = node[key]
    node[last] = "MARK"
    braces = f"{{{reference}}}" if "\\" in spelling else f"${{{reference}}}"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values).replace("MARK", spelling.format(braces), 1))
    with pytest.raises(zoo.ZooError, match="not the configuration of a run") as caught:
        read_run_config(tmp_path)
    assert "very secret" not in str(caught.value)


def test_resume_rejects_exponential_interpolations_at_once(cut, tmp_path, capsys):
    values = yaml.safe_load((cut / "config.yaml").read_text())
    values |= {f"a{n}": f"${{a{n + 1}}}${{a{n + 1}}}" for n in range(40)} | {"a40": "x"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    began = time.monotonic()
    assert main(["train", f"resume={tmp_path}"]) == 2
    assert time.monotonic() - began < 5
    (line,) = capsys.readouterr().err.splitlines()
    assert "contains an interpolation ${…}" in line
    assert (tmp_path / "config.yaml").read_text() == yaml.safe_dump(values)


@pytest.mark.parametrize("source", ["imagenet", "secret.pth", "/etc/passwd"])
@pytest.mark.parametrize("form", ["ckpt", "safetensors"])
def test_load_opens_only_the_checkpoint(source, form, tmp_path, monkeypatch):
    from zoo.checkpoint import save_weights

    def touched(*arguments, **options):
        raise AssertionError("looked for weights elsewhere")

    spec = ImageSpec("s", "classification", (3, 32, 32), classes=("a", "b"))
    model = zoo.create("cnn", spec=spec, network="torchvision/squeezenet1_1")
    model.hparams["pretrained"] = source
    path = tmp_path / f"best.{form}"
    if form == "ckpt":
        content = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
        model.on_save_checkpoint(content)
        torch.save(content, path)
    else:
        save_weights(model, path)
    monkeypatch.setattr("zoo.layers.torchvision._pretrained_state", touched)
    loaded = zoo.load(path)
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in model.state_dict().items())


def test_sources_list_every_weights_option():
    for name in registry.registered_models():
        cls = registry.get(name)
        suspects = {key for key in registry.signature(cls) if key in ("weights", "pretrained", "checkpoint", "path")}
        assert suspects == set(cls.sources)


def test_resume_does_not_reread_pretrained_weights():
    from torchvision.models import get_model

    torch.save(get_model("squeezenet1_1", weights=None).state_dict(), "first.pth")
    images = torch.rand(40, 1, 32, 32).numpy()
    data, options = (
        (images, images.mean((1, 2, 3))),
        {"network": "torchvision/squeezenet1_1", "pretrained": "first.pth"},
    )
    with pytest.raises(zoo.Stopped):
        zoo.train(
            "cnn",
            data,
            model_kwargs=options,
            run_dir="cut",
            callbacks=[StopAfter(2)],
            **QUICK,
            **{"data.batch_size": 16},
        )
    Path("first.pth").unlink()
    assert zoo.resume("cut", data, report=False).results["epochs"] == 2
