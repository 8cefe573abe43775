# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of every module that speaks to a store."""

    DOCUMENTATION = r"""
attributes:
  action_group:
    description: Use C(group/alchemist.beam.store) in C(module_defaults) to set the options of the store once.
    support: full
    membership:
      - alchemist.beam.store
options:
  store:
    description:
      - Where releases live, as C(file:///path) or C(s3://bucket/prefix).
    type: str
    required: true
  endpoint_url:
    description:
      - URL of an S3 API other than AWS's, such as C(http://127.0.0.1:8333).
    type: str
    aliases: [aws_endpoint_url, s3_url]
  region:
    description:
      - The AWS region of the bucket. Without it, boto3's own look-up decides (environment, then profile).
    type: str
    aliases: [aws_region, ec2_region]
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
  validate_certs:
    description:
      - Whether to verify the TLS certificate of the endpoint.
    type: bool
    default: true
  aws_ca_bundle:
    description:
      - A file of CA certificates to verify the endpoint with, instead of the system's.
    type: path
  expected_bucket_owner:
    description:
      - The AWS account id that has to own the bucket; another owner's bucket is refused.
    type: str
  store_timeout:
    description:
      - Seconds after which the module gives up on the store, over all its requests and retries.
      - One request gives up connecting after 3 seconds and waiting for bytes after 20.
    type: int
    default: 120
"""
