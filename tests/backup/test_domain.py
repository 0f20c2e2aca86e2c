from datetime import timedelta

import pytest

from tests.factories import NOON
from turnout.backup.domain import made_at, named, outlived

DAY = timedelta(days=1)


def test_a_name_tells_when_it_was_made():
    assert made_at(named(NOON)) == NOON


@pytest.mark.parametrize("name", ["notes.txt", "turnout-x.backup", "turnout-20260302.backup", ""])
def test_other_files_are_no_backups(name: str):
    assert made_at(name) is None


def test_what_was_kept_long_enough_goes_and_nothing_else():
    names = ["notes.txt", *(named(NOON - days * DAY) for days in (0, 1, 89, 90, 91, 200))]

    assert outlived(names, NOON, 90 * DAY) == [named(NOON - 200 * DAY), named(NOON - 91 * DAY)]


def test_the_newest_stays_however_old_it_is():
    names = [named(NOON - days * DAY) for days in (300, 400)]

    assert outlived(names, NOON, 90 * DAY) == [named(NOON - 400 * DAY)]
