"""What no network is needed for: the figures that stand beside every result."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array

from zoo.data.dataset import Dataset, Split, Values, Windows
from zoo.data.loader import EvalLoader
from zoo.objectives import Forecasting, objective_of
from zoo.spec import PADDING, DataSpec

ROWS = 5000  # training rows that the linear baseline sees at most, so that it takes seconds

Figures = dict[str, float]


def baselines(dataset: Dataset) -> dict[str, Figures]:
    """Return test figures of the constant answer and of a linear model on the same inputs.

    Classification: of ``majority`` and of ``logistic regression`` (of texts: on which words are in them); regression:
    of ``mean`` and of ``linear regression``; a language: of single symbols' frequencies and of a ``5-gram``; forecasts:
    ``repeat last`` and, where a season is known, ``seasonal naive``. The figures are those of the objective, by the
    same names.
    """
    if dataset.spec.task in ("language_modeling", "forecasting"):
        return _language(dataset) if dataset.spec.task == "language_modeling" else _naive(dataset)
    y, test_y = (np.asarray(split["y"]) for split in (dataset.train, dataset.test))
    pick = np.random.default_rng(0).permutation(len(y))[:ROWS]
    x, test_x = _flat(dataset.train["x"], pick), _flat(dataset.test["x"], np.arange(len(test_y)))
    if dataset.spec.kind == "text":
        x, test_x = (_bags(part, len(dataset.spec.vocabulary)) for part in (x, test_x))
    else:
        x, test_x = _prepared(dataset.spec, x, test_x)
    if dataset.spec.task == "classification":
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        linear = LogisticRegression(max_iter=200, tol=1e-2)
        model = OneVsRestClassifier(linear) if dataset.spec.multilabel else linear
        probability = model.fit(x, y[pick]).predict_proba(test_x)
        share = y.mean(0) if dataset.spec.multilabel else np.bincount(y, minlength=len(dataset.spec.classes)) / len(y)
        constant = np.broadcast_to(share, (len(test_y), len(share)))
        return {
            "majority": classification_figures(dataset.spec, constant, test_y),
            "logistic regression": classification_figures(dataset.spec, probability, test_y),
        }
    from sklearn.linear_model import Ridge

    return {
        "mean": regression_figures(np.full(len(test_y), y.mean()), test_y),
        "linear regression": regression_figures(Ridge().fit(x, y[pick]).predict(test_x), test_y),
    }


def classification_figures(spec: DataSpec, probability: np.ndarray, y: np.ndarray) -> Figures:
    """Return the figures of probabilities (N, K), by the names and in the sense of the objective."""
    from sklearn.metrics import accuracy_score, average_precision_score, balanced_accuracy_score, roc_auc_score

    if spec.multilabel:
        right = (probability > 0.5) == (y > 0.5)
        each = [right[:, k][y[:, k] == on].mean() for k in range(y.shape[1]) for on in (0, 1) if (y[:, k] == on).any()]
        accuracy, fair, truth, score = right.mean(), np.mean(each), y.astype(int), probability
    else:
        answer = probability.argmax(1)
        accuracy, fair = accuracy_score(y, answer), balanced_accuracy_score(y, answer)
        two = len(spec.classes) == 2
        truth = (y == spec.positive).astype(int) if two else np.eye(len(spec.classes), dtype=int)[y]
        score = probability[:, spec.positive] if two else probability
    ranked = {"auroc": roc_auc_score, "average_precision": average_precision_score}
    both = truth.min(0) != truth.max(0)  # a class that is not in test has neither figure
    if np.ndim(both):
        truth, score = truth[:, both], score[:, both]
    found = {name: float(figure(truth, score)) for name, figure in ranked.items() if np.any(both)}
    return {"accuracy": float(accuracy), "balanced_accuracy": float(fair), **found}


def regression_figures(value: np.ndarray, y: np.ndarray) -> Figures:
    """Return RMSE, MAE and R² of predicted values, in original units."""
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    rmse, mae, r2 = (f(y, value) for f in (root_mean_squared_error, mean_absolute_error, r2_score))
    return {"rmse": float(rmse), "mae": float(mae), "r2": float(r2)}


def _prepared(spec: DataSpec, x: np.ndarray, test_x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs of a linear model: numbers standardised, texts as one column each."""
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    text = [n for n, levels in enumerate(spec.levels) if levels]
    number = [n for n in range(x.shape[1]) if n not in set(text)]
    scale = StandardScaler().fit(x[:, number])
    parts = [[scale.transform(part[:, number])] for part in (x, test_x)]
    if text:
        coded = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(x[:, text])
        for made, part in zip(parts, (x, test_x), strict=True):
            made.append(coded.transform(part[:, text]))
    return np.concatenate(parts[0], axis=1), np.concatenate(parts[1], axis=1)


