"""Statements that read what versions did, from the longest windows that cover a stretch of time."""
# ruff: noqa: S608  (composed of names of ours; values are parameters)

from typing import Final

_TOTALS: Final = """
    sum(n)::bigint AS n, sum(errors)::bigint AS errors,
    sum(labelled)::bigint AS labelled, sum(correct)::bigint AS correct,
    sum(latency_n)::bigint AS latency_n, sum(latency) AS latency,
    sum(confidence_n)::bigint AS confidence_n, sum(confidence) AS confidence,
    sum(cost_n)::bigint AS cost_n, sum(cost) AS cost
"""
_WINDOW: Final = (
    "version_id, shadow, n, errors, labelled, correct, latency_n, latency, confidence_n,"
    " confidence, cost_n, cost, buckets, counts"
)
_OF_VERSION: Final = "(CAST(:version_id AS int) IS NULL OR version_id = :version_id)"

# From which table, and between which two times, the windows of a `Cover` are read.
_STRETCHES: Final = (
    ("minute", "minute", "since", "first_hour"),
    ("long", "hours = 1 AND starts", "first_hour", "first_day"),
    ("long", "hours = 24 AND starts", "first_day", "last_day"),
    ("long", "hours = 1 AND starts", "last_day", "last_hour"),
    ("minute", "minute", "last_hour", "until"),
)


def _covering(kind: str, minutes: str, longer: str) -> str:
    """The rows of a `Cover`, in which each minute counts once."""
    columns = {"minute": minutes, "long": longer}
    return " UNION ALL ".join(
        f"""
        SELECT {columns[width]} FROM {width}_{kind}
        WHERE model_id = :model_id AND {starts} >= :{first} AND {starts.split()[-1]} < :{last}
            AND {_OF_VERSION}
        """
        for width, starts, first, last in _STRETCHES
    )


def sums(group: str, *, bins: bool = False) -> str:
    """Add up the windows and their sketches per `group`, in the database: a history of sketches is
    a hundred thousand numbers.

    Sketches are unnested in the SELECT list, which hands on each number as it comes; as a function
    in FROM it would be called, and its answer kept, for every window by itself. The windows are
    read twice, which takes less than to write a week of minutes to a temporary file.
    """
    return f"""
    WITH part AS NOT MATERIALIZED ({_windows(bins=bins)}), sketch AS (
        SELECT {group}, array_agg(bucket ORDER BY bucket) AS buckets,
            array_agg(n ORDER BY bucket) AS counts
        FROM (
            SELECT {group}, bucket, sum(number)::bigint AS n
            FROM (
                SELECT {group}, unnest(buckets) AS bucket, unnest(counts) AS number FROM part
            ) AS each
            GROUP BY {group}, bucket
        ) AS bucket_count
        GROUP BY {group}
    ), total AS (
        SELECT {group}, {_TOTALS} FROM part GROUP BY {group}
    )
    SELECT total.*, coalesce(buckets, '{{}}') AS buckets, coalesce(counts, '{{}}') AS counts
    FROM total LEFT JOIN sketch USING ({group})
    ORDER BY {group}
    """


def plain_sums(group: str, *, bins: bool = False) -> str:
    """The same without the sketches, which cost the most."""
    return f"""
    SELECT {group}, {_TOTALS}, '{{}}'::int[] AS buckets, '{{}}'::bigint[] AS counts
    FROM ({_windows(bins=bins)}) AS part GROUP BY {group} ORDER BY {group}
    """


def _windows(*, bins: bool) -> str:
    """With `bins`, what was served, and the start of the interval that each window lies in."""
    if not bins:
        return _covering("window", _WINDOW, _WINDOW)
    minutes, longer = (
        f"{_WINDOW}, date_bin(:every, {starts}, :since) AS bin" for starts in ("minute", "starts")
    )
    return f"SELECT * FROM ({_covering('window', minutes, longer)}) AS every WHERE NOT shadow"


CLASSES: Final = f"""
    SELECT version_id, shadow, label, sum(n)::bigint AS n
    FROM ({_covering("class", *2 * ["version_id, shadow, label, n"])}) AS part
    GROUP BY version_id, shadow, label
    ORDER BY n DESC, label
"""
