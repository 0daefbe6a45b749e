"""A page on one layer that needs nothing but itself: HTML with all its pictures inside.

Nothing is loaded from anywhere: pictures are data, the style and the one script are in the page,
and a policy in its head forbids the browser everything else, any other script included. Whatever
comes from outside, names of files first of all, is escaped. Without the script the page still
shows everything but the photos at full size.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from urllib.parse import quote

from impasto import __version__
from impasto.inspecting.findings import LayerFindings, UnitFindings
from impasto.inspecting.sheet import number, percent, shown_name
from impasto.inspecting.tiles import TINY, Tile, decoded

_RULES = {"guided": "What counts", "deconv": "Deconvnet", "gradient": "Gradient"}
_LONG = {
    "guided": "guided backpropagation",
    "deconv": "a deconvnet",
    "gradient": "the plain gradient",
}


def page(found: LayerFindings, links: Mapping[str, str]) -> str:
    """The page.

    Args:
        found: What is shown.
        links: Layers and the names of their pages' files, this one among them.
    """
    style, script = asset("page.css"), asset("page.js")
    body = [_header(found, links), _controls(found), '<ol class="units" id="units">']
    body += [_unit(unit, found) for unit in found.units]
    body += ["</ol>", _footer(found), asset("viewer.html"), _data(found)]
    title = escape(f"{found.layer} of {found.backbone}")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{title}</title><style>{style}</style></head><body>",
            '<a class="skip" href="#units">Skip to the units</a>',
            *body,
            f"<script>{script}</script></body></html>",
            "",
        ]
    )


@cache
def asset(name: str) -> str:
    """A part of every page, from the package."""
    return files("impasto.inspecting").joinpath("data", name).read_text("utf-8")


def data_uri(webp: bytes) -> str:
    """A picture inside the page."""
    return "data:image/webp;base64," + base64.b64encode(webp).decode("ascii")


def _policy(style: str, script: str) -> str:
    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")

    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest(style)}'; "
        f"script-src 'sha256-{digest(script)}'; base-uri 'none'; form-action 'none'"
    )


def _header(found: LayerFindings, links: Mapping[str, str]) -> str:
    sees = (
        f"Each sees a square of {found.field} px"
        if found.field is not None
        else "Each sees the whole picture"
    )
    some = "all" if len(found.units) == found.channels else f"{len(found.units)}"
    return f"""<header>
<p class="net">{escape(found.backbone)}</p>
<h1>{escape(found.layer)}</h1>
<p class="lead">{some} of {found.channels} units and the photos that excite them most, out of
{found.photos}. {sees}, in photos whose longest side is {found.size} px.</p>
{_layers(found, links)}
{_warning(found)}
{asset("reading.html")}
</header>"""


def _layers(found: LayerFindings, links: Mapping[str, str]) -> str:
    if len(links) < 2:
        return ""
    items = []
    for layer, name in links.items():
        here = ' aria-current="page"' if layer == found.layer else ""
        items.append(f'<li><a href="{escape(quote(name))}"{here}>{escape(layer)}</a></li>')
    return f'<nav aria-label="Layers"><ul>{"".join(items)}</ul></nav>'


def _warning(found: LayerFindings) -> str:
    if found.complete:
        return ""
    return (
        f'<p class="warning" role="status">Stopped early, after looking at {found.photos} of '
        f"{found.files} photos. The same command with --resume goes on.</p>"
    )


def _controls(found: LayerFindings) -> str:
    return f"""<form class="controls" id="controls" hidden>
