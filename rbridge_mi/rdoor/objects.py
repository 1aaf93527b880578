"""An R object that Python holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import RCallError
from .kin import Compressed, Kin
from .session import session
from .turns import Reply, begin_turn

__all__ = ["RObject"]


class RObject:
    """An R object that Python holds: live in this process, serialized once it leaves it.

    `call` asks any R function of it; pickling and copying go through R's `serialize`, which
    keeps every bit. Unpickling needs no R: it is started at the first `call`. Objects that are
    alike, `kin`, are compressed by what they share.

    A pickle of an R object, as any pickle, must come from a source that is trusted.
    """

    def __init__(
        self,
        sexp: Any = None,
        raw: bytes | None = None,
        make: Callable[[], RObject] | None = None,
    ) -> None:
        self._sexp = sexp
        self._raw: bytes | Compressed | None = raw
        self._make = make
        self.kin: Kin | None = None

    def call(self, function: str, *args: Any, **kwargs: Any) -> Reply:
        """Call an R function with this object first: ``function(object, ...)``.

        Parameters
        ----------
        function : str
            Its R name, "package::function" such as "lme4::getME", or the name of one of this
            library's R functions.
        *args, **kwargs : object
            Further arguments, as Python values.

        Returns
        -------
        Reply
            The decoded value, and R's warnings, messages and output.

        Raises
        ------
        RCallError
            With R's text, if R stops.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
        >>> fit.r.call("lme4::getME", "n_rtrms").value
        array([1], dtype=int32)
        """
        return begin_turn(
            function, (self, *args), kwargs, wrap=RObject, decode=True, error=RCallError
        ).reply()

    @property
    def sexp(self) -> Any:
        """The rpy2.rinterface object, for use with rpy2."""
        self.ready()
        return session().run(self.__rsexp__)

    def ready(self) -> None:
        """Compute the object in R, if it is one that is computed on demand."""
        if self._sexp is None and self._raw is None and self._make is not None:
            value = self._make()
            value.ready()
            self._sexp, self._raw, self._make = value._sexp, value._raw, None

    def __rsexp__(self) -> Any:
        if self._sexp is None:
            self._sexp = session().function("from_bytes")(_raw_vector(_unpacked(self._raw)))
            self._raw = None
        return self._sexp

    def to_bytes(self) -> bytes:
        """Serialize the object, as R's ``serialize(object, NULL, xdr = FALSE)``."""
        self.ready()
        if self._sexp is None and self._raw is not None:
            return _unpacked(self._raw)
        serialized: bytes = self.call("to_bytes").value
        return serialized

    def __getstate__(self) -> dict[str, Any]:
        if self._sexp is None and isinstance(self._raw, Compressed):
            return {"raw": self._raw, "kin": self.kin}
        raw = self.to_bytes()
        if self.kin is None:
            return {"raw": raw}
        return {"raw": self.kin.compressed(raw), "kin": self.kin}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._sexp = None
        self._raw = state["raw"]
        self._make = None
        self.kin = state.get("kin")

    def __del__(self) -> None:
        sexp = self.__dict__.get("_sexp")
        # When Python ends it empties its modules first: R's memory goes with the process then.
        if sexp is not None and session is not None:
            session().discard(sexp)

    def __repr__(self) -> str:
        if self._sexp is not None:
            return "<R object, live>"
        return "<R object, serialized>" if self._raw is not None else "<R object, on request>"


def _unpacked(raw: bytes | Compressed | None) -> bytes:
    return raw.unpack() if isinstance(raw, Compressed) else raw or b""


def _raw_vector(raw: bytes) -> Any:
    from rpy2 import rinterface

    return rinterface.ByteSexpVector.from_memoryview(memoryview(raw))
