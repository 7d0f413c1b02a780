"""The base of sequence models and of rnn, lstm and gru: stateful training, text generation, input gradients by step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, cast

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn

from zoo.config.schema import Count, Flag, Share, check_number, one_of
from zoo.data.dataset import Batch, Dataset
from zoo.data.image.spec import DIGITS
from zoo.data.series.spec import SeriesSpec
from zoo.data.spec import UNKNOWN, DataSpec
from zoo.data.text.spec import TextSpec
from zoo.data.text.tokenizer import SPECIAL, detokenize, encode_prompt
from zoo.exceptions import ZooError
from zoo.layers.recurrent import RecurrentLayers, State
from zoo.layers.sequence import (
    ForecasterHead,
    LanguageModelHead,
    SequenceClassifier,
    SeriesPatches,
    TokenEmbedding,
    VariationalDropout,
)
from zoo.models.base import ZooModule
from zoo.utils.eval_mode import eval_mode

FORECAST_STRATEGIES = ("direct", "recursive")


class SequenceModule(ZooModule):
    """The base of models of sequences, texts, time series, and images read as sequences.

    The ``network`` maps (x, lengths) to the task's output. Its ``core`` maps vectors (B, T, C), and lengths, to outputs
    (B, T, features) and a state. The network of a language model has ``forward_with_state(x, state)``. It returns
    logits (B, T, V) and the state for the next window of the same texts; a state of None starts new texts. Validation
    and test pass the state from window to window. Training does so if the class is ``stateful``: this is truncated
    backpropagation through time, in which gradients end at the window.
    """

    tasks = ("classification", "regression", "language_modeling", "forecasting")
    modalities = ("image", "sequence", "text", "series")
    network: Any
    training_attributes = ("train_state",)
    train_state: Any = None  # initial hidden state of the next training window
    eval_state: Any = None

    def build_patches(self) -> SeriesPatches:
        """Return the patch layer for a time series, by the model's options."""
        options = {name: self.hparams[name] for name in ("patch_len", "instance_norm", "channel_independence")}
        return SeriesPatches(cast(SeriesSpec, self.spec), **options)

    def build_classifier(
        self, core: Callable[[int, int], Any], embedding_dim: int, input_dropout: nn.Module
    ) -> SequenceClassifier:
        """Return the network for classification and regression around a core."""
        options = {name: self.hparams[name] for name in ("sequence_order", "dropout", "pooling", "patch_len")}
        return SequenceClassifier(self.spec, core, embedding_dim=embedding_dim, input_dropout=input_dropout, **options)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, classes) or (B, T, V), standardized values (B, 1), or a forecast (B, H, columns)."""
        out: Tensor = self.network(self.normalize(x), lengths)
        return out

    @property
    def is_language_model(self) -> bool:
        """Whether the model predicts the next token."""
        return self.spec.target_type == "next_symbol"

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return a batch's mean loss and statistics; a stateful language model continues from the last state."""
        if not (self.is_language_model and self.stateful):
            return super().compute_loss(batch)
        state = self.train_state
        if state is not None and _batch_size(state) != len(batch["x"]):
            state = None
        output, state = self.network.forward_with_state(batch["x"], state)
        self.train_state = apply_to_collection(state, Tensor, Tensor.detach)
        return self.task.loss(output, batch), self.task.batch_statistics(output.detach(), batch)

    def begin_evaluation(self, stage: str) -> None:
        """Reset the hidden state."""
        super().begin_evaluation(stage)
        self.eval_state = None

    def eval_step(self, batch: Batch) -> Tensor:
        """Return the output; a language model continues from the state of the previous batch."""
        if not self.is_language_model:
            return self.output(batch)
        output: Tensor
        output, self.eval_state = self.network.forward_with_state(batch["x"], self.eval_state)
        return output

    @torch.no_grad()
    def generate(
        self, prompt: str = "", *, length: int = 200, temperature: float = 1.0, top_k: int | None = None, seed: int = 0
    ) -> str:
        """Return ``prompt`` followed by ``length`` tokens, each sampled given the tokens before it.

        A ``temperature`` below 1 favors likely tokens, and 0 always takes the likeliest. With ``top_k``, only that many
        of the likeliest tokens can be sampled.

        Raises:
            ZooError: not a language model, a token outside its vocabulary, or an option outside its limits.
        """
        if not self.is_language_model:
            raise ZooError(f"{self.name}: was trained for {self.spec.task} and generates no text")
        check_number("length", length, low=0, integer=True)
        check_number("temperature", temperature, low=0)
        check_number("top_k", top_k, low=1, integer=True, optional=True)
        check_number("seed", seed, low=0, integer=True)
        spec = cast(TextSpec, self.spec)
        vocabulary = spec.vocabulary
        start = prompt or ("\n" if "\n" in vocabulary else vocabulary[len(SPECIAL)])
        prompt_tokens = torch.from_numpy(encode_prompt(start, spec.tokenizer, vocabulary)).long().tolist()
        if not prompt_tokens:
            raise ZooError(f"prompt: {prompt!r} holds no {spec.tokenizer}")
        generator, tokens = torch.Generator().manual_seed(seed), []
        x, state = torch.tensor([prompt_tokens], device=self.device), None
        with eval_mode(self):
            for _ in range(length):
                logits, state = self.network.forward_with_state(x, state)
                tokens.append(_sample_token(logits[0, -1].float().cpu(), temperature, top_k, generator))
                x = torch.tensor([tokens[-1:]], device=self.device)
        text = detokenize((vocabulary[token] for token in tokens), spec.tokenizer)
        if not prompt:
            return text
        separator = " " if spec.tokenizer == "words" and text[:1].isalnum() else ""
        return prompt + separator + text

    def visualizations(self, batch: Batch, dataset: Dataset) -> dict[str, Tensor]:
        """Return the ``gradient`` (T,): how much the core's last output depends on its input at each step.

        This is the norm of ∂(v·h_T)/∂x_t for a random direction v, averaged over rows. If lengths differ, t is counted
        from the end.
        """
        x, lengths = (batch[key][:64].to(self.device) if key in batch else None for key in ("x", "lengths"))
        assert x is not None
        calls: list[Any] = []
        hook = self.network.core.register_forward_pre_hook(lambda core, inputs: calls.append(inputs))
        with hook, eval_mode(self), torch.no_grad():
            self.network(self.normalize(x), lengths)
        core_input, lengths = (*calls[0], None)[:2]  # the inputs of the first call
        with (
            eval_mode(self),
            torch.enable_grad(),
            torch.backends.cudnn.flags(enabled=False),  # cuDNN has no gradient in evaluation mode
        ):
            core_input = core_input.detach().requires_grad_()
            h, _ = self.network.core(core_input, lengths)
            last = (lengths if lengths is not None else torch.full((len(h),), h.shape[1], device=h.device)) - 1
            h_last = h[torch.arange(len(h), device=h.device), last]
            direction = torch.randn(h_last.shape, generator=torch.Generator().manual_seed(0)).to(h_last.device)
            (gradient,) = torch.autograd.grad((h_last * direction).sum(), core_input)
        norm = gradient.float().norm(dim=2).cpu()  # (B, T)
        back = (last.cpu()[:, None] - torch.arange(norm.shape[1])).clamp(min=-1)  # steps before the last; -1: padding
        total = torch.zeros(norm.shape[1] + 1).index_add(0, back.flatten() + 1, norm.flatten())
        count = torch.zeros(norm.shape[1] + 1).index_add(0, back.flatten() + 1, torch.ones(norm.numel()))
        return {"gradient": (total / count.clamp(min=1))[1:].flip(0)}


