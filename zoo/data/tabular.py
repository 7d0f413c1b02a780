"""Ready-made tables, bundled with scikit-learn."""

from __future__ import annotations

import numpy as np
import torch

from zoo.data.dataset import Card, Dataset, fold_split, rows
from zoo.registry import register_data
from zoo.spec import DataSpec

CANCER = Card(
    source="https://archive.ics.uci.edu/dataset/17, as bundled with scikit-learn",
    licence="CC BY 4.0",
    citation="Wolberg, Mangasarian, Street, Street: Breast Cancer Wisconsin (Diagnostic), UCI, 1995",
)
WINE = Card(
    source="https://archive.ics.uci.edu/dataset/109, as bundled with scikit-learn",
    licence="CC BY 4.0",
    citation="Aeberhard, Forina: Wine, UCI Machine Learning Repository, 1991",
)
DIABETES = Card(
    source="https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html, as bundled with scikit-learn",
    licence="none stated",
    citation="Efron, Hastie, Johnstone, Tibshirani: Least Angle Regression, Annals of Statistics, 2004",
)


def table(
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    *,
    columns: tuple[str, ...],
    classes: tuple[str, ...],
    folds: int,
    fold: int,
    split_seed: int,
    card: Card | None = None,
) -> Dataset:
    """Return a table ``x`` (N, columns) as a Dataset: classification where there are ``classes``, else regression.

    Mean and deviation are those of the training rows; a constant column has deviation 1.
    """
    train, val, test = fold_split(y, stratify=bool(classes), folds=folds, fold=fold, split_seed=split_seed)
    values = torch.as_tensor(np.asarray(x, dtype=np.float32))
    target = torch.as_tensor(y.astype(np.int64 if classes else np.float32))
    std = np.asarray(x, dtype=np.float64)[train].std(axis=0)
    spec = DataSpec(
        name=name,
        kind="table",
        task="classification" if classes else "regression",
        input_shape=(x.shape[1],),
        classes=classes,
        mean=tuple(np.asarray(x, dtype=np.float64)[train].mean(axis=0).tolist()),
        std=tuple(np.where(std > 0, std, 1.0).tolist()),
        target_mean=0.0 if classes else float(y[train].mean()),
        target_std=1.0 if classes else float(y[train].std()) or 1.0,
        columns=columns,
    )
    return Dataset(spec, rows(values, target, train), rows(values, target, val), rows(values, target, test), card)


@register_data("breast_cancer", tasks=("classification",), kind="table")
def breast_cancer(*, folds: int = 5, fold: int = 0, split_seed: int = 0) -> Dataset:
    """Return 569 biopsies, 30 measures each: malignant or benign."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    columns, classes = tuple(map(str, bunch.feature_names)), tuple(map(str, bunch.target_names))
    cut = {"folds": folds, "fold": fold, "split_seed": split_seed}
    return table("breast_cancer", bunch.data, bunch.target, columns=columns, classes=classes, card=CANCER, **cut)


@register_data("wine", tasks=("classification",), kind="table")
def wine(*, folds: int = 5, fold: int = 0, split_seed: int = 0) -> Dataset:
    """Return 178 wines, 13 chemical measures each, from three growers."""
    from sklearn.datasets import load_wine

    bunch = load_wine()
    columns, classes = tuple(bunch.feature_names), tuple(map(str, bunch.target_names))
    cut = {"folds": folds, "fold": fold, "split_seed": split_seed}
    return table("wine", bunch.data, bunch.target, columns=columns, classes=classes, card=WINE, **cut)


@register_data("diabetes", tasks=("regression",), kind="table")
def diabetes(*, folds: int = 5, fold: int = 0, split_seed: int = 0) -> Dataset:
    """Return 442 patients, 10 measures each in their own units; target: progression of the disease after a year."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    cut = {"folds": folds, "fold": fold, "split_seed": split_seed}
    return table(
        "diabetes",
        bunch.data,
        bunch.target,
        columns=tuple(bunch.feature_names),
        classes=(),
        card=DIABETES,
        **cut,
    )
