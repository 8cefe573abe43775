# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What every store can do. A third kind of store is one more file that implements this.

Keys are relative, `/`-separated and already validated. All the guarantees that the rest relies on are here:
put_if_absent and replace are atomic, and a reader sees a whole object or none.
"""

from __future__ import annotations

import abc
import contextlib
import threading
import typing as t
from dataclasses import dataclass

from .._deadline import Limit
from .._errors import BeamError, Conflict, NotFound

_COUNTING = threading.Lock()


@contextlib.contextmanager
def named(location: str, key: str) -> t.Iterator[None]:
    """An error about what a document says names the document and the store it is in."""
    try:
        yield
    except (NotFound, Conflict):
        raise
    except BeamError as exc:
        if key not in exc.what or location not in exc.what:
            exc.what = "%s (%s of the store %s)" % (exc.what, key, location)
        raise


@dataclass(frozen=True)
class Stat:
    key: str
    size: int
    etag: str  # opaque: compare, give back, never interpret; "" in a listing where the store keeps none
    modified: float  # seconds since the epoch, by the store's own clock


@dataclass(frozen=True)
class Noted:
    size: int
    sha256: str  # "" where only reading the bytes tells it


@dataclass(frozen=True)
class Found:
    data: bytes
    etag: str


class Store(abc.ABC):
    """Errors: NotFound for a missing key, Conflict for a lost compare-and-swap, BeamError for anything else."""

    location: str  # as the user wrote it, without credentials: for messages and results
    # Whether it has to be proven that conditional writes are conditional here (an S3 API may ignore them in silence).
    needs_proof: bool = False
    writes: int = 0  # objects that were created, replaced or deleted through this object

    @abc.abstractmethod
    def get(self, key: str, limit: int) -> Found:
        """The whole object; one of more than limit bytes is refused before it is read."""

    @abc.abstractmethod
    def open(self, key: str, start: int = 0) -> t.ContextManager[t.BinaryIO]:
        """The object's bytes from start, as a stream."""

    @abc.abstractmethod
    def put_if_absent(self, key: str, data: bytes | t.BinaryIO, size: int) -> bool:
        """Create the object; False, and nothing written, where it exists already (with whatever content)."""

    @abc.abstractmethod
    def replace(self, key: str, data: bytes, etag: str | None) -> str:
        """Put data where the object's etag is the given one (None: where there is no object); the new etag.

        Conflict where it is not. A lost answer to our own write is not a conflict: the bytes are compared.
        """

    @abc.abstractmethod
    def list(self, prefix: str) -> t.Iterator[Stat]:
        """All objects whose key starts with prefix, in the order of their keys."""

    @abc.abstractmethod
    def delete(self, key: str, etag: str | None = None) -> bool:
        """False where there was none; Conflict where an etag is given and differs."""

    @abc.abstractmethod
    def stat(self, key: str) -> Stat | None:
        """None where there is no such object."""

    def noted(self, key: str) -> Noted | None:
        """What the store can tell of an object's bytes without sending them; None where there is no such object."""
        found = self.stat(key)
        return None if found is None else Noted(found.size, "")

    @property
    def identity(self) -> str:
        """The same for two objects that speak to the same store."""
        return self.location

    def _wrote(self) -> None:
        with _COUNTING:
            self.writes += 1

    def start_clock(self) -> None:
        """What is asked from now on gets the whole store_timeout: for those who wait long between two requests."""
        return

    def presign(self, key: str, seconds: int) -> str:
        """A URL that anyone can GET the object by for that long."""
        raise BeamError(
            "presign_unsupported",
            "%s can't make presigned URLs" % self.location,
            "only s3:// stores can",
            "Let the hosts read the store directly",
        )

    def sweep(self, prefix: str, older_than: float) -> int:
        """Remove what writers that were killed more than older_than seconds ago left behind; how many it was."""
        return 0


def late(what: str, limit: Limit, last: str = "") -> BeamError:
    """The time is over, in whatever way the server used it up. last: what failed before."""
    hint = "Check endpoint_url (in an inventory in beam_store_options), the network and what answers there"
    if limit.name == "store_timeout":
        hint += ", or raise store_timeout (in the same place)"
    return BeamError("store_timeout", what, limit.why + (", at last: " + last if last and not limit.cut else ""), hint)
