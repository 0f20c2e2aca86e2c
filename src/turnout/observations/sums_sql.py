"""Forms of SQL that keep the sums of units and of arms by what each row adds to them.

The differences that an upsert makes are known in two ways. PostgreSQL 18 returns the old row
beside the new one. Before it, the former value is the present one less what was added.
"""
# ruff: noqa: S608  (composed of column names of ours; values are parameters)

from typing import Final

TOTALS: Final = ("units", "n", "n2", "x", "x2", "xn")
ARM: Final = ("split_id", "version_id")
WINDOW: Final = ("minute", "version_id", "split_id", "shadow")
LONG: Final = ("hours", "starts", *WINDOW[1:])
WITHIN_DAYS: Final = "day BETWEEN :first_day AND :last_day"
_ARM_METRIC: Final = (*ARM, "metric")
_UNIT_METRIC: Final = ("unit", *_ARM_METRIC)
_NX: Final = ("n", "x")

FAR_FROM_ZERO: Final = 1e5
"""From here on what values differ by may be lost in the sums of their squares."""

ABOUT_PIVOTS: Final = f"""
    present AS MATERIALIZED (
        SELECT split_id, metric FROM heard GROUP BY split_id, metric
    ), settled AS MATERIALIZED (
        SELECT split_id, metric, pivot FROM present CROSS JOIN LATERAL (
            SELECT pivot FROM arm_total
            WHERE model_id = :model_id AND arm_total.split_id = present.split_id
                AND arm_total.metric = present.metric
            LIMIT 1
        ) AS total
    ), middle AS (
        SELECT split_id, metric, percentile_disc(0.5) WITHIN GROUP (ORDER BY x) AS x
        FROM heard WHERE (split_id, metric) NOT IN (SELECT split_id, metric FROM settled)
        GROUP BY split_id, metric
    ), pivot AS MATERIALIZED (
        SELECT split_id, metric, pivot FROM settled
        UNION ALL
        SELECT split_id, metric, CASE WHEN abs(x) >= {FAR_FROM_ZERO} THEN x ELSE 0 END FROM middle
    ), chunk AS MATERIALIZED (
        SELECT unit, split_id, version_id, metric, n, x - pivot AS x
        FROM heard JOIN pivot USING (split_id, metric)
    )
"""
"""From `heard` a `chunk` of values less the pivot of their metric in their split.

The first fold of a metric in a split settles its pivot for all arms: the median, where that is far
from zero. One wild value among the first does not move it, and the next split starts afresh.
"""

IN_LONG: Final = """
    CROSS JOIN LATERAL (
        SELECT hours, date_bin(hours * '1 hour'::interval, minute, 'epoch'::timestamptz) AS starts
        FROM (VALUES (1), (24)) AS width (hours)
    ) AS long
"""
"""The hour and the day that a minute lies in."""

PIVOT: Final = """
    (SELECT pivot FROM pivot WHERE split_id = changed.split_id AND metric = changed.metric)
"""


def each(form: str, columns: tuple[str, ...]) -> str:
    return ", ".join(form.replace("?", column) for column in columns)


def added(*columns: str) -> str:
    return each("? = t.? + excluded.?", columns)


def minute_of(at: str) -> str:
    return f"date_bin('1 minute', {at}, 'epoch'::timestamptz)"


def summand(value: str) -> str:
    """Nothing is 0, and so is next to nothing: PostgreSQL refuses to square it ("underflow")."""
    return f"CASE WHEN abs({value}) > 1e-100 THEN {value} ELSE 0 END"


def returned(keys: tuple[str, ...], sums: tuple[str, ...], *, old_and_new: bool) -> str:
    before_and_after = "new.? AS ?, coalesce(old.?, 0) AS old_?"
    return f"{each('t.?', keys)}, {each(before_and_after if old_and_new else 't.?', sums)}"


def changed(
    group: tuple[str, ...], keys: tuple[str, ...], sums: tuple[str, ...], *, old_and_new: bool
) -> str:
    """Select the sums of each touched unit before and after the upsert `folded` of `delta`.

    The join is a full one because both sides have the same keys, and because a full join cannot
    become a nested loop, however wrong the planner's guess of their sizes is.
    """
    if old_and_new:
        return f"SELECT {each('?', group)}, {each('?, old_?', sums)} FROM folded"
    former = each("folded.?, folded.? - delta.? AS old_?", sums)
    joined = f"folded FULL JOIN delta USING ({each('?', keys)})"
    return f"SELECT {each('folded.?', group)}, {former} FROM {joined}"


def differences(n: str, x: str) -> tuple[str, ...]:
    """What the touched units add to the sums of `UnitTotals`, in the order of `TOTALS`."""
    return (
        f"count(*) FILTER (WHERE {n} > 0 AND old_{n} = 0)",
        f"sum({n} - old_{n})::bigint",
        f"sum({n} * {n} - old_{n} * old_{n})::bigint",
        f"sum({x} - old_{x})::float8",
        f"sum({x} * {x} - old_{x} * old_{x})::float8",
        f"sum({x} * {n} - old_{x} * old_{n})::float8",
    )


def of_batches(table: str, condition: str) -> str:
    """The rows of the batches, each found by the index of batches.

    A partition has no statistics in its first minutes, and without them the planner would rather
    read all rows of the model; OFFSET 0 leaves it no other way than batch by batch.
    """
    return f"""
        unnest(CAST(:seqs AS bigint[])) AS taken (seq) CROSS JOIN LATERAL (
            SELECT * FROM {table}
            WHERE model_id = :model_id AND batch_seq = taken.seq AND {condition}
            OFFSET 0
        ) AS {table}
    """


def fold_values(*, old_and_new: bool, pivot: str = "0") -> str:
    """Fold `chunk`, whose rows are a value x of a metric (and n = 1), into units and arms, and
    count them.

    A value without a unit is a unit of its own. Values are less `pivot`, which a new arm keeps.
    """
    return f"""
    delta AS (
        SELECT {each("?", _UNIT_METRIC)}, sum(n) AS n, sum(x) AS x
        FROM chunk WHERE unit IS NOT NULL GROUP BY {each("?", _UNIT_METRIC)} ORDER BY unit
    ), folded AS (
        INSERT INTO unit_outcome AS t (model_id, {each("?", _UNIT_METRIC)}, n, x)
        SELECT :model_id, {each("?", _UNIT_METRIC)}, n, x FROM delta
        ON CONFLICT (model_id, {each("?", _UNIT_METRIC)}) DO UPDATE SET {added(*_NX)}
        RETURNING {returned(_UNIT_METRIC, _NX, old_and_new=old_and_new)}
    ), changed AS (
        {changed(_ARM_METRIC, _UNIT_METRIC, _NX, old_and_new=old_and_new)}
        UNION ALL
        SELECT {each("?", _ARM_METRIC)}, n, 0, x, 0 FROM chunk WHERE unit IS NULL
    ), totals AS (
        INSERT INTO arm_total AS t
            (model_id, {each("?", _ARM_METRIC)}, {each("?", TOTALS)}, pivot)
        SELECT :model_id, {each("?", _ARM_METRIC)}, {", ".join(differences(*_NX))}, {pivot}
        FROM changed GROUP BY {each("?", _ARM_METRIC)}
        ON CONFLICT (model_id, {each("?", _ARM_METRIC)}) DO UPDATE SET {added(*TOTALS)}
    )
    SELECT count(*) FROM chunk
    """
