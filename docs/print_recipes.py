"""Prints the tables in ``docs/recipes.md`` from the data: ``python docs/print_recipes.py``.

The text between the two markers is replaced; a test checks that it is current.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from impasto.recipes import ONE_PASS, RECIPES, OnePass, OptimizerSpec, Recipe, TermSpec, leaves

PAGE = Path(__file__).with_name("recipes.md")
BEGIN = "<!-- printed by docs/print_recipes.py: do not edit from here -->"
END = "<!-- to here -->"
#: Fields of the optimiser that count, by its name.
COUNTS = {
    "adam": ("lr", "betas", "eps", "eps_hat", "scaled", "average", "decay"),
    "lbfgs": ("lr", "history", "first"),
    "rmsprop": ("lr", "betas", "eps", "scaled"),
    "sgd": ("lr", "scaled"),
}
#: Fields whose default need not be shown.
QUIET = {"mean", "twins", "normalize_gradients", "pixels", "margin", "padding"}


def reference() -> str:
    """All recipes: a table of them, then each with its numbers and their sources."""
    every = (*RECIPES, *ONE_PASS)
    rows = [f"| [`{name}`](#{name}) | {cell(recipe.summary)} |" for name, recipe in every]
    head = ["| recipe | what it is |", "|---|---|", *rows]
    parts = [section(recipe) for _, recipe in RECIPES]
    parts += [one_pass(method) for _, method in ONE_PASS]
    return "\n\n".join(["\n".join(head), *parts])


def one_pass(method: OnePass) -> str:
    """A method without optimisation."""
    rows = []
    for quality, passes in method.passes.items():
        for part in passes:
            levels = "; ".join(
                f"{v.layer} {v.method}"
                + (f" x {shown(v.strength)}" if v.strength < 1 else "")
                + (f" (ridge {shown(v.ridge)})" if v.ridge else "")
                + (f", decoder {v.decoder}" if v.decoder != "decoder" else "")
                for v in part.levels
            )
            rows.append(f"| {quality} | {shown(part.size)} | {levels} | {shown(part.detail)} |")
    head = ["| quality | size | levels | detail |", "|---|---|---|---|"]
    parts = [f"## {method.name}\n\n{method.summary}\n\nSource: {method.paper}. One pass; see "
             "[universal.md](universal.md)."]  # fmt: skip
    parts.append("\n".join([*head, *rows]))
    if method.smooth is not None:
        radius, epsilon = shown(method.smooth.radius), shown(method.smooth.epsilon)
        parts.append(
            f"Then a guided filter: radius {radius} of the longest side, epsilon {epsilon}."
        )
    if method.deviations:
        parts.append(f"**Deviations:** {method.deviations}")
    return "\n\n".join(parts)


def section(recipe: Recipe) -> str:
    """One recipe."""
    rows = [
        f"| `{field}` | {shown(value)} | {cell(recipe.source(field) or 'impasto')} |"
        for field, value in leaves(recipe).items()
        if counts(recipe, field, value)
    ]
    parts = [f"## {recipe.name}\n\n{recipe.summary}\n\nSource: {recipe.paper}."]
    parts.append("\n".join(["| number | value | source |", "|---|---|---|", *rows]))
    if recipe.stand_in is not None:
        lines = [f"- {term_text(term)}" for term in recipe.stand_in.terms]
        if recipe.stand_in.optimizer is not None:
            lines.append(f"- optimizer: {optimizer_text(recipe.stand_in.optimizer)}")
        if recipe.stand_in.pooling is not None:
            lines.append(f"- pooling: {recipe.stand_in.pooling}")
        parts.append("On other networks (by eye):\n\n" + "\n".join(lines))
        parts += [recipe.stand_in.reason] if recipe.stand_in.reason else []
    if recipe.deviations:
        parts.append(f"**Deviations:** {recipe.deviations}")
    return "\n\n".join(parts)


def counts(recipe: Recipe, field: str, value: Any) -> bool:
    """Whether a number plays a part in the method."""
    first, _, rest = field.partition(".")
    if field == "optimizer.first" and not value:
        return False
    if first == "optimizer":
        return rest == "name" or rest in COUNTS[recipe.optimizer.name]
    if field in ("schedule.count", "schedule.detail") or first in QUIET or rest.endswith(".source"):
        return value not in (0, (), None, False, "plain", "zeros")
    if field == "schedule.carried":
        return not value
    if field in ("schedule.first", "schedule.final_lr") or rest.endswith(".scaling"):
        return bool(value != 1)
    if first == "schedule" and recipe.schedule.ratio == 1:
        return rest != "smallest"
    return value not in ((), None)


def term_text(term: TermSpec) -> str:
    """A term in one line."""
    words = [f"{k} {shown(v)}" for k, v in term.options.items()]
    places = ", ".join(term.layers)
    shares = f", layer weights {shown(term.layer_weights)}" if term.layer_weights else ""
    options = f" ({', '.join(words)})" if words else ""
    return f"{term.name}: `{term.loss}`{options} at {places}, weight {shown(term.weight)}{shares}"


def optimizer_text(optimizer: OptimizerSpec) -> str:
    """An optimiser in one line."""
    names = (f for f in COUNTS[optimizer.name] if f != "first" or optimizer.first)
    fields = (f"{f} {shown(getattr(optimizer, f))}" for f in names)
    return f"{optimizer.name}, {', '.join(fields)}"


def shown(value: Any) -> str:
    """A value for people: numbers to six digits."""
    if isinstance(value, list | tuple):
        return " ".join(shown(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else cell(str(value))


def cell(text: str) -> str:
    """Text that does not end a cell."""
    return text.replace("|", "\\|")


def page() -> str:
    """The whole page with fresh tables."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
