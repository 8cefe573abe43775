# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""How long a failed launch waits before it tells its group, which then launches the next one.

A group replaces an abandoned instance at once. So for a release that can't start it would launch instances for ever, one every minute or two.
"""

from __future__ import annotations

from .config import Brake

FIRST = 30.0


def hold_back(failures: int, brake: Brake) -> float:
    """failures: boots of the same digest that failed lately, this one included."""
    over = failures - brake.failures
    return 0.0 if over < 0 else float(min(brake.longest, FIRST * 2 ** min(over, 30)))
