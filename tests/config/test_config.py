"""Names, composition and pairing of configurations, with errors that name alternatives."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import zoo
from zoo import registry
from zoo.config import compose as configs
from zoo.config import groups, signatures
from zoo.config.schema import EarlyStopping, TrainerOptions, learning_of, options
from zoo.data.image.spec import DIGITS
from zoo.data.spec import DataSpec
from zoo.models.base import ZooModule
from zoo.utils import entries
from zoo.utils.options import meaning, meanings

ROOT = Path(__file__).resolve().parents[2]


def compose(*words: str):
    return configs.compose(words)


def all_files(group: str) -> list[str]:
    return sorted(p.stem for p in (groups.conf_dir() / group).glob("*.yaml"))


# The registered ones are paired with all data by the conformance checks
@pytest.mark.parametrize("model", [name for name in all_files("model") if name not in zoo.list_models()])
@pytest.mark.parametrize("data", all_files("data"))
def test_task_of_every_pair_or_an_error_naming_alternatives(model, data):
    config = compose(f"model={model}", f"data={data}")
    assert config.data.name == data
    entry = registry.entry(config.model.name)
    offers = [
        *config.data.tasks,
        *(task for task in registry.unsupervised_tasks() if task in registry.supported_tasks(config.data.modality)),
    ]
    space = config.data.get("action_space")
    acts = space is None or space in entry.action_spaces
    if acts and config.data.modality in entry.modalities and set(offers) & set(entry.tasks):
        assert configs.task_of(config) in offers
    else:
        fitting = ", ".join(configs.fitting_models(config.data.tasks[0], config.data.modality, space))
        sets = ", ".join(configs.fitting_data(entry))
        message = f"Compatible models: {fitting}. Compatible data: {sets}."
        with pytest.raises(zoo.ZooError, match=message):
            configs.task_of(config)


@pytest.mark.parametrize("group", ["optimizer", "scheduler", "trainer", "logger"])
def test_config_groups_have_valid_choices(group):
    for name in all_files(group):
        plain = OmegaConf.to_container(compose(f"{group}={name}"))
        assert plain[group].get("name", name) == name
        learning_of(plain)  # these refuse a key or a value that they do not know
        options(TrainerOptions, "trainer", plain["trainer"])
        options(EarlyStopping, "early_stopping", plain["early_stopping"])


@pytest.mark.parametrize("recipe", all_files("recipe"))
def test_recipes_apply_in_either_order(recipe):
    model, _, data = recipe.partition("-")
    assert model in all_files("model")
    config = compose(f"model={model}", f"data={data}")
    assert config == compose(f"data={data}", f"model={model}")
    configs.task_of(config)
    recipe_options = OmegaConf.load(groups.conf_dir() / "recipe" / f"{recipe}.yaml")
    recipe_options.pop("defaults", None)
    assert OmegaConf.merge(config, recipe_options) == config
    if recipe_options.get("expected"):  # what suits files of one's own promises nothing of them
        more = {"min", "max", "folds", "third_party", "quick", "also"}
        assert set(recipe_options.expected) - more == {"metric", "reference", "source"}
        assert len(set(recipe_options.expected) & {"min", "max"}) == 1


def test_names_of_models_agree_with_yaml_and_pages():
    named = {name: compose(f"model={name}").model.name for name in all_files("model")}
    assert set(named.values()) == set(zoo.list_models())  # each YAML names a registered class
    assert {name: name for name in zoo.list_models()}.items() <= named.items()  # and each has one of its own
    pages = (ROOT / "docs" / "models").glob("*.md")
    recipes = [re.findall(r"Recipes: (.*)\.$", page.read_text(), re.MULTILINE) for page in pages]
    assert {name for line in recipes for names in line for name in re.findall(r"`(\w+)`", names)} == set(named)


@pytest.mark.parametrize("name", zoo.list_models())
def test_signature_model_read_from_source_as_by_inspect(name):
    cls = registry.get(name)
    parsed = signatures.model_options(name)
    assert signatures.defaults(parsed) == signatures.defaults(signatures.declared(cls))
    config = compose(f"model={name}")
    assert set(config.model) - {"name"} == set(parsed)


@pytest.mark.parametrize("name", sorted(entries.DATA_MODULES))
def test_signature_data_read_from_source_as_by_inspect(name):
    load = registry.data_entry(name).load
    known = {key: value for key, value in signatures.defaults(signatures.declared(load)).items() if key != "task"}
    known.pop("env", None)  # which conf/data names
    assert signatures.defaults(signatures.data_options(name)) == known


@pytest.mark.parametrize(("group", "options"), [("model", signatures.model_options), ("data", signatures.data_options)])
def test_compose_yaml_holds_only_changed_defaults(group, options):
    for path in sorted((groups.conf_dir() / group).glob("*.yaml")):
        content = OmegaConf.to_container(OmegaConf.load(path))
        node = content.get("model", {}) if group == "model" else content
        if "name" in node:
            known = signatures.defaults(options(node["name"]))
            assert not [key for key, value in node.items() if key in known and known[key] == value], path


def test_descriptions_google_style_args_with_and_without_literals():
    text = """Return it.

    Args:
        rows: how many
            of them
        ``low``, ``high`` (float): limits: both

    Raises:
        ZooError: never
    """
    assert signatures.descriptions(text) == {"rows": "how many of them", "low": "limits: both", "high": "limits: both"}
    assert not signatures.descriptions("Return it.")


def test_compose_command_line_beats_recipe_beats_model():
    plain, paired = compose("model=cnn"), compose("model=cnn", "data=mnist")
    assert plain.data.name == "digits"
    assert paired.trainer.max_epochs != plain.trainer.max_epochs or paired.model != plain.model
    assert compose("model=cnn", "data=mnist", "trainer.max_epochs=2").trainer.max_epochs == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=cnnn"], "unknown model 'cnnn': did you mean 'cnn'"),
        (["data=mnits"], "unknown data 'mnits': did you mean 'mnist'"),
        (["optimizer=adamm"], "unknown optimizer 'adamm': did you mean 'adam"),
        (["model.dropuot=0.1"], "unknown option 'model.dropuot': did you mean 'model.dropout'"),
        (["trainer.epochs=3"], "unknown option 'trainer.epochs': use trainer.max_epochs"),
        (["trainer=4"], "unknown trainer '4': choices are auto"),
        (["modle=cnn"], "did you mean 'model'"),
        (["max_epochs=3"], "use trainer.max_epochs"),
        (["max_epohcs=3"], "did you mean 'trainer.max_epochs'"),
        (
            ["objective={class_weights:balanced,select:last}"],
            "unknown option 'objective.select': use checkpoint.test_with",
        ),
        (["model=resnet", "model={network:resnet,channel:[1]}"], "'model.channel': did you mean 'model.channels'"),
        (["optimizer={lr:0.1,wd:0.2}"], "unknown option 'optimizer.wd': use optimizer.weight_decay"),
        (["scheduler={warmup:0.1}"], "unknown option 'scheduler.warmup': use scheduler.warmup_ratio"),
        (["trainer={max_epoch:3}"], "unknown option 'trainer.max_epoch': did you mean 'trainer.max_epochs'"),
        (["data={augment:{flip:0.5}}"], "unknown option 'data.augment.flip': use data.augment.hflip"),
    ],
)
def test_compose_typo_names_the_nearest_choice(words, message):
    with pytest.raises(zoo.ZooError, match=message):
        compose(*words)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": {"lr": -1}}, r"optimizer.lr=-1: must be a number above 0"),
        ({"optimizer": {"lr": "fast"}}, "optimizer.lr=fast: must be a number"),
        ({"optimizer": {"lr": float("nan")}}, "optimizer.lr=nan: must be a number"),
        ({"data.batch_size": 0}, "data.batch_size=0: must be an integer at least 1"),
        ({"data.batch_size": 1.5}, "data.batch_size=1.5: must be an integer"),
        ({"data.fold": 7}, "data.fold=7: must be an integer at least 0 and at most 4"),
        ({"data.augment": {"scale": 1.0}}, "data.augment.scale=1.0: must be"),
        ({"trainer": {"max_epochs": 0}}, "trainer.max_epochs=0"),
        ({"trainer": {"precision": "fp8"}}, "unknown trainer.precision 'fp8'"),
        ({"trainer": {"accumulate_grad_batches": 0}}, "trainer.accumulate_grad_batches=0"),
        ({"regularization": {"l1": -0.1}}, "regularization.l1=-0.1"),
        ({"regularization": {"label_smoothing": 1.0}}, "regularization.label_smoothing=1.0"),
        ({"trainer": {"gradient_clip_val": 0}}, "trainer.gradient_clip_val=0"),
        ({"scheduler": {"warmup_ratio": 1.0}}, "scheduler.warmup_ratio=1.0"),
        ({"early_stopping": {"patience": 0}}, "early_stopping.patience=0"),
        (
            {"early_stopping": 4},
            "early_stopping=4: early_stopping is a group of options. Set one, such as early_stopping.pat",
        ),
        ({"data.augment": 3}, "data.augment=3: data.augment is a group of options. Set one, such as data.augment."),
        ({"init": "he"}, "unknown init 'he'"),
        ({"seed": -1}, "seed=-1"),
        ({"model_kwargs": {"dropout": 1}}, "model.dropout=1: must be a number at least 0 and below 1"),
        ({"model_kwargs": {"network": "plainn"}}, "unknown model.network 'plainn': did you mean 'plain'"),
        ({"model_kwargs": {"channels": []}}, "model.channels="),
        ({"model_kwargs": {"activation": "rellu"}}, "did you mean 'relu'"),
        ({"model_kwargs": {"network": "resnet", "depth": 9}}, "model.depth=9: must be 6n"),
        ({"model_kwargs": {"dpeth": 3}}, "did you mean 'model.depth'"),
        ({"data": "wine"}, "Compatible models: fnn"),
        ({"task": "regression"}, "task=regression: data=digits supports classification"),
        ({"target": "x"}, "only for a data frame"),
        ({"max_epoch": 3}, "did you mean 'trainer.max_epochs'"),
        ({"num_epochs": 3}, "unknown option 'num_epochs': use trainer.max_epochs"),
    ],
)
def test_train_rejects_a_wrong_value_in_one_line(options, message, tmp_path):
    with pytest.raises(zoo.ZooError, match=message) as caught:
        zoo.train("cnn", **options)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_registry_lists_names_without_torch():
    code = "import sys, zoo; zoo.list_models(); zoo.list_data(); assert not {'torch', 'lightning'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = (
        "import sys\nfrom zoo.cli.train import run_train\nassert run_train(['model=cnn', 'data=wine']) == 2\n"
        "assert 'torch' not in sys.modules"
    )
    # the refusal of a pair is made in zoo.engine.train, which imports torch only once the pair fits
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_get_returns_classes_by_name():
    assert zoo.get("cnn") is zoo.CNN
    assert isinstance(zoo.create("fnn", hidden_sizes=[3]), zoo.FNN)
    with pytest.raises(zoo.ZooError, match="did you mean 'cnn'"):
        zoo.get("cnnn")
    with pytest.raises(zoo.ZooError, match="did you mean 'hidden_sizes'"):
        zoo.create("fnn", hiden_sizes=[3])


def test_register_rejects_a_second_entry():
    with pytest.raises(zoo.ZooError, match="already registered"):

        @zoo.register("cnn")
        class Other(ZooModule):
            tasks, modalities = ("classification",), ("image",)

    with pytest.raises(zoo.ZooError, match="already registered"):

        @zoo.register_data("digits", tasks=("classification",), modality="image")
        def other():
            """Take the name of another."""

    for name in zoo.list_models():
        cls = zoo.get(name)
        assert (cls.name, cls.tasks, cls.modalities) == (
            name,
            registry.entry(name).tasks,
            registry.entry(name).modalities,
        )


@pytest.fixture
def linear():
    @zoo.register("test_linear")
    class Linear(ZooModule):
        tasks, modalities = ("classification",), ("image", "table")

        def __init__(self, *, spec: DataSpec | dict = DIGITS, bias: bool = True) -> None:
            super().__init__(spec=spec)
            import torch

            self.network = torch.nn.Linear(self.spec.inputs, self.spec.outputs, bias=bias)

        def forward(self, x):
            return self.network(self.normalize(x).flatten(1))

    yield Linear
    registry._MODELS.pop("test_linear")


def test_train_user_model_without_yaml(linear, quick):
    quick["trainer"]["max_epochs"] = 10
    run = zoo.train("test_linear", data="digits", model_kwargs={"bias": False}, optimizer={"lr": 0.01}, **quick)
    assert run.results["params"] == 640
    assert run.metrics["test/accuracy"] > 0.9
    assert zoo.load(run.folder / "checkpoints" / "best.ckpt").hparams["bias"] is False
    with pytest.raises(zoo.ZooError, match="did you mean 'model.bias'"):
        zoo.train("test_linear", model_kwargs={"bais": True})


@pytest.mark.slow
def test_entry_points_are_imported_on_demand(tmp_path, quick):
    (tmp_path / "theirs.py").write_text(
        "import torch, zoo\n\n"
        "@zoo.register('test_theirs')\n"
        "class Theirs(zoo.FNN):\n"
        "    def __init__(self, *, spec, size: int = 8):\n"
        "        super().__init__(spec=spec, hidden_sizes=[size])\n"
    )
    meta = tmp_path / "theirs-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text("[zoo.models]\ntest_theirs = theirs:Theirs\ntest_broken = nowhere:None\n")
    path = {**os.environ, "PYTHONPATH": str(tmp_path)}
    train = [sys.executable, str(ROOT / "train.py")]
    words = ["model=test_theirs", "data=wine", "model.size=4", "trainer.max_epochs=1", "run_dir=out", "logger=csv"]
    done = subprocess.run([*train, *words], env=path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "test_theirs on wine" in done.stdout
    assert zoo_results("out")["params"] == 13 * 4 + 2 * 4 + 5 * 3  # batch norm's scale and shift are the layer's bias
    listed = subprocess.run([*train, "--help"], env=path, capture_output=True, text=True)
    assert "test_theirs" in listed.stdout
    assert "test_broken" in listed.stdout
    typo = subprocess.run([*train, "model=test_their"], env=path, capture_output=True, text=True)
    assert "did you mean 'test_theirs'" in typo.stderr
    broken = subprocess.run([*train, "model=test_broken"], env=path, capture_output=True, text=True)
    assert broken.returncode == 2
    assert broken.stderr == "error: model 'test_broken': nowhere:None cannot be imported (No module named 'nowhere')\n"


def zoo_results(folder: str) -> dict:
    return json.loads((Path(folder) / "results.json").read_text())


def test_train_user_data_without_yaml(quick):
    from zoo.data.arrays import from_arrays

    @zoo.register_data("test_blobs", tasks=("classification",), modality="table")
    def blobs(*, rows: int = 100):
        import numpy as np

        y = np.arange(rows) % 2
        return from_arrays((np.random.default_rng(0).normal(size=(rows, 2)) + 5 * y[:, None], y))

    try:
        run = zoo.train("fnn", data="test_blobs", **{"data.rows": 200}, **quick)
        assert run.metrics["test/accuracy"] > 0.9
        assert "test_blobs" in zoo.list_data()
        assert run.folder.parent.name == "fnn-test_blobs"
    finally:
        registry._DATA.pop("test_blobs")


def test_create_suggests_names_of_other_libraries():
    with pytest.raises(zoo.ZooError, match="unknown option 'dropout_rate' of fnn: use dropout"):
        zoo.create("fnn", dropout_rate=0.1)
    with pytest.raises(zoo.ZooError, match="unknown option 'layers' of gru: use num_layers"):
        zoo.create("gru", layers=2)
    assert isinstance(zoo.create("mlp"), zoo.FNN)


def test_meaning_prefers_the_typed_group():
    known = ["trainer.max_epochs", "model.n_epochs", "optimizer.lr"]
    assert meaning("epochs", known) == "trainer.max_epochs"
    assert meaning("model.epochs", known) == "model.n_epochs"
    assert meaning("--lr".lstrip("-"), known) == "optimizer.lr"
    assert meaning("nonsense", known) is None
    assert meaning("find_lr", known) == "zoo lr-find"


@pytest.mark.parametrize("modality", registry.list_modalities())
def test_signature_augmentation_read_from_source_as_by_inspect(modality):
    cls = registry.get_modality(modality).augmentation
    known = signatures.defaults(signatures.declared(cls)) if cls is not None else {}
    assert signatures.defaults(signatures.augment_options(modality)) == known


def test_meanings_lead_to_existing_options():
    known = {"out", "count", "length", "temperature", "label", "top_k", "top", "metric", "over", "seconds", "minutes"}
    known |= {"zoo lr-find", *groups.GROUPS}
    for optimizer in ("sgd", "adamw", "rmsprop"):
        known |= set(configs.option_keys(["model=cnn", f"optimizer={optimizer}"]))
    known |= {f"model.{option}" for model in zoo.list_models() for option in signatures.model_options(model)}
    known |= {f"data.{option}" for data in zoo.list_data() for option in signatures.data_options(data)}
    known |= {
        f"data.augment.{o}" for modality in registry.list_modalities() for o in signatures.augment_options(modality)
    }
    assert {option for options in meanings().values() for option in options} <= known


@pytest.mark.parametrize("path", sorted((ROOT / "conf" / "recipe").glob("*.yaml")), ids=lambda path: path.stem)
def test_recipe_sets_only_options_that_exist(path):
    model, _, data = path.stem.partition("-")
    recipe = OmegaConf.to_container(OmegaConf.load(path))
    model_options = set(registry.signature(registry.get(groups.recipe_class(model))))
    data_options = {*registry.signature(registry.data_entry(data).load), "batch_size", "augment", "normal_classes"}
    assert set(recipe.get("model", {})) <= model_options
    assert set(recipe.get("data", {})) <= data_options


def test_augmentation_is_switched_off_by_null_and_not_by_an_empty_mapping():
    pair = ["model=cnn", "data=digits"]
    assert configs.compose([*pair, "data.augment=null"]).data.augment is None
    assert (
        configs.compose([*pair, "data.augment={degrees:0}"]).data.augment.translate
        == configs.compose(pair).data.augment.translate
    )
    with pytest.raises(zoo.ZooError, match=r"pass data\.augment=null to switch it off"):
        configs.compose([*pair, "data.augment={}"])
