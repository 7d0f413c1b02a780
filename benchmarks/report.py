"""Render the tables of README and docs from ``benchmarks/results/``: ``python -m benchmarks.report [check]``."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.report_comparisons import families_table, samples_table
from benchmarks.report_costs import inference_table, scaling_table, speed_table, training_table
from benchmarks.report_deployment import serving_table, use_cases_table, user_files_table
from benchmarks.report_models import model_options, model_support, support_table
from benchmarks.report_reliability import conformance_table, files_table
from benchmarks.report_results import model_results, models_table, readme_table, variants_table
from benchmarks.report_third_party import third_party_rl_table, third_party_table

ROOT = Path(__file__).resolve().parent.parent
TABLES: dict[str, Callable[..., str]] = {
    "readme": readme_table,
    "support": support_table,
    "samples": samples_table,
    "families": families_table,
    "models": models_table,
    "variants": variants_table,
    "third_party": third_party_table,
    "third_party_rl": third_party_rl_table,
    "speed": speed_table,
    "training": training_table,
    "inference": inference_table,
    "scaling": scaling_table,
    "conformance": conformance_table,
    "files": files_table,
    "use_cases": use_cases_table,
    "user_files": user_files_table,
    "serving": serving_table,
}
OF_MODELS = {"support": model_support, "results": model_results, "options": model_options}
MARK = re.compile(r"(<!-- table:(\w+)(?:/(\w+))? -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """Return the README and the pages of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def render(text: str) -> str:
    """Return ``text`` with each table between its marks generated anew."""
    return MARK.sub(lambda m: f"{m[1]}{OF_MODELS[m[2]](m[3]) if m[3] else TABLES[m[2]]()}\n{m[5]}", text)


def main(args: list[str]) -> int:
    """Write the tables of all pages; with ``check``, return 1 where one differs from the results."""
    stale = []
    for page in pages():
        old = page.read_text()
        new = render(old)
        if old != new:
            stale.append(str(page.relative_to(ROOT)))
            if args != ["check"]:
                page.write_text(new)
    if args == ["check"]:
        print(
            f"stale tables in {', '.join(stale)}: python -m benchmarks.report" if stale else "tables agree with results"
        )
        return bool(stale)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
