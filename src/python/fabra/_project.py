"""What a project needs elsewhere: the files and packages that its definitions import, found by reading them. For images."""
import ast
import importlib.metadata
import json
import os
import re
import sys
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from . import _CLIENT
from ._bindings import Import
from ._modules import Module, Modules

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


class InspectedProject:
    def __init__(self, folder: str, definitions: List[str], packages: "Packages") -> None:
        self._folder = os.path.realpath(folder)
        self._tops = list(dict.fromkeys(_top_folder(file) for file in definitions))
        for top in self._tops:
            if top not in sys.path:
                sys.path.insert(0, top)
        self._modules = Modules([self._folder])
        self._packages = packages
        self.files: Dict[str, Dict[str, Any]] = {}
        # Folders that imports are found in, besides that of a definition itself: `src` of a project that is installed for development.
        self.paths: Set[str] = set()
        waiting = [os.path.realpath(file) for file in definitions]
        while waiting:
            path = waiting.pop()
            module = self._modules.read(path)
            if module is None or path in self.files:
                continue
            self.files[path] = self._read(module)
            waiting.extend(one["path"] for one in self.files[path]["imports"] if one["package"] is None)

    def _read(self, module: Module) -> Dict[str, Any]:
        found: Dict[Tuple[str, str], Dict[str, Any]] = {}

        def add(specifier: str, path: str, package: Optional[str]) -> None:
            found.setdefault((specifier, path), {"specifier": specifier, "path": path, "package": package})

        for init in self._packages_around(module.path):
            add(os.path.basename(os.path.dirname(init)), init, None)
        for what in _imports(module.tree):
            self._resolve(module, what, add)
        if _asks_a_server(module.tree):
            # The client comes with the executable; what it needs does not.
            self._resolve(module, Import("httpx", None, 0), add)
        texts, patterns = _texts(module.tree)
        return {"imports": list(found.values()), "texts": texts, "patterns": patterns}

    def _packages_around(self, path: str) -> Iterator[str]:
        folder = os.path.dirname(path)
        while os.path.isfile(os.path.join(folder, "__init__.py")) and self._modules.is_own(os.path.join(folder, "any")):
            init = os.path.join(folder, "__init__.py")
            if init != path:
                yield init
            folder = os.path.dirname(folder)

    def _resolve(self, module: Module, what: Import, add: Any) -> None:
        parts = what.module.split(".") if what.module else []
        is_known = False
        for depth in range(0 if what.level else 1, len(parts) + 1):
            is_known = self._take(module, Import(".".join(parts[:depth]), None, what.level), add) or is_known
        if what.name is not None and what.name != "*":
            # `from package import module`.
            inner = ".".join([*parts, what.name])
            is_known = self._take(module, Import(inner, None, what.level), add) or is_known
        if not is_known and not what.level and parts and parts[0] not in sys.builtin_module_names:
            package = self._packages.of(parts[0])
            if package is not None:
                add(parts[0], "", package)

    def _take(self, module: Module, what: Import, add: Any) -> bool:
        if not what.level and not what.module:
            return False
        whole = self._modules.find(module, what)
        if whole is None:
            return False
        if whole.module is not None:
            add("." * what.level + what.module, whole.module.path, None)
            if not what.level:
                self._note_path(whole.module.path, what.module)
        return True

    def _note_path(self, path: str, dotted: str) -> None:
        base = path[: -len("/__init__.py")] if path.endswith("/__init__.py") else path[: -len(".py")]
        for _ in dotted.split("."):
            base = os.path.dirname(base)
        if base not in self._tops:
            self.paths.add(base)


def _top_folder(file: str) -> str:
    folder = os.path.dirname(os.path.realpath(file))
    while os.path.isfile(os.path.join(folder, "__init__.py")) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return folder


def _imports(node: ast.AST) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, None, 0)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                yield Import(child.module or "", alias.name, child.level)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for other in child.orelse:
                yield from _imports(ast.Module([other], []))
        else:
            if isinstance(child, ast.Call) and len(child.args) == 1 and isinstance(child.args[0], ast.Constant):
                name = getattr(child.func, "attr", getattr(child.func, "id", ""))
                if name in ("import_module", "__import__") and isinstance(child.args[0].value, str):
                    yield Import(child.args[0].value, None, 0)
            yield from _imports(child)


def _asks_a_server(tree: ast.AST) -> bool:
    """Whether a file takes the client: `from fabra import Client`, `import fabra.client`, `fabra.Client()`."""
    for what in _imports(tree):
        inside = what.module == "fabra" and (what.name == "client" or what.name in _CLIENT)
        if not what.level and (inside or what.module.startswith("fabra.client")):
            return True
    return any(
        isinstance(node, ast.Attribute) and node.attr in _CLIENT and isinstance(node.value, ast.Name) and node.value.id == "fabra"
        for node in ast.walk(tree)
    )


