"""Prints a hash of the text of every function in files, and of all that it reaches there. Arguments: the folder with the package fabra, files."""
import ast
import hashlib
import importlib
import json
import os
import sys
import types
import unicodedata  # noqa: F401  The parser loads it late.

package = types.ModuleType("fabra")
package.__path__ = [os.path.join(sys.argv[1], "fabra")]
sys.modules["fabra"] = package
modules = importlib.import_module("fabra._modules")
reach = importlib.import_module("fabra._reach")

sys.setrecursionlimit(10_000)
files = [os.path.realpath(path) for path in sys.argv[2:]]
# Nothing of the interpreter's own is to be found by accident.
sys.path[:] = [os.path.dirname(files[0])]
project = modules.Modules(sys.path)
readings: dict = {}
hashes = {}
for path in files:
    module = project.read(path)
    assert module is not None, path
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            pieces = reach.Pieces(project, readings)
            pieces.add_node(module, node)
            text = pieces.text().encode("utf-8", "surrogatepass")
            hashes[f"{os.path.basename(path)}:{node.lineno} {node.name}"] = hashlib.sha256(text).hexdigest()[:12]
print(json.dumps(hashes))
