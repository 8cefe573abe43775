# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for the get-pip script that ansible-test would download from a host of its own; pip itself comes with every Python (ensurepip).

That pip installs the wanted one out of its own wheel: ansible-test makes a dozen environments, and what is installed first and replaced is half of the time.
What pip installs is compiled when it is used: most of it never is.
"""

import ensurepip
import glob
import os
import subprocess
import sys

wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
# Python brings it along; a distribution may keep it where all of its Pythons find it.
places = (os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"), "/usr/share/python-wheels")
wheels = [name for place in places for name in sorted(glob.glob(os.path.join(place, "pip-*.whl")))]
environment = dict(os.environ)
if wheels:
    environment["PYTHONPATH"] = wheels[0]
else:
    subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"])
command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"]
subprocess.check_call(command + wanted, env=environment)
