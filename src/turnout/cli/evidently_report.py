"""Evidently's own report, over raw rows. Whoever imports this waits for seconds, and needs 1 GB."""

import io
import os

from turnout.cli.remote import fail

os.environ.setdefault("DO_NOT_TRACK", "1")  # it would tell its makers, at the first import

try:
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset
except ImportError as error:
    raise fail(
        f"Evidently is not installed ({error}): pip install 'turnout[evidently]', which is 1 GB"
    ) from None


def html(current: bytes, reference: bytes) -> str:
    """Compare the columns that both tables have values in."""
    tables = [pd.read_csv(io.BytesIO(found)) for found in (current, reference)]
    now, before = (table.dropna(axis="columns", how="all") for table in tables)
    names = [name for name in now.columns if name in before.columns]
    if not names:
        raise fail("there is no column with values in both tables: are features reported?")
    numbers = [
        name
        for name in names
        if all(pd.api.types.is_numeric_dtype(table[name].dtype) for table in (now, before))
    ]
    categories = [name for name in names if name not in numbers]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    sets = [
        Dataset.from_pandas(
            table[names].astype(dict.fromkeys(categories, "object")), data_definition=definition
        )
        for table in (now, before)
    ]
    page: str = Report([DataDriftPreset()]).run(*sets).get_html_str(as_iframe=False)
    return page
