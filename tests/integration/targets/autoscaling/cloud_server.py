# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""moto with the instance refresh of the fleet's double: `cloud_server.py REFRESHES`, the directory of aws_refresh.py.

Says its port, then takes lines of a group, an instance and the lifecycle state that it is in from now on. Runs in the environment of the double.
"""

from __future__ import annotations

import logging
import sys

from moto.autoscaling import autoscaling_backends
from moto.core import DEFAULT_ACCOUNT_ID
from moto.server import ThreadedMotoServer

REGION = "us-east-1"


def main() -> None:
    sys.path.append(sys.argv[1])
    import aws_refresh

    aws_refresh.Refresh.install()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    for line in sys.stdin:
        name, instance, state = line.split()
        group = autoscaling_backends[DEFAULT_ACCOUNT_ID][REGION].autoscaling_groups[name]
        next(one for one in group.instance_states if one.instance.id == instance).lifecycle_state = state
        print("done", flush=True)


if __name__ == "__main__":
    main()
