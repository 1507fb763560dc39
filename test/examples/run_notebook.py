"""
Runs a notebook from top to bottom, in a kernel of this interpreter.

    python run_notebook.py examples/notebook.ipynb          # says what its cells print, and how many pictures they draw
    python run_notebook.py --write examples/notebook.ipynb  # and keeps the outputs in the notebook
"""

import json
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

SECONDS_OF_A_CELL = 300


def main() -> None:
    path = Path(sys.argv[-1])
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=SECONDS_OF_A_CELL, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}).execute()
    for cell in notebook.cells:
        # When it ran is nobody's business, and another text each time.
        cell.metadata.pop("execution", None)
    if "--write" in sys.argv:
        nbformat.write(notebook, path)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    texts = [output.get("text", output.get("data", {}).get("text/plain", "")) for output in outputs]
    print(json.dumps({"texts": texts, "pictures": sum("image/png" in output.get("data", {}) for output in outputs)}))


if __name__ == "__main__":
    main()