def _bags(x: np.ndarray, symbols: int) -> csr_array:
    """Return which symbols are in each text (N, symbols), as 0 and 1."""
    rows, _ = np.nonzero(x)
    coded = csr_array((np.ones(len(rows)), (rows, x[x > 0].astype(np.int64))), shape=(len(x), symbols))
    return coded.sign()


def _naive(dataset: Dataset) -> dict[str, Figures]:
    """Return figures of forecasts that say what was: at the last step, a season before."""
    spec = dataset.spec
    names = {"repeat last": 1, **({"seasonal naive": spec.season} if 1 < spec.season <= spec.input_shape[0] else {})}
    objective = objective_of(spec)
    assert isinstance(objective, Forecasting)
    found = {}
    for name, period in names.items():
        metrics = objective.metrics("test")
        at = torch.arange(spec.target_shape[0]) % period - period  # from the end
        for batch in EvalLoader(dataset.test):
            objective.update(metrics, objective.standard(batch["x"][:, at][:, :, list(spec.targets)]), batch)
        found[name] = {key: float(value) for key, value in metrics.compute().items()}
    return found


def _language(dataset: Dataset) -> dict[str, Figures]:
    """Return nats of a test symbol by the training text's frequencies, alone and after the four symbols before it."""
    train, test = (symbols_of(split) for split in (dataset.train, dataset.test))
    test = test[test != PADDING]
    found = {}
    for name, order in (("frequencies", 1), ("5-gram", 5)):
        nll = float(-np.log(ngram(train, test, order, len(dataset.spec.vocabulary))[1:]).mean())
        found[name] = {"nll": nll, "perplexity": float(np.exp(nll))}
        if dataset.spec.tokens == "characters":
            found[name]["bits_per_character"] = nll / float(np.log(2))
    return found


def symbols_of(split: Split) -> np.ndarray:
    """Return the whole text of a split (N,)."""
    x = split["x"]
    assert isinstance(x, Windows)
    return x.base.numpy().astype(np.int64)


def ngram(train: np.ndarray, test: np.ndarray, order: int, symbols: int) -> np.ndarray:
    """Return the probability of each test symbol after the ``order`` - 1 before it, backing off to fewer.

    Witten & Bell 1991: p(w | h) = (c(h w) + t(h) · p(w | h')) / (c(h) + t(h)), c being counts in training, t(h) how
    many different symbols were seen after h, and h' being h without its first symbol.
    """
    p = np.full(len(test), 1 / symbols)
    for size in range(1, order + 1):  # of h w
        if len(test) < size:
            break
        seen, asked = (_stretches(part, size) for part in (train, test))
        grams, code = np.unique(np.concatenate([seen, asked]), axis=0, return_inverse=True)
        contexts, context_of = np.unique(grams[:, :-1], axis=0, return_inverse=True)
        code, context_of = code.reshape(-1), context_of.reshape(-1)
        count = np.bincount(code[: len(seen)], minlength=len(grams))
        total = np.bincount(context_of, weights=count, minlength=len(contexts))
        kinds = np.bincount(context_of, weights=count > 0, minlength=len(contexts))
        mine = code[len(seen) :]
        c, n, t = count[mine], total[context_of[mine]], kinds[context_of[mine]]
        lower = p[size - 1 :]
        p[size - 1 :] = np.where(n > 0, (c + t * lower) / np.maximum(n + t, 1), lower)
    return p


def _stretches(symbols: np.ndarray, size: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(symbols, size)


def _flat(x: Values, index: np.ndarray) -> np.ndarray:
    picked = x.index_select(0, torch.from_numpy(index))
    return picked.numpy().astype(np.float32).reshape(len(index), -1)
