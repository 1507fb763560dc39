"""Everything that Python 3.9 can say in a function, for the fingerprints that are recorded. Never run."""
import math as m
from collections.abc import Iterable

LIMIT: int = 10**3
SCALES = {"a": 1, **{"b": 0x_FF, "c": 1_000_000_000_000_000_000_000}, "d": 1e400, "e": -0.0, "f": 3.5j}


def constants(u):
    """Not counted."""
    return [None, True, ..., 0, 0o17, 0b1, 1e-5, 1e16, 0.1 + 0.2, b"\x00\xff", "é\n\t'\"\\", '\ud800', "a" "b", r"\d", u"u", LIMIT, SCALES]


def strings(u, width=3):
    a = f"{u}"
    b = f"x{u!r:>{width}}y{u:{'>'}{width}.2f}z" f"{u + 1}" "plain" f"{{}}" f""
    c = f"""{
        u
    }{u=}{u = !s}""" + rf"\d{u}"
    return a, b, c, "%s" % u, f"{u:%Y-%m-%d}{'nested'}{u!a}" f"{f'{u}'}" f'{u["key"]}'


def flow(u: Iterable[int], *rest, key=None, **others) -> int:
    global LIMIT
    total = 0
    for i, (a, *b) in enumerate(u):
        if i > 3 and not a or b is None:
            continue
        elif a in b:
            break
        while a := total:
            total += a
        else:
            pass
    else:
        total -= 1
    try:
        assert total, "none"
        del total
    except (ValueError, KeyError) as error:
        raise RuntimeError("x") from error
    except Exception:
        raise
    else:
        LIMIT = 1
    finally:
        print(*rest, sep="", **others)
    with open(u) as one, open(u):
        return lambda x, /, y=1, *, z: (x, y, z)


def expressions(u, p, /, q=2, *, r=3):
    x = u[1:2, ::3, ...], u[m.floor(1.5)], u[-1], u[:], u[(1, 2)]
    y = [a async for a in u] if q else {a: b for a, b in u if a if b}
    z = {a for a in u} | {1, 2}, (a for b in u for a in b)
    a = b = u @ p ** q // r % 2 << 1 >> 2 & 3 ^ 4 | ~5
    c: int
    d: "str" = u if p else q
    a, (b, *c) = u, *x
    a.b.c[0] += y(z, *x, k=1, **d)
    return 1 < u <= 3 != 4 is not None, not u, +u, -u


async def later(u):
    async with u as v, u:
        async for w in v:
            await w
    nonlocal_value = 1

    def inner():
        nonlocal nonlocal_value
        nonlocal_value = 2
        yield
        yield from u
        x = yield u
        return x

    return inner


@m.cached(1)
class Shape(Iterable, metaclass=type):
    """Not counted."""

    sides: int = 4

    @property
    def area(self): return self.sides ** 2

    @staticmethod
    def of(u: "Shape" = None) -> "Shape": return Shape()


def reaches(u):
    import os.path as path
    from . import every_syntax
    return Shape.of(u).area, constants(path.join(u)), expressions