def _texts(tree: ast.AST) -> Tuple[List[str], List[str]]:
    """Texts that may be paths, and patterns: what stands in the braces of an f-string may be anything."""
    texts: Dict[str, None] = {}
    patterns: Dict[str, None] = {}
    inner: Set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner.update(id(part) for part in node.values)
            said = ["*" if not isinstance(part, ast.Constant) else str(part.value) for part in node.values]
            patterns["".join(said)] = None
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inner.add(id(node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            texts[node.value] = None
    texts = {text: None for text in texts if 0 < len(text) <= 300 and "\n" not in text}
    for text in texts:
        if re.search(r"[*?\[{]", text) and not re.search(r"\s", text):
            patterns[text] = None
    return list(texts), [text for text in patterns if "\n" not in text and len(text) <= 300]


class Packages:
    """What is installed here, by the names that are imported and the names that are required."""

    def __init__(self, ours: List[str]) -> None:
        """@param ours Distributions that count as not installed: the executable brings the package along."""
        self._ours = {normal(name) for name in ours}
        self._by_module: Optional[Dict[str, str]] = None
        self._installed: Dict[str, importlib.metadata.Distribution] = {}

    def of(self, module: str) -> Optional[str]:
        if self._by_module is None:
            self._by_module = {}
            for distribution in importlib.metadata.distributions():
                name = distribution.metadata["Name"]
                if not name:
                    continue
                self._installed.setdefault(normal(name), distribution)
                for top in _modules_of(distribution):
                    self._by_module.setdefault(top, normal(name))
        found = self._by_module.get(module)
        return None if found is None or found in self._ours else found

    def closure(self, names: List[str]) -> List[Dict[str, Any]]:
        """With all that they need, as installed here; what is not, is left to the installer."""
        self.of("")
        found: Dict[str, Dict[str, Any]] = {}
        waiting: List[Tuple[str, Optional[str], Optional[str]]] = [(name, None, None) for name in names]
        while waiting:
            name, by, marker = waiting.pop(0)
            distribution = self._installed.get(name)
            if name in self._ours or distribution is None:
                continue
            known = found.get(name)
            if known is not None:
                # Wanted without a condition, it is wanted without one.
                known["marker"] = known["marker"] if marker is not None else None
                continue
            found[name] = {"name": name, "by": by, "marker": marker, **_origin(distribution)}
            for text in distribution.requires or []:
                required = _NAME.match(text)
                condition = text.split(";", 1)[1].strip() if ";" in text else None
                if required is not None and "extra" not in (condition or ""):
                    waiting.append((normal(required.group(1)), name, condition))
        return list(found.values())


def _modules_of(distribution: importlib.metadata.Distribution) -> List[str]:
    said = distribution.read_text("top_level.txt")
    if said:
        return said.split()
    tops: Set[str] = set()
    for file in distribution.files or []:
        top = file.parts[0]
        if len(file.parts) > 1 and not top.endswith((".dist-info", ".egg-info")) and top not in ("..", "__pycache__"):
            tops.add(top)
        elif len(file.parts) == 1 and re.search(r"\.(py|so|pyd)$", top):
            tops.add(top.split(".")[0])
    return sorted(tops)


def _origin(distribution: importlib.metadata.Distribution) -> Dict[str, Any]:
    version = distribution.version
    direct = distribution.read_text("direct_url.json")
    if direct:
        origin = json.loads(direct)
        url = str(origin.get("url", ""))
        vcs = origin.get("vcs_info")
        if vcs:
            return {"version": version, "url": f"{vcs['vcs']}+{url}@{vcs['commit_id']}"}
        return {"version": version, "url": url}
    # Builds of one's own machine, 2.3.0+cu121, are in no index under that name.
    return {"version": version.split("+")[0], "url": None}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required_names(path: str, seen: Set[str]) -> Tuple[List[str], List[str]]:
    """Names in a file of requirements and in those that it names; the files. Names of options and of places are none."""
    path = os.path.realpath(path)
    if path in seen or not os.path.isfile(path):
        return [], []
    seen.add(path)
    with open(path, encoding="utf-8-sig") as file:
        text = file.read().replace("\\\n", " ")
    names: List[str] = []
    files = [path]
    for line in text.splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        other = re.match(r"(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)", line)
        if other:
            more, further = required_names(os.path.join(os.path.dirname(path), other.group(1)), seen)
            names.extend([] if line.startswith(("-c", "--c")) else more)
            files.extend(further)
        elif line and not line.startswith("-"):
            name = _NAME.match(line)
            if name is not None and "://" not in line.split("@")[0]:
                names.append(normal(name.group(1)))
    return names, files


def main() -> None:
    asked = json.loads(sys.argv[1])
    folder = asked["folder"]
    packages = Packages(asked["ours"])
    project = InspectedProject(folder, asked["definitions"], packages)
    names, files = required_names(os.path.join(folder, "requirements.txt"), set())
    imported = sorted({one["package"] for file in project.files.values() for one in file["imports"] if one["package"]})
    print(json.dumps({
        "version": "%d.%d" % sys.version_info[:2],
        "files": project.files,
        "paths": sorted(project.paths),
        "requirements": {"files": files, "names": names, "covered": [one["name"] for one in packages.closure(names)]} if files else None,
        "wanted": packages.closure([*imported, *[normal(name) for name in asked["declared"]]]),
        "imported": imported,
    }))
