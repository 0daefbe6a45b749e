"""Pages from specs, and requests checked by them: for whatever verbs there are."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

import pytest
from pydantic import Field

from impasto import jobs
from impasto.errors import InputError, UnknownName, UsageError
from impasto.recipes import ONE_PASS
from impasto.specs import Spec
from impasto.specs.base import FOLDER
from impasto.studio import catalogue, forms

ID, MODEL = str(uuid.uuid4()), str(uuid.uuid4())
KINDS = {
    *("picture", "pictures", "folder", "start", "model", "choice", "switch", "integer"),
    *("number", "numbers", "words", "settings", "text"),
}


def known(name: str) -> str | None:
    return {ID: "upload", MODEL: "model"}.get(name)


@pytest.mark.parametrize("verb", jobs.VERBS.names())
def test_every_verb_has_a_page(verb):
    form = forms.form(verb)
    model = jobs.spec_type(verb)
    assert [f.name for f in form.fields] == [n for n in model.model_fields if n not in forms.HIDDEN]
    assert form.help
    for field in form.fields:
        assert field.kind in KINDS
        assert field.help
        assert "see `impasto" not in field.help
        paintings = verb == "stylize" and field.name == "style"
        assert field.required == (paintings or model.model_fields[field.name].is_required())
    required = [f for f in form.fields if f.required]
    assert all(f.dial for f in required)
    assert form.view()["verb"] == verb


def test_the_kinds_of_the_main_verb():
    kinds = {f.name: f.kind for f in forms.form("stylize").fields}
    assert kinds["content"] == "picture"
    assert {kinds[n] for n in ("style", "mask", "style_mask")} == {"pictures"}
    assert kinds["keep"] == "picture"
    assert (kinds["init"], kinds["recipe"], kinds["before"]) == ("start", "text", "text")
    assert (kinds["colors"], kinds["alpha"], kinds["seed"]) == ("choice", "number", "integer")
    assert (kinds["style_scale"], kinds["style_layers"]) == ("numbers", "words")
    size = next(f for f in forms.form("stylize").fields if f.name == "size")
    assert (size.low, size.high, size.default) == (32, 16384, None)


class NewSpec(Spec):
    """A verb that nobody has told the studio of.

    More of it.
    """

    product: ClassVar[Any] = "model"

    exemplar: str = Field(description="A picture; - reads standard input.")
    photos: tuple[str, ...] = Field((), description="Folders of photos.")
    atlas: str | None = Field(None, description="A folder.", json_schema_extra=FOLDER)
    model: str | None = Field(None, description="A trained network; see `impasto train`.")
    layer: str = Field("relu4_1", description="Where.")
    rate: float = Field(0.5, gt=0, lt=2, description="How fast.")


@pytest.fixture
def new_verb():
    jobs.VERBS.add("new", (f"{__name__}:NewSpec", "nowhere:at_all"))
    forms.form.cache_clear()
    yield "new"
    del jobs.VERBS._items["new"]
    forms.form.cache_clear()


def test_a_new_verb_has_its_page_at_once(new_verb):
    form = forms.form(new_verb)
    assert (form.help, form.product) == ("A verb that nobody has told the studio of.", "model")
    kinds = {f.name: f.kind for f in form.fields}
    assert kinds == {
        "exemplar": "picture",
        "photos": "folder",
        "atlas": "folder",
        "model": "model",
        "layer": "text",
        "rate": "number",
    }
    rate = form.fields[-1]
    assert (rate.low, rate.above, rate.high) == (0, True, 2)
    assert form.fields[0].help == "A picture."
    assert form.fields[3].help == "A trained network."
    request = {"exemplar": ID, "photos": [ID], "atlas": [ID], "model": MODEL}
    assert forms.checked(new_verb, request, known) == (request, [ID, MODEL])


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"exemplar": MODEL}, InputError),
        ({"exemplar": ID, "model": ID}, InputError),
        ({"exemplar": str(uuid.uuid4())}, InputError),
        ({"exemplar": "photo.png"}, UsageError),
        ({"exemplar": ID, "photos": ["/home"]}, UsageError),
        ({"exemplar": ID, "photos": ["photos"]}, UsageError),
        ({"exemplar": ID, "atlas": "folder"}, UsageError),
        ({"exemplar": ID, "atlas": ["folder"]}, UsageError),
        ({"exemplar": ID, "layer": "../x"}, UsageError),
        ({"exemplar": ID, "layer": "x.toml"}, UsageError),
        ({"exemplar": ID, "rate": 0}, UsageError),
        ({"exemplar": ID, "rate": "nan"}, UsageError),
        ({"exemplar": ID, "more": 1}, UnknownName),
        ({}, UsageError),
    ],
)
def test_what_a_request_may_not_say(new_verb, request_, error):
    with pytest.raises(error):
        forms.checked(new_verb, request_, known)


@pytest.mark.parametrize(
    "word",
    ["relu4_1", "kuwahara:radius=8+posterise:colours=6", "mix:0.5", "features.21", "1:relu1_1",
     "640x480", "vgg19.caffe+normalized", "relu4_1:3 + 0.5 * relu4_1:40", "", "0-15", "pelican",
     "class:great grey owl", "layer=relu3_1", "c:3"],
)  # fmt: skip
def test_words_that_are_words(word):
    assert forms.is_word(word)


@pytest.mark.parametrize(
    "word",
    ["-", "..", ".", "~", "~root", "a/b", "a\\b", "C:", "C:x.png", "x.png", "mine.toml", "a.PTH",
     "a\nb", "a\0", "x" * 1001, "weights.safetensors", " - "],
)  # fmt: skip
def test_words_that_could_be_files(word):
    assert not forms.is_word(word)


def test_the_catalogue_lists_what_there_is():
    found = catalogue.everything()
    assert [v["verb"] for v in found["verbs"]] == jobs.VERBS.names()
    own = next(r for r in found["recipes"] if r["name"] == "impasto")
    assert own["style_weight"] == 20
    assert own["example"].startswith("/static/examples/recipes/")
    assert {s["kind"] for s in found["samples"]} == {"photo", "painting"}
    assert all(s["example"] for s in found["samples"])
    knobs = next(f for f in found["filters"] if f["name"] == "kuwahara")["parameters"]
    assert knobs[0]["name"] == "radius"
    assert any(b["default"] for b in found["backbones"])


def test_an_instant_picture_is_asked_for_only_where_there_is_a_method(monkeypatch):
    rows = catalogue.recipes()
    assert [r["name"] for r in rows if r["instant"]] == ONE_PASS.names()
    assert all(r["style_weight"] is None for r in rows if r["instant"])
    assert catalogue.instant_request() == {"recipe": "instant"}
    monkeypatch.setattr(catalogue, "recipes", lambda: [r for r in rows if r["name"] != "instant"])
    assert catalogue.instant_request() == {"recipe": "wct"}
    monkeypatch.setattr(catalogue, "recipes", lambda: [r for r in rows if not r["instant"]])
    assert catalogue.instant_request() is None


def test_the_catalogue_has_a_picture_of_every_method_of_one_pass():
    assert all(r["example"] for r in catalogue.recipes() if r["instant"])
