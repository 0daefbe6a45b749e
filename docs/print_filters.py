"""Write the reference of the filters into docs/filters.md, from the registry.

``python docs/print_filters.py`` rewrites the part between the two markers; with ``--check`` it
only says whether the page is up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from impasto.filters import markdown

PAGE = Path(__file__).parent / "filters.md"
BEGIN, END = "<!-- printed by docs/print_filters.py: begin -->", "<!-- end -->"


def rewritten(page: str) -> str:
    """The page with the part between the markers printed again."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{markdown()}\n{END}{tail}"


def main() -> int:
    """Rewrite, or check."""
    page = PAGE.read_text(encoding="utf-8")
    fresh = rewritten(page)
    if "--check" in sys.argv:
        print("up to date" if fresh == page else "run python docs/print_filters.py")
        return int(fresh != page)
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
