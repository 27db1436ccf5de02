"""Networks chosen among others by what a person prefers: bounds, a reference point, trade-offs, the knee."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from evo_qnas.archive.header import Header
from evo_qnas.errors import ArchiveError, ProblemError, TableError
from evo_qnas.problem.terms import parse_term
from evo_qnas.spaces import parse_limit
from evo_qnas.tables import Tables

# Weight of the sum of all deviations beside the largest one, which keeps beaten networks from being chosen.
_AUGMENTATION = 1e-4


def column_of(
    header: Header, tables: Tables | None, name: str, genomes: Int[np.ndarray, "n blocks"], outside: np.ndarray
) -> Float[np.ndarray, " n"]:
    """(n,) values of an objective (as the user reads it) or of a column of the tables.

    Raises:
        ArchiveError: there is no such objective or column; the text lists what there is.
    """
    names = [info.name for info in header.objectives]
    if name in names:
        values: np.ndarray = outside[:, names.index(name)]
        return values
    if tables is not None and name in tables.columns:
        return tables.total(name, genomes)
    there = ", ".join(dict.fromkeys([*names, *(tables.columns if tables is not None else ())]))
    raise ArchiveError(f"the archive knows no {name!r}; there are: {there}")


def within(
    header: Header, tables: Tables | None, limit: str, genomes: Int[np.ndarray, "n blocks"], outside: np.ndarray
) -> Bool[np.ndarray, " n"]:
    """(n,) bool: networks that meet a limit such as `size_bytes <= 30000`.

    Raises:
        ArchiveError: the limit cannot be read or names nothing that the archive has.
    """
    try:
        parsed = parse_limit(limit)
        if tables is None or parsed.name in [info.name for info in header.objectives]:
            return parsed.holds(column_of(header, tables, parsed.name, genomes, outside))
        return parsed.holds(parse_term(parsed.name, tables).values(tables, genomes))
    except (ProblemError, TableError) as error:
        raise ArchiveError(str(error)) from error


def scaled(points: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
    """Minimised objectives, each from 0 at its best to 1 at its worst among the points."""
    low = points.min(axis=0)
    span = points.max(axis=0) - low
    values: np.ndarray = (points - low) / np.where(span > 0, span, 1.0)
    return values


def knee_of(points: Float[np.ndarray, "n m"]) -> int:
    """The point farthest below the hyperplane through the extremes of a front: the least sum of scaled objectives.

    Source:
        Das 1999, "On characterizing the knee of the Pareto curve", with the hyperplane at equal scaled objectives.

    Example:
        >>> knee_of(np.array([[0.0, 1.0], [0.2, 0.3], [1.0, 0.0]]))
        1
    """
    return int(scaled(points).sum(axis=1).argmin())


def bounded(
    header: Header,
    tables: Tables | None,
    limits: Sequence[str],
    genomes: Int[np.ndarray, "n blocks"],
    outside: Float[np.ndarray, "n m"],
) -> Int[np.ndarray, " k"]:
    """Positions of the networks that meet all limits.

    Raises:
        ArchiveError: a limit cannot be read, names nothing that the archive has, or leaves no network; the text says
            what can be reached.
    """
    kept = np.arange(len(genomes))
    for limit in limits:
        inside = within(header, tables, limit, genomes[kept], outside[kept])
        if not inside.any():
            name = parse_limit(limit).name
            values = _values(header, tables, name, genomes[kept], outside[kept])
            there = f"they go from {values.min():.6g} to {values.max():.6g}" if len(values) else "there is none"
            raise ArchiveError(f"none of {len(kept)} networks meets {limit}: {there}")
        kept = kept[inside]
    return kept


def _values(
    header: Header, tables: Tables | None, name: str, genomes: Int[np.ndarray, "n blocks"], outside: np.ndarray
) -> Float[np.ndarray, " n"]:
    if tables is None or name in [info.name for info in header.objectives]:
        return column_of(header, tables, name, genomes, outside)
    return parse_term(name, tables).values(tables, genomes)


def nearest_to(
    points: Float[np.ndarray, "n m"], header: Header, reference_point: Mapping[str, float], among: Int[np.ndarray, " k"]
) -> int:
    """The position of the network that reaches a reference point best, or goes beyond it the furthest.

    Args:
        points: minimised objectives of a front.
        header: names and directions.
        reference_point: wished-for values by objective, each in its own direction; what is not named is of no account
            but where networks are equal otherwise.
        among: positions that may be chosen.

    Raises:
        ArchiveError: a name is no objective, or a value is no number.

    Source: Wierzbicki 1980 (augmented achievement scalarising function), each objective in the front's range.
    """
    names = [info.name for info in header.objectives]
    unknown = [name for name in reference_point if name not in names]
    if unknown or not reference_point:
        asked = repr(unknown[0]) if unknown else "nothing"
        raise ArchiveError(f"the reference point names {asked}; there are: {', '.join(names)}")
    target = np.full(len(names), np.nan)
    for name, value in reference_point.items():
        number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if not number or not abs(value) < np.inf:
            raise ArchiveError(f"the reference point's {name} must be a number, got {value!r:.60}")
        at = names.index(name)
        target[at] = -value if header.objectives[at].maximize else value
    span = np.ptp(points, axis=0)
    span = np.where(span > 0, span, 1.0)
    low = np.where(np.isnan(target), points.min(axis=0), target)
    deviation = (points[among] - low) / span
    worst = np.where(np.isnan(target), -np.inf, deviation).max(axis=1)
    return int(among[(worst + _AUGMENTATION * deviation.sum(axis=1)).argmin()])


def parsed_trade_off(text: str, header: Header) -> tuple[int, int, float]:
    """Paid objective, gained objective and price of a limit such as `size_bytes per score <= 2000`.

    Raises:
        ArchiveError: it cannot be read, or names what is no objective.
    """
    try:
        limit = parse_limit(text)
    except ProblemError as error:
        raise ArchiveError(str(error)) from error
    names = [info.name for info in header.objectives]
    paid, word, gained = limit.name.partition(" per ")
    ends = paid.strip(), gained.strip()
    if not word or np.isfinite(limit.low) or not limit.high > 0 or ends[0] == ends[1]:
        raise ArchiveError(f"trade-off {text!r} cannot be read: write 'size_bytes per score <= 2000'")
    for name in ends:
        if name not in names:
            raise ArchiveError(f"trade-off {text!r}: there is no objective {name!r}; there are: {', '.join(names)}")
    return names.index(ends[0]), names.index(ends[1]), limit.high


def worth_their_price(
    points: Float[np.ndarray, "n m"], trade_offs: Sequence[tuple[int, int, float]]
) -> Bool[np.ndarray, " n"]:
    """(n,) bool: networks that no other one makes too dear.

    One is too dear where another has less of the paid objective and more of the gained one, is no worse in the rest,
    and the difference costs more than the price.

    Args:
        points: minimised objectives of a front.
        trade_offs: paid objective, gained objective, and the most of the one for a unit of the other.
    """
    fine = np.ones(len(points), dtype=bool)
    for paid, gained, price in trade_offs:
        rest = [column for column in range(points.shape[1]) if column not in {paid, gained}]
        for at, point in enumerate(points):
            costs, gains = point[paid] - points[:, paid], points[:, gained] - point[gained]
            cheaper = (costs > price * gains) & (gains > 0)
            fine[at] &= not (cheaper & (points[:, rest] <= point[rest]).all(axis=1)).any()
    return fine


def chosen_at(
    points: Float[np.ndarray, "n m"],
    header: Header,
    reference_point: Mapping[str, float] | None,
    trade_offs: Sequence[str],
) -> int:
    """The position of the network that a person prefers.

    Of the networks that are worth their price (all of them without trade-offs) the one that reaches the reference point
    best; without one the least sum of what is paid and of what is gained at its price; without either the knee.

    Raises:
        ArchiveError: there is no network, or a preference cannot be read.
    """
    if not len(points):
        raise ArchiveError("there is no network to choose from")
    prices = [parsed_trade_off(text, header) for text in trade_offs]
    among = np.flatnonzero(worth_their_price(points, prices))
    if not len(among):
        raise ArchiveError(f"no network is worth its price under {' and '.join(trade_offs)}: raise the prices")
    if reference_point is not None:
        return nearest_to(points, header, reference_point, among)
    if not prices:
        return knee_of(points)
    # What costs just its price is worth it.
    spent = np.sum([points[among, paid] / price + points[among, gained] for paid, gained, price in prices], axis=0)
    return int(among[np.lexsort((points[among, prices[0][1]], np.round(spent, 12)))[0]])