<label>Order <select id="order"><option value="unit">by number</option>
<option value="maximum">strongest first</option>
<option value="firing">rarest first</option>
<option value="own">your picture first</option></select></label>
<label>Unit <input id="find" inputmode="numeric" size="5" autocomplete="off"
placeholder="e.g. {found.units[0].channel if found.units else 0}"></label>
<div class="switch" role="group" aria-label="What is shown">
<button type="button" id="show-photos" aria-pressed="true">Photos</button>
<button type="button" id="show-signals" aria-pressed="false">{_RULES[found.rule]}</button></div>
<p id="count" role="status"></p></form>"""


def _unit(unit: UnitFindings, found: LayerFindings) -> str:
    own = 0.0 if unit.own is None else unit.own.value
    most = max(unit.maximum, own)
    share = max(0.0, own / most) if most > 0 else 0.0
    tiles = "".join(_tile(t, i, unit, found) for i, t in enumerate(unit.best, 1))
    best = f'<div class="best">{tiles}</div>' if tiles else '<p class="off">Never on.</p>'
    atlas = ""
    if unit.atlas:
        text = f"What unit {unit.channel} looks for, drawn by activation maximisation"
        atlas = f'<img class="atlas" alt="{text}" title="{text}" src="{data_uri(unit.atlas)}">'
    mine = (
        f"{_tile(unit.own, 0, unit, found)}<p>your picture<br><b>{number(own)}</b>"
        f'<br><meter min="0" max="1" value="{share:.3f}" aria-label="Share of the maximum">'
        f"{percent(share)}</meter></p>"
        if unit.own is not None
        else '<p class="off">your picture leaves it off</p>'
    )
    return f"""<li class="unit" id="u{unit.channel}" data-unit="{unit.channel}"
 data-maximum="{unit.maximum:.6g}" data-firing="{unit.firing:.6g}" data-own="{own:.6g}">
<h2><a href="#u{unit.channel}"><small>unit</small> {unit.channel}</a></h2>
<dl><div><dt>max</dt><dd>{number(unit.maximum)}</dd></div>
<div><dt>mean</dt><dd>{number(unit.mean)}</dd></div>
<div><dt>on in</dt><dd>{percent(unit.firing)}</dd></div></dl>
{best}<div class="own">{atlas}{mine}</div></li>"""


def _tile(tile: Tile, rank: int, unit: UnitFindings, found: LayerFindings) -> str:
    """A crop that opens the viewer; its signal waits beside it."""
    name = _name(tile, found)
    what = "your picture" if rank == 0 else f"photo {rank} of {len(unit.best)}"
    alt = escape(f"Unit {unit.channel}, {what}: {name}, activation {number(tile.value)}")
    width, height = decoded(tile.crop).size
    tiny = ' class="tiny"' if max(width, height) <= TINY else ""
    signal = ""
    if tile.signal:
        signal = f'<img class="signal" alt="" loading="lazy" src="{data_uri(tile.signal)}">'
    box = tile.box
    place = ",".join(
        f"{value:.5f}"
        for value in (
            box.left / tile.size[1],
            box.top / tile.size[0],
            box.width / tile.size[1],
            box.height / tile.size[0],
        )
    )
    return (
        f'<button type="button" class="tile" data-photo="{tile.photo}" data-box="{place}" '
        f'data-value="{number(tile.value)}" data-rank="{rank}">'
        f'<img{tiny} alt="{alt}" loading="lazy" src="{data_uri(tile.crop)}">{signal}</button>'
    )


def _name(tile: Tile, found: LayerFindings) -> str:
    return found.names.get(tile.photo) or shown_name(found.picture)


def _footer(found: LayerFindings) -> str:
    return f"<footer>{''.join(_facts(found))}<p>impasto {escape(__version__)}</p></footer>"


def _facts(found: LayerFindings) -> Iterator[str]:
    copies = f", {found.copies} of them copies of others" if found.copies else ""
    yield f"<p>{found.files} files{copies}.</p>"
    if found.skipped:
        items = "".join(
            f"<li><b>{escape(s.name)}</b> {escape(s.reason)}</li>" for s in found.skipped
        )
        count = len(found.skipped)
        yield f"<details><summary>{count} could not be used</summary><ul>{items}</ul></details>"


def _data(found: LayerFindings) -> str:
    """The whole photos and their names, for the viewer; each is in the page once."""
    photos = {
        str(i): {
            "name": found.names.get(i) or shown_name(found.picture),
            "src": data_uri(data),
            "ratio": round(decoded(data).width / decoded(data).height, 4),
        }
        for i, data in found.thumbs.items()
    }
    # "<" would let a name end the element; as an escape it is the same string.
    text = json.dumps({"photos": photos, "rule": _LONG[found.rule]}).replace("<", "\\u003c")
    return f'<script type="application/json" id="data">{text}</script>'
