"""Results in files that anything can read, and that run nothing when they are loaded.

A file is a zip archive: ``result.json`` says what the result is, each table is a CSV file in
``tables/``. Doubles keep every bit, columns their dtypes. The fitted R objects lie in ``r/`` as R
serialized them, and are read only where they are asked for.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from .. import rdoor
from ..base.paths import readable_file, write_whole
from ..base.text import Printed
from ..data.imputed_data import ImputedData
from ..data.on_disk import Filed
from ..data.provenance import trace_of_lengths
from ..errors import ArgumentError, EncodingError, RBridgeError
from ..fits.answers import Answers
from ..inference.mermod import MerMod
from ..pooled.mermod_list import MerModList
from ..pooled.pooled_mermod import PooledMerMod
from .cells import from_cells, index_from_cells, to_cells
from .checks import check_answers, check_stored
from .names import FORMATS, NEWEST, Kind, Names

__all__ = ["load", "save"]

Result: TypeAlias = MerMod | MerModList | PooledMerMod | ImputedData
_RESULTS = (MerMod, MerModList, PooledMerMod, ImputedData)


class _Withheld:
    """Stands where an R object was, in a result that was loaded without it."""

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """Refuse, with the remedy."""
        del args, kwargs
        raise RBridgeError(
            f"{function} asks the R object, which wasn't loaded: if you trust where the file "
            "comes from, rb.load(path, allow_r_object=True)."
        )

    def __repr__(self) -> str:
        return "<R object, not loaded>"


def save(result: Result, path: str | Path, *, r_objects: bool = True) -> Path:
    """Write a fit, a list of fits, a pooled model or imputed data to one file.

    Parameters
    ----------
    result : MerMod, MerModList, PooledMerMod or ImputedData
        What to write.
    path : path
        Of the file, a zip archive; one that is there is replaced, once the new one is complete.
    r_objects : bool
        Keep the fitted R objects too, so that `load` can be asked for them: predictions,
        simulations and the like need them. They are most of the file (0.5 of 0.7 MB for a fit to
        the hsb data).

    Returns
    -------
    Path
        That of the file.

    See Also
    --------
    load : Reads the file.

    Raises
    ------
    EncodingError
        A column of a dtype that the format has no place for, by name.
    MissingPathError
        There is no such folder; also a `FileNotFoundError`.

    Examples
    --------
    >>> import tempfile
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = rb.save(fit, folder.name + "/fit.zip")
    >>> rb.load(path) == fit
    True
    >>> folder.cleanup()
    """
    if not isinstance(result, _RESULTS):
        raise ArgumentError(
            f"save takes {', '.join(x.__name__ for x in _RESULTS)}, not {type(result).__name__}."
        )
    written = _Writer(r_objects)
    tree = {"format": NEWEST, "result": written.node(result)}

    def write(file: Path) -> None:
        with zipfile.ZipFile(file, "x", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("result.json", json.dumps(tree, indent=1, allow_nan=False))
            for name, content in written.members.items():
                archive.writestr(name, content)

    return write_whole(path, "fit.zip", write)


def load(path: str | Path, *, allow_r_object: bool = False) -> Result:
    """Read what `save` wrote, by this version or an earlier one. Nothing in the file is executed.

    Parameters
    ----------
    path : path
        Of the file.
    allow_r_object : bool
        Take the R objects too. R before 4.4 can be made to run code while it reads one, and a
        formula's environment may hold any code: only for files whose origin you trust.

    Returns
    -------
    MerMod, MerModList, PooledMerMod or ImputedData
        The result as it was saved.

    See Also
    --------
    save : Writes such files.

    Raises
    ------
    RBridgeError
        It isn't such a file, it is damaged, or a later version wrote it. All that is in the
        file is looked at here, so that nothing in it can go wrong later.
    MissingPathError
        There is no such file; also a `FileNotFoundError`.

    Examples
    --------
    >>> import tempfile
    >>> import rbridge_mi as rb
    >>> imp = rb.BootstrapImputer(m=2).impute(rb.load_hsb(), seed=1)
    >>> folder = tempfile.TemporaryDirectory()
    >>> rb.load(rb.save(imp, folder.name + "/samples.zip")) == imp
    True
    >>> folder.cleanup()
    """
    with readable_file(path, end=".zip").open(
        "rb"
    ) as file:  # what fails here is no matter of what the file holds
        try:
            with zipfile.ZipFile(file) as archive:
                tree = json.loads(archive.read("result.json"))
                version = tree["format"]
                if version > NEWEST:
                    raise RBridgeError(
                        f"{path} has format {version}, this version reads up to {NEWEST}: "
                        "install a newer rbridge_mi."
                    )
                reader = _Reader(archive, FORMATS[version], allow_r_object)
                result: Result = reader.value(tree["result"])
        except (RBridgeError, MemoryError):
            raise
        except Exception as error:  # whatever can't be read, or is no valid result
            raise RBridgeError(
                f"{path} is not a file that rb.save wrote, or it is damaged "
                f"({type(error).__name__}: {error})."
            ) from error
    if not isinstance(result, _RESULTS):
        raise RBridgeError(f"{path} holds no result.")
    return result


def _parts_of_fit(fit: MerMod) -> dict[str, Any]:
    """Return what a stored fit holds: all that R answers, but not R's object itself."""
    return {
        "index": fit.index,
        "messages": fit.messages,
        "imputation": fit.imputation,
        "answers": fit.answers.all(),
    }


