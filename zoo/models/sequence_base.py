"""What models of sequences share beside networks: states carried along a text, writing text, a look at gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.config.schema import check_number
from zoo.data.dataset import Batch, Dataset
from zoo.data.spec import UNKNOWN
from zoo.data.text.tokens import SPECIAL, checked, join
from zoo.exceptions import ZooError
from zoo.models.base import ZooModule
from zoo.utils.eval_mode import eval_mode


class SequenceModule(ZooModule):
    """A model of images read as sequences, of sequences, texts and time series.

    Its ``network`` maps (x, lengths) to the objective's output by a ``core``, and ``read(x, lengths)`` is what that is
    given. As a language model it has ``continued(x, state)`` too, which returns logits (B, T, V) and the state that the
    next window of the same texts goes on from; None begins. Training goes on from it where the class ``stateful``
    (truncated backpropagation through time: the state's gradient ends at the window), validation and test always.
    """

    tasks = ("classification", "regression", "language_modeling", "forecasting")
    modalities = ("image", "sequence", "text", "series")
    network: Any
    trained_from: Any = None  # the state that the next training window goes on from
    evaluated_from: Any = None

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, classes) or (B, T, symbols), standardised answers (B, 1), or a future (B, H, columns)."""
        out: Tensor = self.network(self.normalize(x), lengths)
        return out

    @property
    def writes(self) -> bool:
        """Tell whether this is a language model."""
        return self.spec.target_type == "next_symbol"

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return a batch's mean loss, of a text in turn with the state that the last window left, and sums over it."""
        if not (self.writes and self.stateful):
            return super().compute_loss(batch)
        state = self.trained_from
        if state is not None and _rows(state) != len(batch["x"]):
            state = None
        output, state = self.network.continued(batch["x"], state)
        self.trained_from = _detached(state)
        return self.task.loss(output, batch), self.task.batch_statistics(output.detach(), batch)

    def begin_evaluation(self, stage: str) -> None:
        """Begin with no state."""
        self.evaluated_from = None

    def eval_step(self, batch: Batch) -> Tensor:
        """Return the output, of a text with the state that the batch before left."""
        if not self.writes:
            return self.output(batch)
        output, self.evaluated_from = self.network.continued(batch["x"], self.evaluated_from)
        return output

    def training_state(self) -> dict[str, Any]:
        """Return what training goes on from, the carried state among it."""
        return {**super().training_state(), "carried": self.trained_from}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Take up what ``training_state`` returned."""
        super().load_training_state(state)
        self.trained_from = _moved(state["carried"], self.device)

    @torch.no_grad()
    def generate(
        self, prompt: str = "", *, length: int = 200, temperature: float = 1.0, top_k: int | None = None, seed: int = 0
    ) -> str:
        """Return ``prompt`` and ``length`` more symbols, each drawn from what the model expects after all before it.

        ``temperature`` below 1 keeps to the likelier ones, 0 takes the likeliest; ``top_k`` leaves so many to choose.

        Raises:
            ZooError: not a language model, a symbol that it does not know, an option outside its limits.
        """
        if not self.writes:
            raise ZooError(f"{self.name}: was trained for {self.spec.task} and writes no text")
        check_number("length", length, low=0, integer=True)
        check_number("temperature", temperature, low=0)
        check_number("top_k", top_k, low=1, integer=True, optional=True)
        check_number("seed", seed, low=0, integer=True)
        vocabulary = self.spec.vocabulary
        begin = prompt or ("\n" if "\n" in vocabulary else vocabulary[len(SPECIAL)])
        drawn = torch.from_numpy(checked(begin, self.spec.tokenizer, vocabulary)).long().tolist()
        if not drawn:
            raise ZooError(f"prompt: {prompt!r} holds no {self.spec.tokenizer}")
        given = len(drawn)
        generator = torch.Generator().manual_seed(seed)
        x, state = torch.tensor([drawn], device=self.device), None
        with eval_mode(self):
            for _ in range(length):
                logits, state = self.network.continued(x, state)
                drawn.append(_draw(logits[0, -1].float().cpu(), temperature, top_k, generator))
                x = torch.tensor([[drawn[-1]]], device=self.device)
        written = join((vocabulary[n] for n in drawn[given:]), self.spec.tokenizer)
        if not prompt:
            return written
        glue = " " if self.spec.tokenizer == "words" and written[:1].isalnum() else ""
        return prompt + glue + written

    def visualizations(self, batch: Batch, dataset: Dataset) -> dict[str, Tensor]:
        """Return the ``gradient`` (T,): how much the core's last output depends on what it reads at each step.

        That is the norm of ∂(v·h_T)/∂x_t for a random direction v, a mean over rows; t counts from the end where
        lengths differ.
        """
        x, lengths = (batch[key][:64].to(self.device) if key in batch else None for key in ("x", "lengths"))
        assert x is not None
        with eval_mode(self), torch.no_grad():
            read, lengths = self.network.read(self.normalize(x), lengths)
        with (
            eval_mode(self),
            torch.enable_grad(),
            torch.backends.cudnn.flags(enabled=False),
        ):  # which has no gradient in evaluation
            read = read.detach().requires_grad_()
            h, _ = self.network.core(read, lengths)
            last = (lengths if lengths is not None else torch.full((len(h),), h.shape[1], device=h.device)) - 1
            end = h[torch.arange(len(h), device=h.device), last]
            direction = torch.randn(end.shape, generator=torch.Generator().manual_seed(0)).to(end.device)
            (gradient,) = torch.autograd.grad((end * direction).sum(), read)
        norm = gradient.float().norm(dim=2).cpu()  # (B, T)
        back = (last.cpu()[:, None] - torch.arange(norm.shape[1])).clamp(min=-1)  # steps before the end; -1: padding
        total = torch.zeros(norm.shape[1] + 1).index_add(0, back.flatten() + 1, norm.flatten())
        count = torch.zeros(norm.shape[1] + 1).index_add(0, back.flatten() + 1, torch.ones(norm.numel()))
        return {"gradient": (total / count.clamp(min=1))[1:].flip(0)}


def _draw(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> int:
    logits[: UNKNOWN + 1] = -torch.inf
    if temperature == 0:
        return int(logits.argmax())
    if top_k is not None and top_k < len(logits):
        logits = logits.masked_fill(logits < logits.topk(top_k).values[-1], -torch.inf)
    return int(torch.multinomial((logits / temperature).softmax(0), 1, generator=generator))


def _rows(state: Any) -> int:
    """Return the rows of a state: (layers, B, features) of recurrent networks."""
    while not isinstance(state, Tensor):
        state = state[0]
    return state.shape[1]


def _detached(state: Any) -> Any:
    return state.detach() if isinstance(state, Tensor) else [_detached(one) for one in state]


def _moved(state: Any, device: torch.device) -> Any:
    if state is None:
        return None
    return state.to(device) if isinstance(state, Tensor) else [_moved(one, device) for one in state]