def _sample_token(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> int:
    logits[: UNKNOWN + 1] = -torch.inf
    if temperature == 0:
        return int(logits.argmax())
    if top_k is not None and top_k < len(logits):
        logits = logits.masked_fill(logits < logits.topk(top_k).values[-1], -torch.inf)
    return int(torch.multinomial((logits / temperature).softmax(0), 1, generator=generator))


def _batch_size(state: Any) -> int:
    """Return the batch size of a recurrent state, whose tensors are (1, B, hidden)."""
    while not isinstance(state, Tensor):
        state = state[0]
    return state.shape[1]


class LanguageModel(nn.Module):
    """A language model: token embedding, the core, logits of the next token at each step.

    ``embedding_std`` is the standard deviation of the initial embedding; None: by its size.
    """

    def __init__(
        self,
        spec: DataSpec,
        core: Callable[[int, int], Any],
        *,
        embedding_dim: int,
        input_dropout: nn.Module,
        output_dropout: nn.Module,
        tie_embeddings: bool,
        embedding_std: float | None = None,
    ) -> None:
        super().__init__()
        self.embed = TokenEmbedding(spec.vocab_size, embedding_dim, steps=spec.input_shape[0], dropout=input_dropout)
        if embedding_std is not None:
            self.embed.initialize(embedding_std)
        self.core = core(self.embed.features, self.embed.steps)
        options: dict[str, Any] = {"tie_embeddings": tie_embeddings, "dropout": output_dropout}
        self.head = LanguageModelHead(self.core.features, self.embed, **options)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, T, V), starting from a state of zeros."""
        return self.forward_with_state(x, None)[0]

    def forward_with_state(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return logits (B, T, V) and the state after the last token."""
        h, state = self.core(self.embed(x), None, state)
        return self.head(h), state


# --- recurrent networks ---


