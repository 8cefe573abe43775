# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What must not get into a release: cookies, private keys, credentials. Decided by a file's path and its first bytes.

A false alarm stops a publish, so public things of the same kind are let through: certificates, CA bundles, public keys,
samples of environment files.
"""

from __future__ import annotations

import fnmatch
import re
import typing as t

# Left out of every release and reported: Elixir makes it anew for each build tree, and anyone could read it there.
LEFT_OUT = ("releases/COOKIE",)

# The file's name, or (with a slash) the end of its path -> what it is.
_NAMES: tuple[tuple[str, str], ...] = (
    (".env", "an environment file"),
    (".env.*", "an environment file"),
    ("*.env", "an environment file"),
    (".envrc", "an environment file"),
    ("*.runtime.config", "a resolved configuration with its secrets"),
    ("*.secret.exs", "a configuration of secrets"),
    ("erl_crash.dump", "a crash dump, which holds the node's memory"),
    (".erlang.cookie", "a cookie"),
    ("COOKIE", "a cookie"),
    ("id_rsa", "a private SSH key"),
    ("id_dsa", "a private SSH key"),
    ("id_ecdsa", "a private SSH key"),
    ("id_ecdsa_sk", "a private SSH key"),
    ("id_ed25519", "a private SSH key"),
    ("id_ed25519_sk", "a private SSH key"),
    ("*.ppk", "a private SSH key"),
    ("*.p12", "a key store"),
    ("*.pfx", "a key store"),
    ("*.jks", "a key store"),
    ("*.keystore", "a key store"),
    ("*.kdbx", "a password database"),
    (".netrc", "credentials"),
    ("_netrc", "credentials"),
    (".pgpass", "credentials"),
    (".git-credentials", "credentials"),
    (".aws/credentials", "credentials"),
    (".docker/config.json", "credentials"),
    (".kube/config", "credentials"),
    (".hex/hex.config", "credentials"),
    (".vault-token", "credentials"),
    (".vault_pass*", "a vault password"),
    ("terraform.tfstate", "a Terraform state, which holds secrets"),
    ("terraform.tfstate.*", "a Terraform state, which holds secrets"),
)
_SAMPLES = re.compile(r"\.env(\.[a-z]+)?\.(example|sample|template|dist)|env\.sample|sample\.env|example\.env")
# A key in PEM: the line, and then its first line of base64 or of headers. A program that only knows the line itself
# (a beam, a shared library, a document) does not match.
_PEM = re.compile(
    rb"(?:^|[\r\n])-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[ \t]*\r?\n[ \t]*(?:[A-Za-z0-9+/=]{16,}|[A-Z][A-Za-z-]+:|\r?\n)"
)
_JSON_PEM = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----\\n[A-Za-z0-9+/=]{16,}")
_NPM_TOKEN = re.compile(rb"(?m)^[^#;\n]*:_(?:authToken|password)\s*=\s*[^\s$]")
# A cookie that stands there; not one that comes from the environment, a file or a command when the node starts.
_OF_THE_LAUNCHER = re.compile(r"(?:.*/)?releases/[^/]+/(?:env\.sh|env\.bat|(?:remote\.)?vm\.args)")
_COOKIE_SET = re.compile(rb"(?m)^[^#\n]*\bRELEASE_COOKIE=[\"']?[^\s\"'$`%;]+[\"']?[ \t]*(?:$|[;#&])")
_COOKIE_FLAG = re.compile(rb"(?m)^[^#\n]*-setcookie(?:\s|#[^\n]*\n)+(?:\S+@\S+\s+)?[\"']?[^\s\"'$#+-]")
_PUBLIC_PEM = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*(?:PUBLIC KEY|CERTIFICATE)-----")


# One look at each path: a release has thousands.
_ANY_NAME = re.compile("|".join(r"(?:.*/)?(?:%s)" % fnmatch.translate(pattern) for pattern, _what in _NAMES))


def left_out(path: str) -> bool:
    return path in LEFT_OUT


def excluded(path: str, patterns: t.Iterable[str]) -> bool:
    """Patterns as in a shell; one without a slash is compared with the name, one with a slash with the whole path."""
    for pattern in patterns:
        if fnmatch.fnmatchcase(path if "/" in pattern else path.rsplit("/", 1)[-1], pattern.strip("/")):
            return True
    return False


def secret_by_name(path: str) -> str:
    """What the file must be by its path, or "" """
    name = path.rsplit("/", 1)[-1]
    if not _ANY_NAME.match(path) or _SAMPLES.fullmatch(name):
        return ""
    return next((what for pattern, what in _NAMES if fnmatch.fnmatchcase("/" + path, "*/" + pattern)), "")


def secret_by_content(path: str, head: bytes) -> str:
    """What the file must be by its first bytes, or "" """
    if b"PRIVATE KEY" in head and (_PEM.search(head) or (path.endswith(".json") and _JSON_PEM.search(head))):
        return "a private key"
    if path.endswith(".key") and head and not _PUBLIC_PEM.search(head):
        return "a private key"
    if _OF_THE_LAUNCHER.fullmatch(path) and (_COOKIE_SET.search(head) or _COOKIE_FLAG.search(head)):
        return "a cookie in plain text (give beam_cookie instead, and take it out of rel/env.sh.eex or rel/vm.args.eex)"
    if path.rsplit("/", 1)[-1] == ".npmrc" and _NPM_TOKEN.search(head):
        return "credentials"
    return ""
