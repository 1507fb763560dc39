"""Clocks and randomness by name: a function that uses them has no value at a past time that could be computed again.

What installed packages do inside is not seen. Nothing pins the clock: a patched clock misses every reference that was taken before, and is
everybody's.
"""
from __future__ import annotations

import ast
from typing import Optional

from ._modules import Package
from ._scopes import Mention

_ALWAYS = frozenset(
    f"{module}.{name}"
    for module, names in {
        "time": "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns thread_time clock_gettime clock_gettime_ns",
        "datetime": "datetime.now datetime.utcnow datetime.today date.today",
        "os": "urandom getrandom times",
        "uuid": "uuid1 uuid4 uuid6 uuid7",
        "pandas": "Timestamp.now Timestamp.today Timestamp.utcnow DatetimeIndex.now",
        "arrow": "now utcnow",
        "pendulum": "now today tomorrow yesterday",
        "django": "utils.timezone.now utils.timezone.localdate utils.timezone.localtime",
        "torch": "rand randn randint randperm rand_like randn_like randint_like bernoulli multinomial normal",
        "email": "utils.localtime",
    }.items()
    for name in names.split()
)
# Everything in them, but for what makes a generator of its own, which is as good as its seed.
_RANDOM = ("random.", "numpy.random.", "secrets.", "cupy.random.")
_GENERATORS = frozenset(
    ["random.Random", "numpy.random.default_rng", "numpy.random.RandomState", "numpy.random.SeedSequence"]
    + ["numpy.random." + name for name in ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")]
)
_NO_RANDOMNESS = frozenset(
    ["random.seed", "numpy.random.seed", "secrets.compare_digest", "numpy.random.Generator", "numpy.random.BitGenerator"]
)
# With so many arguments the time is given.
_TIME_GIVEN = {"time.localtime": 1, "time.gmtime": 1, "time.ctime": 1, "time.asctime": 1, "time.strftime": 2, "arrow.get": 1}
_SAYS_NOW = frozenset(["numpy.datetime64", "pandas.Timestamp", "pandas.to_datetime", "pandas.DatetimeIndex", "dateparser.parse"])


def clock_of(mention: Mention, is_kept: bool) -> Optional[str]:
    """@param is_kept At the top level of a module: a generator made there goes on from call to call.
    @returns the name of the clock or generator, as its package calls it."""
    if not isinstance(mention.origin, Package):
        return None
    name = mention.origin.name
    call = mention.call
    given = len(call.args) + len(call.keywords) if call is not None else 0
    if call is not None and any(isinstance(argument, ast.Constant) and argument.value is None for argument in call.args):
        given = 0 if len(call.args) == 1 else given
    if name in _GENERATORS:
        # Only mentioned, it is a type or it is called elsewhere with a seed, as far as can be told.
        return name if call is not None and (given == 0 or is_kept) else None
    if name in _NO_RANDOMNESS:
        return None
    if name in _ALWAYS or name.startswith(_RANDOM):
        return name
    if name in _TIME_GIVEN:
        return name if call is None or given < _TIME_GIVEN[name] else None
    if name in _SAYS_NOW and call is not None and call.args:
        said = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
        return f"{name}({said!r})" if isinstance(said, str) and said.strip().lower() in ("now", "today") else None
    return None
