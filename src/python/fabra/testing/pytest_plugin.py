"""The fixture `fabra_store`, of every pytest that runs where fabra is installed."""

import os
from typing import Any, Dict, Iterator, List, Tuple

import pytest

_FILES = ("features.ts", "features.py")


def pytest_addoption(parser: Any) -> None:
    parser.addini("fabra_files", "definition files of the fixture fabra_store", type="args", default=[])


@pytest.fixture(scope="session")
def _fabra_stores() -> Iterator[Dict[Tuple[str, ...], Any]]:
    stores: Dict[Tuple[str, ...], Any] = {}
    yield stores
    for one in stores.values():
        one.close()


@pytest.fixture
def fabra_store(request: Any, _fabra_stores: Dict[Tuple[str, ...], Any]) -> Any:
    """A store of the features beside the test, or in the nearest folder above it; `fabra_files` in the ini file names others."""
    from . import store

    files = tuple(_definitions(request))
    if files not in _fabra_stores:
        _fabra_stores[files] = store(*files)
    return _fabra_stores[files]


def _definitions(request: Any) -> List[str]:
    root = str(request.config.rootpath)
    named: List[str] = request.config.getini("fabra_files")
    if named:
        return [os.path.join(root, name) for name in named]
    folder = os.path.dirname(os.path.abspath(str(request.path)))
    while True:
        found = [os.path.join(folder, name) for name in _FILES if os.path.exists(os.path.join(folder, name))]
        above = os.path.dirname(folder)
        if found or folder in (root, above):
            break
        folder = above
    if not found:
        pytest.fail("There is no features.ts or features.py beside this test or above it. Name files: fabra_files in the ini file.", False)
    return found
