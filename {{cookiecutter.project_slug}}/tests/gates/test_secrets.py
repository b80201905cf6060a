"""Secrets: what is one, what only looks like one, and that none is ever printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gates.secrets import secrets

RANDOM = "q7Zp2LrX9vKd4TwB8sNfJm3Hc6Yg5Ua1Eo0Ib"
# Put together here, so that no scanner of this repository takes them for real ones.
SECRETS = {
    "anthropic": "sk-ant-" + f"api03-{RANDOM}",
    "assigned": f'api_key = "{RANDOM[:20]}"',
    "argument": f'connect(user="ada", pwd="S3cure{RANDOM[:4]}")',
    "aws key": "AKIA" + "2E0A8F3B244C9986",
    "aws secret": f'aws_secret_access_key = "{RANDOM}+ab"',
    "azure": "AccountKey=" + f"{RANDOM * 3}"[:86] + "==",
    "basic auth": "postgresql://shop:" + f"{RANDOM[:12]}@db.shop.io/x",
    "databricks": "dapi" + "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "dictionary": "{" + f'"client_secret": "{RANDOM[:24]}"' + "}",
    "environment": f'os.environ["OPENAI_API_KEY"] = "{RANDOM[:30]}"',
    "github": "ghp_" + RANDOM[:36],
    "github, fine-grained": "github_pat_" + f"{RANDOM * 2}"[:70],
    "gitlab": "glpat-" + RANDOM[:20],
    "google": "AIza" + RANDOM[:35],
    "hugging face": "hf_" + "qZpLrXvKdTwBsNfJmHcYgUaEoIbQwErTyU",
    "jwt": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "eyJ1aWQiOjU1LCJuIjoiYWRhIn0"
    ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "openai": "sk-" + f"{RANDOM[:20]}T3BlbkFJ{RANDOM[:20]}",
    "openai, project": "sk-" + f"proj-{RANDOM * 2}",
    "password": 'password="hunter2' + 'correct9"',
    "private key": "-----BEGIN RSA " + f"PRIVATE KEY-----\nMIIEowIBAAKCAQEA{RANDOM}",
    "sendgrid": "SG." + f"{RANDOM[:22]}." + f"{RANDOM * 2}"[:43],
    "slack": "https://hooks.slack.com/" + f"services/T0AB12CD/B0EF34GH/{RANDOM[:24]}",
    "stripe": "sk_live_" + RANDOM[:24],
    "telegram": "7183450926:AA" + RANDOM[:33],
}
HARMLESS = (
    'api_key = "YOUR_API_KEY"',
    'api_key: str = "xxxxxxxx1"',
    'api_key = os.environ["API_KEY_V2"]',
    'api_key_name = "openai-key-2"',
    'client_secret_file = "client_secret_4.json"',
    'password = "password123"',
    'password = getpass("the password of 2031: ")',
    'password = "postgres"',
    'password_hash_type = "sha256-v2"',
    'pwd = "/home/ada/project2"',
    'secret_arn = "arn:aws:secretsmanager:eu-1:123:secret:x"',
    'secret_key = "<your key 1>"',
    'secret_name = "my-app-secret-1"',
    'key = "q7Zp2LrX9vKd4TwB"',
    'token = "##ing2"',
    "AKIAIOSFODNN7EXAMPLE",
    "https://bucket.example/x?X-Amz-Credential=AKIA" + "2E0A8F3B244C9986%2F",
    "postgresql://user:password@host.com/db",
    f"postgresql://ada:{RANDOM[:9]}@localhost:5432/shop",
    "https://docs.example/a:b@c",
    "MKLASIAKLVRTGGEFDSWQPLACCATTGACCATTGACCATTG",
    "pk.eyJ1IjoiYWRhIiwiYSI6ImNrMTIzIn0.abc-_123",
    '"-----BEGIN PRIVATE KEY-----"',
    "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
)


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_found_once_and_not_shown(text: str) -> None:
    found = list(secrets(f"x = 1\nprint('{text}')" if '"' not in text else f"x = 1\n{text}"))
    assert [line for line, _ in found] == [2]
    assert re.fullmatch(r"what looks like a secret \([\w ]+, '.{3}\.\.\.'\)", found[0][1])


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_a_secret_is_left_alone(text: str) -> None:
    assert list(secrets(text)) == []


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        (f"  password: {RANDOM[:14]}  # of production", [2]),
        (f"  password: '{RANDOM[:14]}'", [2]),
        (f"  url: postgresql://shop:{RANDOM[:12]}@db.shop.io/x", [2]),
        ("  password: ${oc.env:DB_PASSWORD}", []),
        ("  password: ???", []),
        ("  password: null", []),
        ("  secret_name: shop-database-2", []),
        ("  key_columns: [user, item]", []),
    ],
)
def test_a_configuration(line: str, lines: list[int]) -> None:
    assert [number for number, _ in secrets(f"db:\n{line}\n", yaml=True)] == lines


def test_files_without_secrets_never_load_the_detectors(tmp_path: Path) -> None:
    path = tmp_path / "rows.py"
    path.write_text('rows = {"key": "a", "password": None, "url": "https://shop.example"}\n')
    code = f"import sys; from gates.secrets import main; main([{str(path)!r}]);"
    code += "sys.exit('detect_secrets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