def _fit_from_parts(parts: dict[str, Any]) -> MerMod:
    """Make the fit, after a check of its parts."""
    answers, r = parts.pop("answers"), parts.pop("r")
    check_answers(answers, len(parts["index"]))
    fit: MerMod = check_stored(MerMod(Answers(r, answers), **parts))
    return fit


class _Writer:
    """Values as JSON; tables and R objects as members of the archive."""

    def __init__(self, r_objects: bool) -> None:
        self.members: dict[str, bytes] = {}
        self._names = FORMATS[NEWEST]
        self._r_objects = r_objects
        self._seen: dict[int, tuple[Any, int]] = {}

    def node(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | str):
            return {"printed": value} if isinstance(value, Printed) else value
        if isinstance(value, np.generic) and not isinstance(value, np.datetime64 | np.timedelta64):
            return self.node(value.item())
        if isinstance(value, float):
            return {"float": repr(value)}
        if isinstance(value, list):
            return [self.node(x) for x in value]
        if isinstance(value, tuple | Filed):
            return {"tuple": [self.node(x) for x in value]}
        if isinstance(value, Mapping):
            return {"map": [[self.node(k), self.node(v)] for k, v in value.items()]}
        if id(value) in self._seen:  # a fit's data, say, is shared: it is so afterwards
            return {"same": self._seen[id(value)][1]}
        number = len(self._seen)
        self._seen[id(value)] = (value, number)  # held, so that no other object gets its id
        return {"number": number, **self._object(value)}

    def _object(self, value: Any) -> dict[str, Any]:
        if isinstance(value, pd.DataFrame):
            return {"frame": self._frame(value)}
        if isinstance(value, pd.Series):
            known = {"index": self.node(value.index), "name": self.node(value.name)}
            return {"series": [*to_cells(value, str(value.name)), known]}
        if isinstance(value, pd.Index):
            return self._index(value)
        if isinstance(value, np.ndarray):
            flat, shape = value.ravel(order="C"), list(value.shape)
            return {"array": [*to_cells(pd.Series(flat), "array"), shape]}
        if isinstance(value, pd.api.extensions.ExtensionArray):
            return {"column": to_cells(value, "values")}
        if isinstance(value, np.dtype | pd.api.extensions.ExtensionDtype):
            return {"dtype": to_cells(pd.Series([], dtype=value), "dtype")}
        if isinstance(value, BaseException):
            return {"error": [type(value).__name__, str(value)]}
        if (kind := self._names.kind_of(value)) is not None:
            return {"class": kind, "fields": self._fields(value, self._names.kinds[kind].fields)}
        raise EncodingError(f"a value of type {type(value).__name__} has no place in a saved file.")

    def _fields(self, value: Any, stored_names: Mapping[str, str]) -> dict[str, Any]:
        parts = _parts_of_fit(value) if isinstance(value, MerMod) else dict(vars(value))
        if isinstance(value, MerMod | ImputedData):
            parts["r"] = self._r(value)
        if isinstance(value, MerMod):
            parts["answers"] = self._names.stored_answers(parts["answers"])
        return {name: self.node(parts[part]) for name, part in stored_names.items()}

    def _r(self, result: MerMod | ImputedData) -> str | None:
        """Write a result's R object to a separate member, and return the member's name."""
        if not (self._r_objects and isinstance(result.r, rdoor.RObject)):
            return None
        name = f"r/{len(self.members)}.bin"
        self.members[name] = result.r.to_bytes()
        return name

    def _frame(self, frame: pd.DataFrame) -> Any:
        parts = [to_cells(frame.iloc[:, i], str(x)) for i, x in enumerate(frame.columns)]
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow([str(x) for x in frame.columns])
        writer.writerows(zip(*(cells for _, cells in parts), strict=True))
        name = f"tables/{len(self.members)}.csv"
        self.members[name] = text.getvalue().encode("utf-8", errors="surrogatepass")
        return [
            name,
            [known for known, _ in parts],
            self.node(frame.columns),
            self.node(frame.index),
        ]

    def _index(self, index: pd.Index) -> dict[str, Any]:
        names = [self.node(x) for x in index.names]
        if isinstance(index, pd.RangeIndex):
            return {"range": [index.start, index.stop, index.step, names]}
        if isinstance(index, pd.MultiIndex):
            levels = [index.get_level_values(i) for i in range(index.nlevels)]
            return {"multi": [[to_cells(x.array, "index") for x in levels], names]}
        return {"index": [*to_cells(index.array, "index"), names]}


