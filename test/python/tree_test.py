"""What is read from a project's files. Run by tree.test.ts with every Python that is found; argument: the folder with the package fabra."""
import importlib
import os
import subprocess
import sys
import tempfile
import textwrap
import types
import unittest
from typing import Any, Dict, List

SOURCE = sys.argv.pop(1)
package = types.ModuleType("fabra")
package.__path__ = [os.path.join(SOURCE, "fabra")]
for name in ("feature", "entity", "source", "feature_set", "pushed", "get"):
    setattr(package, name, lambda *args, **options: (args[0] if args and callable(args[0]) else lambda fn: fn))
setattr(package, "db", None)
sys.modules["fabra"] = package
tree = importlib.import_module("fabra._tree")

count = 0


class WrittenProject:
    """A folder of files, its features.py imported; every project is its own top-level package, so that tests do not meet."""

    def __init__(self, files: Dict[str, str]) -> None:
        global count
        count += 1
        base = os.path.realpath(tempfile.mkdtemp())
        self.name = f"project{count}"
        self.root = os.path.join(base, self.name)
        for path, text in {"__init__.py": "", **files}.items():
            full = os.path.join(self.root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(textwrap.dedent(text))
        sys.path.insert(0, base)
        self.module = importlib.import_module(self.name + ".features")
        self.tree = tree.ProjectTree([self.root])

    def read(self, name: str) -> Any:
        return self.tree.function(getattr(self.module, name))

    def clock(self, name: str) -> List[str]:
        return [f"{os.path.basename(at['file'])}:{at['line']} {at['what']}" for at in self.read(name).clock]


def code(text: str, files: Dict[str, str] = {}, name: str = "f") -> str:
    return str(WrittenProject({"features.py": text, **files}).read(name).code)


class Types(unittest.TestCase):
    def test_every_way_to_write_a_type_is_read(self) -> None:
        head = """
            from __future__ import annotations
            import datetime, typing, typing as t, enum, dataclasses, collections.abc
            from datetime import datetime as moment
            from typing import Any, Dict, List, Literal, NewType, Optional, Union, Annotated, Awaitable, NamedTuple, TypedDict
            UserId = NewType("UserId", str)
            Scores = Dict[str, float]
            Later = "List[int]"
            class Level(str, enum.Enum):
                LOW = "low"
            @dataclasses.dataclass
            class Point:
                x: int
            class Row(TypedDict):
                a: int
            class Pair(NamedTuple):
                a: int
        """
        expected = {
            "int": "int", "float": "float", "str": "string", "bool": "bool", "list": "list", "dict": "dict", "moment": "timestamp",
            "datetime.datetime": "timestamp", "None": "json?", "Any": "json", "object": "json", "t.Any": "json",
            "list[str]": "list list[str]", "List[str]": "list list[str]", "t.List[float]": "list list[float]", "typing.List": "list",
            "list[list[int]]": "list list[list[int]]", "list[str | None]": "list list[Optional[str]]", "dict[str, float]": "dict dict[str, float]",
            "Dict[str, Any]": "dict dict[str, Any]", "tuple[int, ...]": "list list[int]", "tuple[int, str]": "list", "list[Any]": "list",
            "Optional[int]": "int?", "Union[int, None]": "int?", "int | None": "int?", "None | list[str]": "list list[str]?",
            "int | float": "float", "int | str": "json", "Union[int, float, None]": "float?", "'Optional[str]'": "string?", '"int"': "int",
            "Literal['a', 'b']": "string", "Literal[1, None]": "int?", "Annotated[int, 'how many']": "int", "Awaitable[int]": "int",
            "UserId": "string", "Scores": "dict dict[str, float]", "Later": "list list[int]", "Level": "string", "Point": "dict", "Row": "dict",
            "Pair": "list", "collections.abc.Mapping[str, int]": "dict dict[str, int]",
        }
        body = "".join(f"\ndef f{index}() -> {annotation}: ...\n" for index, annotation in enumerate(expected))
        project = WrittenProject({"features.py": textwrap.dedent(head) + body})
        for index, (annotation, shown) in enumerate(expected.items()):
            found = project.read(f"f{index}")
            self.assertEqual(found.problems, [], annotation)
            spec = found.returns
            self.assertEqual(" ".join(filter(None, [spec.type, spec.element])) + ("?" if spec.nullable else ""), shown, annotation)

    def test_what_is_no_type_is_a_problem_with_its_place(self) -> None:
        project = WrittenProject({"features.py": """
            from __future__ import annotations
            from datetime import timedelta
            def helper(): ...
            LIMIT = 5
            def f0() -> stirng: ...
            def f1() -> 5: ...
            def f2() -> helper: ...
            def f3() -> "not a type": ...
            def f4(a: int, b: "é", c: LIMIT = 1) -> set[int]: ...
            def f5() -> len: ...
            def f6() -> dict[int, str]: ...
            def f7() -> int[str]: ...
            def f8() -> datetime: ...
            def f9() -> timedelta: ...
            def string() -> str: ...
            import os, uuid as u
            def f10() -> os.path: ...
            def f11() -> list[u]: ...
        """})
        found = [problem for index in range(12) for problem in project.read(f"f{index}").problems]
        places = [(problem["location"]["line"], problem["location"]["column"]) for problem in found]
        self.assertEqual(places, [(6, 13), (7, 13), (8, 13), (9, 13), (10, 41), (10, 19), (10, 27), (11, 13), (12, 13), (13, 13), (14, 13), (15, 13), (18, 14), (19, 19)])
        self.assertTrue(all(problem["location"]["file"].endswith("features.py") and problem["hint"] for problem in found))
        self.assertIn("Did you mean string?", found[0]["hint"])
        self.assertIn("sorted(values)", found[4]["hint"])
        self.assertIn("from datetime import datetime", found[-4]["hint"])
        self.assertEqual([problem["hint"] for problem in found[-1:]], ["Write u.UUID."])

    def test_keys_of_a_class_are_its_annotated_names_in_order(self) -> None:
        project = WrittenProject({"base.py": "class Base:\n    tenant: int\n", "features.py": """
            from typing import ClassVar
            from .base import Base
            class Pair(Base):
                user_id: str
                table: ClassVar[str] = "x"
                merchant_id: "int"
                wrong: Nothing if False else int = 1
                other = 5
        """})
        found = project.tree.class_tree(project.module.Pair)
        self.assertEqual([(name, spec.type) for name, spec in found.columns], [("tenant", "int"), ("user_id", "string"), ("merchant_id", "int")])
        self.assertEqual([problem["location"]["line"] for problem in found.problems], [8])

    def test_variables_are_described_by_the_text_after_or_the_comment_before(self) -> None:
        project = WrittenProject({"features.py": '''
            spend = 1
            """What was spent.

            More."""
            #: Pushed
            #: nightly.
            churn: int = 2
            # Not this.
            other = 3
        '''})
        self.assertEqual(project.tree.docs(os.path.join(project.root, "features.py")), {"spend": "What was spent.", "churn": "Pushed nightly."})


class Code(unittest.TestCase):
    def test_comments_layout_types_docstrings_and_options_do_not_count(self) -> None:
        plain = 'from fabra import feature\n@feature(refresh=5)\ndef f(u: str) -> int:\n    """One."""\n    return len(u)\n'
        other = 'import fabra as fb\n\n@fb.feature(refresh="7m", default=3)\ndef f(u):\n    # Why.\n    return (len(\n        u))\n'
        self.assertEqual(code(plain), code(other))

    def test_what_it_reaches_by_name_counts_and_nothing_else(self) -> None:
        files = {
            "rules.py": "from .deep import limit\nfrom . import unrelated\nclass Rule:\n    def cap(self, x): return min(x, limit())\n",
            "deep.py": "MOST = 10\ndef limit(): return MOST\ndef other(): return 1\n",
            "unrelated.py": "X = 1\n",
            "shared/__init__.py": "from .inner import scale\n",
            "shared/inner.py": "def scale(x): return x * 2\n",
        }
        text = "from . import rules\nfrom .shared import scale as s\nimport logging\nTABLE = {}\nTABLE['a'] = 1\nUNUSED = 5\ndef f(u): return rules.Rule().cap(s(TABLE[u]))\n"
        before = code(text, files)

        def differs(changed: Dict[str, str] = {}, own: str = text) -> bool:
            return code(own, {**files, **changed}) != before

        self.assertFalse(differs())
        self.assertTrue(differs({"deep.py": files["deep.py"].replace("10", "11")}))
        self.assertTrue(differs({"shared/inner.py": "def scale(x): return x * 3\n"}))
        self.assertTrue(differs(own=text.replace("= 1\n", "= 2\n")))
        self.assertFalse(differs({"deep.py": files["deep.py"].replace("return 1", "return 2")}))
        self.assertFalse(differs({"unrelated.py": "X = 2\n"}))
        self.assertFalse(differs(own=text.replace("UNUSED = 5", "UNUSED = 6")))

    def test_other_features_count_by_name_unless_they_are_called(self) -> None:
        text = "from fabra import feature, get\n@feature(refresh=1)\ndef g(u): return 1\n@feature(refresh=1)\ndef f(u): return get(g)\n"
        self.assertEqual(code(text), code(text.replace("return 1", "return 2")))
        called = text.replace("get(g)", "g(u)")
        self.assertNotEqual(code(called), code(called.replace("return 1", "return 2")))

    def test_functions_made_by_a_function_differ_by_what_they_hold(self) -> None:
        text = "def make(days):\n    def inner(u): return days\n    return inner\nf = make({})\n"
        self.assertNotEqual(code(text.format(7)), code(text.format(30)))
        wrapped = "def twice(fn):\n    def run(*args): return fn(*args) * 2\n    return run\n@twice\ndef f(u): return {}\n"
        self.assertNotEqual(code(wrapped.format(1)), code(wrapped.format(2)))

    def test_a_module_that_is_imported_by_a_call_counts(self) -> None:
        text = "from importlib import import_module\ndef f(u): return import_module('project{}.late').LIMIT\n"
        one = code(text.format(count + 1), {"late.py": "LIMIT = 1\n"})
        self.assertIn("LIMIT", one)
        self.assertIn("0x1", one)

    def test_installed_packages_in_the_folder_are_not_the_project(self) -> None:
        lib = ".venv/lib/site-packages/other.py"
        text = "import sys, os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), '.venv/lib/site-packages'))\nimport other\nsys.path.pop(0)\ndel sys.modules['other']\ndef f(u): return other.x()\n"
        one = code(text, {lib: "def x(): return 1\n", ".venv/pyvenv.cfg": ""})
        self.assertEqual(one, code(text, {lib: "def x(): return 2\n", ".venv/pyvenv.cfg": ""}))
        self.assertIn("package other.x", one)

    def test_a_thousand_terms_are_read(self) -> None:
        self.assertGreater(len(code("def f(u): return " + " + ".join(["u"] * 1000) + "\n")), 1000)


class Clock(unittest.TestCase):
    def test_clocks_and_randomness_are_found(self) -> None:
        project = WrittenProject({
            "helpers.py": """
                import random
                from datetime import datetime
                START = datetime.now()
                generator = random.Random(7)
                class Dice:
                    def roll(self): return random.randint(1, 6)
                def stamp(): return START
                def draw(): return generator.random()
            """,
            "features.py": """
                import datetime as dt, os, random, secrets, time, uuid
                from importlib import import_module
                from time import time as seconds
                from . import helpers
                from .helpers import stamp as mark
                def f0(u): return dt.datetime.now()
                def f1(u): now = dt.datetime.now; return now()
                def f2(u): d = dt.datetime; return d.utcnow()
                def f3(u): return getattr(dt.datetime, "now")()
                def f4(u): return list(map(seconds, []))
                def f5(u):
                    from random import choice as pick
                    return pick([1])
                def f6(u): return helpers.Dice().roll()
                def f7(u): return mark()
                def f8(u): return helpers.draw()
                def f9(u): return __import__("time").time()
                def f10(u): return import_module("secrets").token_hex()
                def f11(u, at=dt.date.today()): return at
                def f12(u): return time.strftime("%H")
                def f13(u): return random.Random().random()
                def f14(u): return [uuid.uuid4() for _ in range(3)]
                def f15(u): return os.urandom(3)
                def f16(u): return (lambda: secrets.choice([u]))()
                def f17(u): return time.localtime(None)
            """,
        })
        expected = """features.py:7 datetime.datetime.now, features.py:8 datetime.datetime.now, features.py:9 datetime.datetime.utcnow,
            features.py:10 datetime.datetime.now, features.py:11 time.time, features.py:14 random.choice, helpers.py:7 random.randint,
            helpers.py:4 datetime.datetime.now, helpers.py:5 random.Random, features.py:18 time.time, features.py:19 secrets.token_hex,
            features.py:20 datetime.date.today, features.py:21 time.strftime, features.py:22 random.Random, features.py:23 uuid.uuid4,
            features.py:24 os.urandom, features.py:25 secrets.choice, features.py:26 time.localtime"""
        for index, one in enumerate(expected.split(",")):
            self.assertEqual(project.clock(f"f{index}"), [one.strip()], f"f{index}")

    def test_files_are_named_as_they_are_given_though_a_link_leads_there(self) -> None:
        project = WrittenProject({"features.py": "import time\ndef f(u): return time.time()\n"})
        link = project.root + "_link"
        os.symlink(project.root, link)
        linked = tree.ProjectTree([link])
        self.assertEqual([at["file"] for at in linked.function(project.module.f).clock], [os.path.join(link, "features.py")])
        self.assertIn(os.path.join(link, "features.py"), linked.files())

    def test_what_only_looks_like_a_clock_is_none(self) -> None:
        project = WrittenProject({"features.py": """
            import datetime as dt, random as rnd, time, uuid
            from dataclasses import dataclass
            def f0(u): random = rnd_of(u); return random.random()
            def rnd_of(u): return rnd.Random(5)
            def f1(u): return rnd.Random(u).random()
            def f2(u): return time.strptime(u, "%H")
            def f3(u): return dt.datetime.fromtimestamp(4, dt.timezone.utc)
            def f4(u, time): return time.time()
            def f5(u): return time.strftime("%H", time.gmtime(u))
            def f6(u): return uuid.UUID(u), [time for time in u]
            class Row:
                def now(self): return 1
            def f7(u): return Row().now()
        """})
        for index in range(8):
            self.assertEqual(project.clock(f"f{index}"), [], f"f{index}")

    def test_packages_that_say_now_are_found_without_them(self) -> None:
        project = WrittenProject({"features.py": """
            def f(u):
                import numpy as np, pandas as pd
                from numpy.random import default_rng
                return np.datetime64("now"), np.datetime64("2020-01-01"), pd.Timestamp("now"), pd.Timestamp.now(), np.random.rand(), default_rng(7)
        """})
        self.assertEqual([at.split(" ", 1)[1] for at in project.clock("f")],
            ["numpy.datetime64('now')", "pandas.Timestamp('now')", "pandas.Timestamp.now", "numpy.random.rand"])


class Load(unittest.TestCase):
    def test_an_older_python_says_what_a_union_needs(self) -> None:
        try:
            exec("def f() -> list[str] | None: ...")
            self.assertGreaterEqual(sys.version_info, (3, 10))
        except TypeError as error:
            self.assertIn("Optional[X], or from __future__ import annotations", tree.hint_for_load_error(error))

    def test_reading_needs_no_slow_module_of_the_library(self) -> None:
        script = "import sys; sys.path.insert(0, sys.argv[1]); import fabra._tree; print('asyncio' in sys.modules, 'inspect' in sys.modules)"
        with tempfile.TemporaryDirectory() as folder:
            os.makedirs(os.path.join(folder, "fabra"))
            with open(os.path.join(folder, "fabra", "__init__.py"), "w") as file:
                file.write(f"__path__ = [{os.path.join(SOURCE, 'fabra')!r}]\n")
            done = subprocess.run([sys.executable, "-c", script, folder], stdout=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout.decode().strip(), "False False")


if __name__ == "__main__":
    unittest.main()
