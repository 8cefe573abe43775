# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of every module that speaks to AWS."""

    DOCUMENTATION = r"""
attributes:
  action_group:
    description: Use C(group/alchemist.beam.aws) in C(module_defaults) to set the options of AWS once.
    support: full
    membership:
      - alchemist.beam.aws
options:
  region:
    description:
      - The AWS region. Without it, boto3's own look-up decides (environment, then profile).
    type: str
    aliases: [aws_region, ec2_region]
  endpoint_url:
    description:
      - URL of another API than AWS's, for all of its services.
    type: str
    aliases: [aws_endpoint_url]
  profile:
    description:
      - A named profile of the AWS configuration files.
    type: str
    aliases: [aws_profile]
  access_key:
    description:
      - The AWS access key id. Without it, boto3's own look-up decides (environment, profile, instance role).
    type: str
    aliases: [aws_access_key_id, aws_access_key]
  secret_key:
    description:
      - The AWS secret access key.
    type: str
    aliases: [aws_secret_access_key, aws_secret_key]
  session_token:
    description:
      - The AWS session token of temporary credentials.
    type: str
    aliases: [aws_session_token]
"""