def _error(stored: list[str]) -> RBridgeError:
    """Make an error of the base class, whose text names the class that it had."""
    name, text = stored
    return RBridgeError(text if name == RBridgeError.__name__ else f"{name}: {text}")


class _Reader:
    """JSON as values: of the kinds listed here, and of no other."""

    def __init__(self, archive: zipfile.ZipFile, names: Names, allow_r_object: bool) -> None:
        self._archive = archive
        self._names = names
        self._allow = allow_r_object
        self._kin = rdoor.Kin()
        self._seen: dict[int, Any] = {}

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.value(x) for x in node]
        if not isinstance(node, dict):
            return node
        if "same" in node:
            return self._seen[node["same"]]
        kinds: dict[str, Callable[[Any], Any]] = {
            "printed": Printed,
            "float": float,
            "tuple": lambda x: tuple(map(self.value, x)),
            "map": lambda x: {self.value(k): self.value(v) for k, v in x},
            "frame": self._frame,
            "series": self._series,
            "index": lambda x: self._named(index_from_cells(*x[:2]), x[2]),
            "range": lambda x: self._named(pd.RangeIndex(*x[:3]), x[3]),
            "multi": self._multi,
            "array": lambda x: from_cells(*x[:2]).to_numpy().reshape(x[2]),
            "column": lambda x: from_cells(*x).array,
            "dtype": lambda x: from_cells(*x).dtype,
            "error": _error,
        }
        for kind, make in kinds.items():
            if kind in node:
                result = make(node[kind])
                break
        else:
            result = self._instance(self._names.kinds[node["class"]], node["fields"])
        if "number" in node:
            self._seen[node["number"]] = result
        return result

    def _instance(self, kind: Kind, stored: dict[str, Any]) -> Any:
        parts = {kind.fields[name]: self.value(x) for name, x in stored.items()}
        if kind.cls is MerMod:
            parts["r"] = self._r_object(parts["r"])
            parts["answers"] = self._names.loaded_answers(parts["answers"])
            return _fit_from_parts(parts)
        if kind.cls is ImputedData:
            parts = self._parts_of_imputed(parts)
        return check_stored(kind.cls(**parts))

    def _parts_of_imputed(self, parts: dict[str, Any]) -> dict[str, Any]:
        """Complete the fields of imputed data, of which format 1 has others for log and trace.

        They are a message and the lengths of the chains.
        """
        if "message" in parts:
            message, lengths = parts.pop("message"), parts.pop("chain_lengths")
            parts["log"] = (message,) if message else ()
            parts["trace"] = trace_of_lengths(lengths, "changing")
        if parts.get("r") is not None:
            parts["r"] = self._r_object(parts["r"])
        return parts

    def _r_object(self, member: str | None) -> Any:
        """Return the R object in a member of the archive, or what stands in its place."""
        if not self._allow or member is None:
            return _Withheld()
        r_object = rdoor.RObject(raw=self._archive.read(member))
        r_object.kin = self._kin
        return r_object

    def _frame(self, node: Any) -> pd.DataFrame:
        name, known, columns, index = node
        text = self._archive.read(name).decode("utf-8", errors="surrogatepass")
        before = csv.field_size_limit(2**31 - 1)
        try:
            rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
        finally:
            csv.field_size_limit(before)
        labels = self.value(index)
        cells = list(zip(*rows, strict=True)) if rows and known else [() for _ in known]
        if any(len(x) != len(labels) for x in cells):
            raise ValueError(f"{name} has not the rows that result.json says")
        # As Series: of arrays of objects pandas 3 would make texts.
        parts = {i: from_cells(x, y) for i, (x, y) in enumerate(zip(known, cells, strict=True))}
        frame = pd.DataFrame(parts, index=pd.RangeIndex(len(labels)))
        frame.index, frame.columns = labels, self.value(columns)
        return frame

    def _series(self, node: Any) -> pd.Series:
        series = from_cells(*node[:2])
        series.index, series.name = self.value(node[2]["index"]), self.value(node[2]["name"])
        return series

    def _multi(self, node: Any) -> pd.Index:
        levels = [from_cells(*x) for x in node[0]]
        return self._named(pd.MultiIndex.from_arrays(levels), node[1])

    def _named(self, index: pd.Index, names: Any) -> pd.Index:
        index.names = [self.value(x) for x in names]
        return index