class RecurrentForecaster(nn.Module):
    """A recurrent forecaster: the core reads patches of the context and predicts the patches that follow.

    ``direct`` predicts all patches at once. Each is one step of the core from that state, with a learned embedding of
    the patch's position and column as input (Lin 2023: SegRNN, parallel multi-step forecasting). Otherwise each
    predicted patch is the input of the next step.
    """

    def __init__(
        self,
        core: Callable[[int, int], RecurrentLayers],
        *,
        patches: SeriesPatches,
        size: int,
        direct: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.patches, self.direct = patches, direct
        predicts_all = patches.channel_independence or patches.targets == list(range(patches.columns))
        if not direct and not predicts_all:
            raise ZooError(
                "model.forecast_strategy=recursive: its predictions are its next inputs, so it must forecast all "
                "columns; set data.columns, or model.channel_independence=true"
            )
        self.embed = nn.Sequential(nn.Linear(patches.features, size), nn.ReLU())
        self.core = core(size, patches.steps)
        columns = patches.outputs if patches.channel_independence else 1
        if direct:
            self.pos_embed = nn.Parameter(torch.randn(patches.predicted_steps, size) * 0.1)
            self.column_embed = nn.Parameter(torch.randn(columns, size) * 0.1) if columns > 1 else None
        self.head = ForecasterHead(self.core.features, patches.predicted_features, dropout=dropout)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the standardized forecast (B, H, columns)."""
        h, state = self.core(self.embed(self.patches(x)))
        predicted = self._predict_direct(state, x.shape[0]) if self.direct else self._predict_recursively(h, state)
        return self.patches.unpatchify(predicted, x)

    def _predict_direct(self, state: State, batch_size: int) -> Tensor:
        steps, size = self.pos_embed.shape
        query = self.pos_embed if self.column_embed is None else self.pos_embed + self.column_embed[:, None]
        query = query.expand(batch_size, *query.shape).reshape(-1, 1, size)  # (B'·M, 1, size)
        h, _ = self.core(query, None, apply_to_collection(state, Tensor, Tensor.repeat_interleave, steps, 1))
        return torch.reshape(self.head(h), (-1, steps, self.patches.predicted_features))

    def _predict_recursively(self, h: Tensor, state: State) -> Tensor:
        predicted = [self.head(h[:, -1:])]
        while len(predicted) < self.patches.predicted_steps:
            h, state = self.core(self.embed(predicted[-1]), None, state)
            predicted.append(self.head(h))
        return torch.cat(predicted, 1)


class RecurrentModule(SequenceModule):
    """The base of rnn, lstm and gru: layers of one cell, dropout, and a network for each task.

    Args:
        hidden_size: size of the hidden state.
        num_layers: number of stacked recurrent layers.
        bidirectional: add layers that read the sequence backwards; for classification and regression only.
        dropout: dropout rate between layers and before the output.
        input_dropout: dropout rate on token embeddings.
        weight_dropout: dropout rate on recurrent weights (Merity 2018).
        variational_dropout: use one dropout mask for all steps of a sequence (Gal & Ghahramani 2016).
        sequence_order: order in which an image is read: rows, pixels, or permuted (pixels in a fixed random order).
        pooling: pooling over time for classification and regression: last, mean, max or attention.
        embedding_dim: size of token embeddings.
        tie_embeddings: share the weights of a language model's embedding with its output layer.
        patch_len: number of steps per patch, which the network reads as one step; not for language modeling.
        instance_norm: for time series, subtract each column's last value and add it to the forecast.
        channel_independence: for time series, read each column as a separate series.
        forecast_strategy: for time series, direct (all steps at once) or recursive (one patch after the other).

    Raises:
        ZooError: an option is outside its limits, or does not apply to the task.
    """

    stateful = True

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = DIGITS,
        hidden_size: Count = 128,
        num_layers: Count = 1,
        bidirectional: Flag = False,
        dropout: Share = 0.1,
        input_dropout: Share = 0.0,
        weight_dropout: Share = 0.0,
        variational_dropout: Flag = False,
        sequence_order: str = "rows",
        pooling: str = "last",
        embedding_dim: int = 64,
        tie_embeddings: Flag = False,
        patch_len: int = 1,
        instance_norm: Flag = True,
        channel_independence: Flag = True,
        forecast_strategy: Annotated[str, one_of(FORECAST_STRATEGIES)] = "direct",
    ) -> None:
        super().__init__(spec=spec)
        dropout_class = VariationalDropout if variational_dropout else nn.Dropout
        core = partial(
            RecurrentLayers,
            build_layer=partial(self.build_layer, hidden_size=hidden_size),
            num_layers=num_layers,
            bidirectional=bidirectional,
            build_dropout=partial(dropout_class, dropout),
            weight_dropout=weight_dropout,
        )
        target = self.spec.target_type
        if bidirectional and target in ("next_symbol", "future"):
            raise ZooError(
                f"model.bidirectional=true: does not apply to {self.spec.task}, which must not read the steps that it predicts"
            )
        self.network: nn.Module
        if target == "next_symbol":
            self.network = LanguageModel(
                self.spec,
                core,
                embedding_dim=embedding_dim,
                input_dropout=dropout_class(input_dropout),
                output_dropout=dropout_class(dropout),
                tie_embeddings=tie_embeddings,
            )
        elif target == "future":
            patches = self.build_patches()
            direct = forecast_strategy == "direct"
            self.network = RecurrentForecaster(core, patches=patches, size=hidden_size, direct=direct, dropout=dropout)
        else:
            self.network = self.build_classifier(core, embedding_dim, dropout_class(input_dropout))

    def build_layer(self, inputs: int, *, hidden_size: int) -> nn.RNNBase:
        """Return one layer in one direction, (B, T, inputs) to (B, T, hidden); ``hparams`` has its further options."""
        raise NotImplementedError
