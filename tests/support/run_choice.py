# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `make test` takes of the integration and of the fleet. `make test-fleet` is the rest, whatever is there: nothing is in both, and nothing in none."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ROOT / "tests" / "integration" / "targets"
FLEET = ROOT / "tests" / "fleet"

# Each module on real parts, and one true journey: from a commit by way of a build server and a bucket to three servers.
FIRST: dict[str, tuple[str, ...]] = {
    "integration": (
        "autoscaling",
        "balancer_member",
        "beam_info",
        "beam_migrate",
        "beam_restart",
        "beam_upgrade",
        "bootstrap_bundle",
        "delivery_info",
        "mix_gate",
        "mix_release",
        "operate",
        "project_init",
        "release_artifact",
        "release_channel",
        "release_image",
        "release_install",
        "rollout",
        "store_check",
        "store_s3",
    ),
    "fleet": ("test_journey",),
}
# These begin first, so that none of them is left alone at the end.
LONG: dict[str, tuple[str, ...]] = {
    "integration": (
        "autoscaling",
        "autoscaling_rollout",
        "example_awx",
        "mix_release",
        "rollout",
        "rollout_faults",
        "rollout_lock",
    ),
    "fleet": (
        "test_blue_green",
        "test_bootstrap",
        "test_journey",
        "test_journey_scale",
        "test_rollout",
        "test_rollout_alb",
        "test_secrets",
        "test_zero",
    ),
}
WHICH = ("--first", "--rest")


def aliases(target: str) -> list[str]:
    file = TARGETS / target / "aliases"
    return file.read_text(encoding="utf-8").split() if file.exists() else []


def names(part: str) -> list[str]:
    """Everything that there is. A hidden target is a role or a library of other targets, and no test."""
    if part == "fleet":
        return sorted(path.stem for path in FLEET.glob("test_*.py"))
    return sorted(path.name for path in TARGETS.glob("*") if path.is_dir() and "hidden" not in aliases(path.name))


def choose(part: str, words: t.Sequence[str]) -> list[str]:
    """words: --first or --rest, or names; nothing means everything. The long ones are first."""
    known = names(part)
    first = FIRST[part]
    if not words:
        chosen = known
    elif words[0] in WHICH and len(words) == 1:
        chosen = [name for name in known if (name in first) == (words[0] == "--first")]
    else:
        strange = sorted(set(words) - set(known))
        if strange:
            sys.exit("%s: there is no %s; there are %s" % (part, ", ".join(strange), ", ".join(known)))
        chosen = [name for name in known if name in words]
    return sorted(chosen, key=lambda name: (name not in LONG[part], name))
