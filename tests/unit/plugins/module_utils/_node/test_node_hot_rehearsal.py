# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What two nodes said of themselves in a rehearsal, and what of it is a reason to restart."""

from __future__ import annotations

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._node.etf import Atom
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot.rehearsal import Seen, differences, read_seen

CART = ("shop", "Shop.Supervisor", "Shop.Cart")
BASE = Seen(frozenset((("shop", "Shop.Supervisor"), CART)), {"shop.port": b"1", "logger.level": b"2"})


def children(*paths: tuple[str, ...]) -> Seen:
    return Seen(BASE.children | set(paths), BASE.settings)


def test_names_are_those_that_people_write_and_the_same_in_each_boot() -> None:
    answer = (
        [
            [b"shop", b"'Elixir.Shop.Supervisor'"],
            [b"shop", b"'Elixir.Shop.Supervisor'", b"{pool,#Ref<0.1.2.3>,<0.99.0>}"],
            [b"shop", b"'odd name'"],
        ],
        [
            (Atom("shop"), [(b"port", b"a"), (b"'Elixir.Shop.Repo'", b"b")]),
            (Atom("elixir"), [(b"config_provider_init", b"c"), (b"ansi_enabled", b"d")]),
        ],
    )
    found = read_seen(answer)
    assert found.children == {
        ("shop", "Shop.Supervisor"),
        ("shop", "Shop.Supervisor", "{pool,...,...}"),
        ("shop", "odd name"),
    }
    assert found.settings == {"shop.port": b"a", "shop.Shop.Repo": b"b", "elixir.ansi_enabled": b"d"}


def test_the_same_is_no_difference() -> None:
    assert differences(BASE, BASE) == ()


def test_of_what_is_missing_only_the_top_is_named() -> None:
    new = (("shop", "Shop.Mail"), ("shop", "Shop.Mail", "Pool"), ("shop", "Shop.Mail", "Pool", "1"))
    assert differences(BASE, children(*new)) == ("a cold boot starts shop > Shop.Mail, and a hot upgrade does not",)
    assert differences(children(*new), BASE) == ("a cold boot does not start shop > Shop.Mail any more",)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"shop.port": b"1", "logger.level": b"3"}, "logger.level"),
        ({"shop.port": b"1"}, "logger.level"),
        ({**BASE.settings, "shop.colour": b"4", "shop.port": b"5"}, "shop.colour, shop.port"),
    ],
)
def test_settings_are_named_and_never_told(settings: dict[str, bytes], named: str) -> None:
    (found,) = differences(BASE, Seen(BASE.children, settings))
    assert found == "these settings have another value after a cold boot: " + named
