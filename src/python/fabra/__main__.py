"""`python -m fabra` is `fabra`: finds the executable that was installed with this package, and becomes it."""

import os
import sys
import sysconfig
from typing import Iterator, NoReturn


def places() -> Iterator[str]:
    """Where installers put scripts, the likeliest first."""
    yield sysconfig.get_path("scripts")
    package = os.path.dirname(os.path.abspath(__file__))
    # `pip install --target`; then an environment that this interpreter only looks into.
    yield os.path.join(os.path.dirname(package), "bin")
    yield os.path.join(package, *[os.pardir] * 4, "bin")
    user = f"{os.name}_user"
    if user in sysconfig.get_scheme_names():
        yield sysconfig.get_path("scripts", user)


def main() -> NoReturn:
    for place in places():
        program = os.path.join(place, "fabra")
        if os.access(program, os.X_OK) and os.path.isfile(program):
            os.execv(program, [program, *sys.argv[1:]])
    sys.exit(f"fabra: the executable is not where installers put it ({', '.join(places())}). Install fabra again.")


if __name__ == "__main__":
    main()
