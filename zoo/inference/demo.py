"""A Gradio demo of a trained model: predict an image, a text or a CSV file, or generate samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zoo import registry
from zoo.data.inputs import encode, pieces
from zoo.exceptions import ZooError, install
from zoo.inference.loading import open_model, predictions_of
from zoo.utils.plotting import panel

try:
    import gradio as gr
except ImportError:
    raise ZooError(f"demo: gradio is not installed. Run: {install('demo')}") from None

ROWS = 1000  # rows of a CSV file shown on the page


def page(model: Any, *, title: str) -> Any:
    """Return the Gradio page of a model without launching it.

    Raises:
        ZooError: the demo does not support the model.
    """
    spec = model.spec
    form = _form(model)
    size = sum(parameter.numel() for parameter in model.parameters())
    with gr.Blocks(title=title, analytics_enabled=False) as blocks:
        task = spec.task.replace("_", " ")
        gr.Markdown(f"# {title}\n{model.name}, {task} of {spec.modality} data, {size:,} parameters")
        form(model)
    return blocks


def _form(model: Any) -> Callable[[Any], None]:
    """Return the function that builds the form for a model."""
    page = model.task.demo
    if page == "play":
        raise ZooError("demo: not available for a policy. Use zoo play.")
    if page == "generate":
        return _generation_form
    if model.spec.spatial and hasattr(model, "sample"):
        return _sampling_form
    forms = {"image_file": _image_form, "text_box": _text_form, "table_file": _table_form, "series_file": _series_form}
    return forms.get(registry.get_modality(model.spec.modality).widget, _file_form)


def _submit_button(
    inputs: Sequence[Any], outputs: Sequence[Any], answer: Callable[..., Any], name: str = "Predict"
) -> None:
    """Add a button that calls ``answer``; the page shows the message of a ZooError."""

    def safe(*values: Any) -> Any:
        try:
            return answer(*values)
        except ZooError as error:
            raise gr.Error(str(error)) from None

    gr.Button(name, variant="primary").click(safe, list(inputs), list(outputs), api_name="ask")


def _answer(model: Any) -> Any:
    """Return the output component for the prediction of one row: class probabilities or a number."""
    return gr.Label(label="prediction", num_top_classes=5) if model.spec.classes else gr.Number(label="prediction")


def _predict(model: Any, raw: Any) -> Any:
    one = predictions_of(model.spec, model.predict(raw))[0]
    return one.get("probability", one.get("value"))


def _image_form(model: Any) -> None:
    with gr.Row():
        image = gr.Image(type="filepath", image_mode=None, label="image")  # a path, so that reading equals training
        preview = gr.Image(label="model input", interactive=False)
        reconstructs = model.task.demo == "reconstruct"
        back = gr.Image(label="reconstruction", interactive=False) if reconstructs else _answer(model)

    def answer(raw_input: Any) -> Any:
        if raw_input is None:
            raise ZooError("Upload an image first.")
        x = encode(model.spec, raw_input)["x"]
        if model.task.demo == "reconstruct":
            return _picture(x[0]), _picture(model.predict(x)["reconstruction"][0])
        return _picture(x[0]), _predict(model, raw_input)

    _submit_button([image], [preview, back], answer)


def _picture(x: Any) -> np.ndarray:
    """Return an image (C, H, W) in [0, 1] as uint8 (H, W, 3), enlarged to about 256 pixels."""
    pixels = (255 * x.clamp(0, 1)).round().byte().cpu().numpy().transpose(1, 2, 0)
    pixels = pixels.repeat(3, 2) if pixels.shape[2] == 1 else pixels
    times = max(1, 256 // max(pixels.shape[:2]))
    return np.ascontiguousarray(pixels.repeat(times, 0).repeat(times, 1))


def _text_form(model: Any) -> None:
    with gr.Row():
        text = gr.Textbox(label="text", lines=4)
        back = _answer(model)
    _submit_button([text], [back], lambda raw_input: _predict(model, [raw_input]))


def _generation_form(model: Any) -> None:
    prompt = gr.Textbox(label="prompt")
    with gr.Row():
        length = gr.Slider(20, 1000, 200, step=10, label="length")
        temperature = gr.Slider(0.0, 1.5, 0.8, step=0.05, label="temperature")
        seed = gr.Number(0, precision=0, label="seed")
    written = gr.Textbox(label="generated text", lines=12)

    def answer(raw_input: str, many: int, heat: float, number: int) -> str:
        return str(model.generate(raw_input, length=int(many), temperature=heat, seed=int(number)))

    _submit_button([prompt, length, temperature, seed], [written], answer, "Generate")


def _sampling_form(model: Any) -> None:
    conditional = getattr(model, "num_classes", 0) > 0
    with gr.Row():
        count = gr.Slider(1, 64, 16, step=1, label="images")
        seed = gr.Number(0, precision=0, label="seed")
        label = gr.Dropdown(["any", *model.spec.classes], value="any", label="class", visible=conditional)
    gallery = gr.Gallery(label="samples", columns=8)

    def answer(many: int, number: int, chosen: str) -> list[np.ndarray]:
        options = {"label": chosen} if conditional and chosen != "any" else {}
        return [_picture(image) for image in model.sample(int(many), seed=int(number), **options)]

    _submit_button([count, seed, label], [gallery], answer, "Generate")


def _table_form(model: Any) -> None:
    columns = ", ".join(model.spec.columns) or f"column_1 to column_{model.spec.inputs}"
    file = gr.File(label=f"a CSV with the columns {columns}", file_types=[".csv", ".txt", ".tsv"])
    table, plot = gr.Dataframe(label=f"predictions (first {ROWS:,} rows)"), gr.Plot(label="distribution")

    def answer(place: str | None) -> Any:
        rows = [row for piece in _read(model, place, ROWS) for row in _rows(model, piece)]
        heads = ["line", "prediction", *(["probability"] if model.spec.classes else [])]
        return {"headers": heads, "data": rows[:ROWS]}, _bars([row[1] for row in rows[:ROWS]])

    _submit_button([file], [table, plot], answer)


def _rows(model: Any, piece: Any) -> list[list[Any]]:
    rows = []
    for name, one in zip(piece.names, predictions_of(model.spec, model.predict(piece.raw)), strict=True):
        confidence = one.get("probability", {}).get(one.get("label"))
        prediction = one.get("label", one.get("value", one.get("score", one.get("error"))))
        rows.append([name, prediction, *([round(confidence, 4)] if confidence is not None else [])])
    return rows


def _bars(answers: Sequence[Any]) -> Any:
    """Return a bar chart of predicted classes or a histogram of predicted values."""
    ax = panel(6, 2.8)
    if answers and isinstance(answers[0], str):
        names = sorted(set(answers))
        ax.bar(names, [answers.count(name) for name in names])
    else:
        ax.hist(answers, bins=30)
    return ax.figure


def _series_form(model: Any) -> None:
    file = gr.File(label=f"a CSV with times and {', '.join(model.spec.columns)}", file_types=[".csv", ".txt", ".tsv"])
    plot, table = gr.Plot(label="context and forecast"), gr.Dataframe(label="forecast")

    def answer(place: str | None) -> Any:
        (piece,) = _read(model, place)
        value = model.predict(piece.raw)["value"][0].numpy()
        names = [model.spec.columns[k] for k in model.spec.targets]
        rows = [[time, *(float(f"{one:.6g}") for one in row)] for time, row in zip(piece.times, value, strict=True)]
        return _future(model, piece.raw, value, names), {"headers": ["time", *names], "data": rows}

    _submit_button([file], [plot, table], answer)


def _future(model: Any, past: np.ndarray, value: np.ndarray, names: Sequence[str]) -> Any:
    ax = panel(8, 3.2)
    for place, name in enumerate(names):
        column = model.spec.targets[place]
        (line,) = ax.plot(range(-len(past) + 1, 1), past[:, column], label=name, linewidth=1.2)
        ahead = [past[-1, column], *value[:, place]]
        ax.plot(range(len(ahead)), ahead, linestyle="--", color=line.get_color())
    ax.axvline(0, color="#999999", linewidth=0.8)
    ax.legend(frameon=False, fontsize=8)
    return ax.figure


def _read(model: Any, place: str | None, most: int = 1) -> list[Any]:
    """Return the contents of an uploaded file in pieces, up to at least ``most`` rows.

    Raises:
        ZooError: no file was uploaded, or it cannot be read.
    """
    if place is None:
        raise ZooError("Upload a file first.")
    read: list[Any] = []
    for piece in pieces(model.spec, [place]):
        if piece.wrong:
            raise ZooError(piece.wrong)
        read.append(piece)
        if sum(len(one.names) for one in read) >= most:
            break
    return read


def _file_form(model: Any) -> None:
    with gr.Row():
        file = gr.File(label=registry.get_modality(model.spec.modality).file_label(model.spec))
        back = _answer(model)

    def answer(place: str | None) -> Any:
        return _predict(model, _read(model, place)[0].raw)

    _submit_button([file], [back], answer)


def demo(place: str, *, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Serve the demo page of a checkpoint, a run's folder or pretrained weights until the process ends."""
    model, _ = open_model(place)
    page(model, title=place).launch(server_name=host, server_port=port, share=False, quiet=True)
