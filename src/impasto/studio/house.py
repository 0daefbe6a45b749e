"""All that belongs to one running studio, in one place."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import time
import unicodedata
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import IO, Any

from impasto import jobs
from impasto.errors import ImpastoError, InputError, UsageError
from impasto.studio.config import Settings
from impasto.studio.crew import Crew
from impasto.studio.decoder import Decoder
from impasto.studio.hub import Hub
from impasto.studio.requests import with_names
from impasto.studio.store import PictureRow, Store
from impasto.studio.vault import Vault

#: Of the ids of uploads, which follow from their content.
_UPLOADS = uuid.UUID("b5a3f3a4-6a0e-4a57-8a3e-3a0e8f0c4d10")
#: Sizes of copies for the screen, px.
VIEWS = {"thumb": 320, "view": 2048}
#: Formats in which results can be had.
FORMATS = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
    "tif": "image/tiff",
}
_ENDINGS = {"JPEG": "jpg", "TIFF": "tif", "HEIF": "heic"}


class House:
    """One studio: its settings, files, history, workers and listeners.

    Args:
        settings: Of the studio.

    Attributes:
        token: That changes must carry.
    """

    def __init__(self, settings: Settings) -> None:
        settings.root.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.token = settings.token or secrets.token_urlsafe(24)
        self._lock = _only_one(settings)
        self.vault = Vault(settings.root, settings.limits.free_disk)
        self.store = Store(settings.root / "studio.sqlite")
        self.hub = Hub(self.store.next_epoch())
        self.crew = Crew(settings, self.store, self.vault, self.hub)
        self.decoder = Decoder(settings, settings.root)
        self._making: dict[str, asyncio.Lock] = {}

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """From the start of the server to its end."""
        self.hub.attach(asyncio.get_running_loop())
        await asyncio.to_thread(self.crew.start)
        try:
            yield
        finally:
            self.hub.close()
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End everything; what runs goes on with the next start."""
        self.crew.close()
        self.decoder.close()
        self.store.close()
        self._lock.close()

    def kind_of(self, picture_id: str) -> str | None:
        """What sort of thing has this id; None where nothing has."""
        row = self.store.picture(picture_id)
        return None if row is None else row.kind

    async def keep_upload(self, chunks: AsyncIterator[bytes], name: str) -> PictureRow:
        """Take a file that arrives piece by piece.

        Raises:
            InputError: Not a picture or model that can be used.
            ResourceError: The disk is full.
        """
        self.vault.check_space(self.settings.limits.upload)
        with self.vault.incoming() as file:
            head = b""
            async for chunk in chunks:
                if not head:
                    head = chunk[:64]
                    _known_kind(head)
                file.write(chunk)
            kind = _known_kind(head)
            facts = await self.decoder.ask(do=kind, path=file.path)
            ending = _ENDINGS.get(facts["format"], facts["format"].lower())
            kept = file.commit(ending)
        return self._remember(kept.sha256, ending, kept.size, facts, display_name(name))

    async def keep_sample(self, name: str) -> PictureRow:
        """Draw a sample picture and keep it.

        Raises:
            InputError: No sample is called so.
        """
        from impasto import samples

        if name not in samples.names() and name not in samples.photo_names():
            raise InputError(f"there is no sample {name!r}")
        found = self.store.picture(str(uuid.uuid5(_UPLOADS, f"sample {name}")))
        if found is not None:
            return self.store.add_picture(found)
        self.vault.check_space()
        path = self.vault.root / "incoming" / f"{secrets.token_hex(8)}.png"
        try:
            await self.decoder.ask(do="sample", name=name, out=path)
            facts = await self.decoder.ask(do="check", path=path)
            kept = self.vault.adopt(path)
        finally:
            path.unlink(missing_ok=True)
        return self._remember(kept.sha256, "png", kept.size, facts, name, sample=True)

    def _remember(
        self,
        sha256: str,
        ending: str,
        size: int,
        facts: Mapping[str, Any],
        name: str,
        *,
        sample: bool = False,
    ) -> PictureRow:
        kind = "sample" if sample else "model" if ending == "safetensors" else "upload"
        row = PictureRow(
            id=str(uuid.uuid5(_UPLOADS, f"sample {name}" if sample else sha256)),
            sha256=sha256,
            ending=ending,
            bytes=size,
            kind=kind,
            name=name,
            width=facts["width"],
            height=facts["height"],
            settings=facts["settings"],
            created=time.time(),
        )
        return self.store.add_picture(row)

    async def view(self, row: PictureRow, size: str) -> str:
        """Path of a copy for the screen: re-encoded, so that nothing but pixels is in it."""
        out = self.vault.derived(row.sha256, size, "webp")
        async with self._alone(str(out)):
            if not out.exists():
                out.parent.mkdir(exist_ok=True)
                path = self.vault.path(row.sha256, row.ending)
                await self.decoder.ask(do="view", path=path, out=out, longest=VIEWS[size])
        return str(out)

    async def converted(self, row: PictureRow, ending: str) -> str:
        """Path of a result in another format."""
        path = self.vault.path(row.sha256, row.ending)
        if ending == row.ending:
            return str(path)
        out = self.vault.derived(row.sha256, "full", ending)
        async with self._alone(str(out)):
            if not out.exists():
                self.vault.check_space()
                out.parent.mkdir(exist_ok=True)
                await self.decoder.ask(do="convert", path=path, out=out)
        return str(out)

    def request_in(self, settings: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """The request that a picture carries, with the ids of its pictures where they are here.

        Returns:
            ``verb``, ``spec`` and ``missing`` (names of pictures that are not here); None where
            there is no request that this version understands.
        """
        if not settings or not isinstance(settings.get("spec"), dict):
            return None
        names, missing = {}, []
        inputs = settings.get("inputs")
        for entry in inputs.values() if isinstance(inputs, dict) else ():
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                continue
            row = self.store.picture_with(str(entry.get("sha256")))
            names[entry["name"]] = f"missing {entry['name']}" if row is None else row.id
            if row is None:
                missing.append(display_name(entry["name"]))
        spec = with_names(settings["spec"], names)
        try:
            verb = str(settings.get("verb"))
            jobs.spec_type(verb).build(**spec)
        except (ImpastoError, TypeError):
            return None
        return {"verb": verb, "spec": without_missing(spec), "missing": missing}

    @contextlib.asynccontextmanager
    async def _alone(self, key: str) -> AsyncIterator[None]:
        """Nobody else makes the same thing meanwhile."""
        lock = self._making.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():
                self._making.pop(key, None)


def without_missing(spec: Any) -> Any:
    """A request without the pictures that are not here."""
    if isinstance(spec, dict):
        return {k: without_missing(v) for k, v in spec.items() if not _is_missing(v)}
    if isinstance(spec, list):
        return [without_missing(item) for item in spec if not _is_missing(item)]
    return spec


def display_name(text: str) -> str:
    """What a client calls a file, fit to be shown: its last part, printable, not too long."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", text))[-1]
    plain = "".join(c for c in last if c.isprintable()).strip()
    return plain[-80:] or "picture"


def _is_missing(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("missing ")


def _known_kind(head: bytes) -> str:
    """``"check"`` for a picture, ``"model"`` for safetensors: from the first bytes.

    Raises:
        InputError: Something else.
    """
    from impasto.images.sniff import describe, sniff

    if sniff(head) is not None:
        return "check"
    if len(head) > 8 and head[8:9] == b"{":
        return "model"
    if not head:
        raise InputError("the file is empty")
    what = describe(head) or "neither a picture nor a .safetensors model"
    raise InputError(f"the file is {what}")


def _only_one(settings: Settings) -> IO[str]:
    """The lock of the studio's folder; two servers on one folder would work against each other.

    Raises:
        UsageError: Another server has it.
    """
    file = (settings.root / "studio.lock").open("a")
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # a system without this kind of lock
        pass
    except OSError:
        file.close()
        raise UsageError(
            f"another studio uses {settings.root}", hint="stop it, or choose another --data"
        ) from None
    os.set_inheritable(file.fileno(), False)
    return file
