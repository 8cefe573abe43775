# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The name of a node of a cluster on a server that nobody named: with its private address, as the metadata service has it at this boot.

The same image makes many servers, and an instance that was stopped may come back with another address: so the name is in no image. It is in a file
below /run, which the unit reads at each start, and everything else reads of the process that runs.
"""

from __future__ import annotations

import ipaddress
import os
import posixpath

from .._errors import BeamError
from .config import Cluster, Config
from .metadata import Metadata
from .secrets import put

_PLACES = {4: "meta-data/local-ipv4", 6: "meta-data/ipv6"}
_MODE = 0o600


def name_node(config: Config, metadata: Metadata) -> str:
    """The name of the node from its next start on; '' if the service is in no cluster, or if the file has this name already."""
    cluster = config.cluster
    if cluster is None:
        return ""
    node = "%s@%s" % (cluster.name, own_address(cluster, metadata))
    try:
        os.makedirs(posixpath.dirname(cluster.file), 0o755, exist_ok=True)
    except OSError as exc:
        raise BeamError(
            "node_unnamed", "%s can't be written" % cluster.file, exc.strerror or str(exc), "Run as root"
        ) from None
    return node if put(cluster.file, "RELEASE_NODE='%s'\n" % node, _MODE, None) else ""


def own_address(cluster: Cluster, metadata: Metadata) -> str:
    """Of the family that the distribution listens on."""
    family = 6 if ":" in cluster.listen else 4
    address = _address(family, cluster, metadata)
    if address:
        return address
    other = _address(10 - family, cluster, metadata)
    if not other:
        raise _unnamed(
            cluster,
            "the metadata service knows no private address of this server",
            "Look at the subnet and the network interface of the instance",
        )
    if family == 4:
        hint = (
            'Give service_dist_listen: "::", put -proto_dist inet6_tcp into rel/vm.args.eex, and make the bundle again'
        )
    else:
        hint = "Give service_dist_listen: 0.0.0.0, take -proto_dist out of rel/vm.args.eex, and make the bundle again"
    why = "it listens on %s, which is IPv%d, and the server has only %s, which is not" % (cluster.listen, family, other)
    raise _unnamed(cluster, why, hint)


def _address(family: int, cluster: Cluster, metadata: Metadata) -> str:
    text = metadata.text(_PLACES[family])
    if not text:
        return ""
    try:
        found = ipaddress.ip_address(text)
        fits = found.version == family and not (found.is_loopback or found.is_unspecified or found.is_multicast)
    except ValueError:
        fits = False
    if not fits:
        why = "the metadata service says %r for %s" % (text[:60], _PLACES[family])
        raise _unnamed(cluster, why, "Check metadata_url (bootstrap_aws): it must be the service of the cloud")
    return text


def _unnamed(cluster: Cluster, why: str, hint: str) -> BeamError:
    return BeamError("node_unnamed", "the node %s can't be named for its cluster" % cluster.name, why, hint)
