"""Run the example notebook; ``python -m tests.examples.notebook`` stores what it shows."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "examples" / "analysis.ipynb"


def stored() -> Any:
    """The notebook as it is in the repository."""
    return nbformat.read(PATH, as_version=4)


def executed(folder: Path) -> Any:
    """The notebook, run anew in a folder; a cell that fails is an error."""
    book = stored()
    client = NotebookClient(
        book, timeout=550, record_timing=False, resources={"metadata": {"path": str(folder)}}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the event loop's, on some systems
        client.execute()
    return book


_BAR = "application/vnd.jupyter.widget-view+json"  # gone once it is full


def shown(book: Any) -> list[tuple[str, str]]:
    """What each output is, and its text; of a picture the name of its kind only."""
    texts = []
    for cell in book.cells:
        for output in cell.get("outputs", []):
            if _BAR in output.get("data", {}):
                continue
            if output.output_type == "stream":
                texts.append((output.name, output.text))
            elif "image/png" in output.data:
                texts.append(("image/png", ""))
            else:
                texts.append(("text/plain", output.data["text/plain"]))
    return texts


def main() -> None:
    """Store the outputs of a run, without what is of this machine and moment."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        book = executed(Path(folder))
    # Versions of Python and names of environments are of the machine.
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in book.cells:
        cell.metadata = {}
        if "outputs" in cell:
            cell.outputs = [x for x in cell.outputs if _BAR not in x.get("data", {})]
    nbformat.write(book, PATH)


if __name__ == "__main__":
    main()
