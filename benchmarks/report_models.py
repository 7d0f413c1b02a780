"""The generated parts of model pages: tasks, modalities and recipes, and the table of hyperparameters."""

from __future__ import annotations

from zoo import registry
from zoo.config.groups import files, recipe_class
from zoo.config.help import value_text
from zoo.config.signatures import model_options as options_of


def model_support(name: str) -> str:
    """Return the tasks and modalities of a registered model, and the recipes that configure it."""
    entry = registry.entry(name)
    spaces = f" with {' or '.join(entry.action_spaces)} actions" if entry.action_spaces else ""
    recipes = [recipe for recipe in files("model") if recipe_class(recipe) == name]
    return (
        f"Tasks: {', '.join(task.replace('_', ' ') for task in entry.tasks)}. "
        f"Modalities: {', '.join(entry.modalities)}{spaces}. Recipes: {', '.join(f'`{r}`' for r in recipes)}."
    )


def support_table() -> str:
    """Return the table of registered models by the tasks and modalities that they support."""
    lines = ["| model | tasks | modalities |", "|---|---|---|"]
    for name in registry.list_models():
        entry = registry.entry(name)
        if entry.module.startswith("zoo."):
            tasks = ", ".join(task.replace("_", " ") for task in entry.tasks)
            lines.append(f"| [{name}]({name}.md) | {tasks} | {', '.join(entry.modalities)} |")
    return "\n".join(lines)


def model_options(name: str) -> str:
    """Return the table of a model's options with the defaults of its constructor."""
    lines = ["| option | default | description |", "|---|---|---|"]
    for key, option in options_of(name).items():
        default = option.default
        text = value_text(list(default) if isinstance(default, tuple) else default)
        lines.append(f"| `model.{key}` | `{text}` | {' '.join(option.description.split())} |".replace("``", "`"))
    return "\n".join(lines)
