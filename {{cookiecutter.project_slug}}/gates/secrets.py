"""NB321, CF508: no secret is committed."""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

from .core.files import File, Notebook, Unreadable, read_text
from .core.gate import Context, Gate
from .core.rules import Finding, Rule

MEND = (
    "Withdraw the secret where it was issued, since git keeps it for good; then read it from "
    "the environment"
)
NB321 = Rule(
    "NB321",
    "a secret",
    "whoever can read the repository, or ever could, can use it",
    MEND + ': os.environ["API_KEY"]',
    bad="api_key = " + '"q7Zp2LrX9vKd4TwB8sNf"',
    good='import os\n\napi_key = os.environ.get("API_KEY")',
)
CF508 = Rule(
    "CF508",
    "a secret in the configuration",
    "whoever can read the repository, or ever could, can use it; each run's record repeats it",
    MEND + ": password: ${oc.env:DB_PASSWORD}",
    bad="password: " + "q7Zp2LrX9vKd4TwB8sNf",
    good="password: ${oc.env:DB_PASSWORD}",
)
RULES = (NB321, CF508)

# Plugins of detect-secrets for what has a form of its own. Those that go by entropy alone take
# hashes, ids and pictures for secrets.
PLUGINS = (
    "aws.AWSKeyDetector",
    "azure_storage_key.AzureStorageKeyDetector",
    "basic_auth.BasicAuthDetector",
    "github_token.GitHubTokenDetector",
    "gitlab_token.GitLabTokenDetector",
    "jwt.JwtTokenDetector",
    "keyword.KeywordDetector",
    "npm.NpmDetector",
    "openai.OpenAIDetector",
    "private_key.PrivateKeyDetector",
    "pypi_token.PypiTokenDetector",
    "sendgrid.SendGridDetector",
    "slack.SlackDetector",
    "square_oauth.SquareOAuthDetector",
    "stripe.StripeDetector",
    "telegram_token.TelegramBotTokenDetector",
)
# Where a secret may be: a text that must be there, which is quick to look for, and the form. So
# files without any never load detect-secrets, which takes longer than all gates together.
AWS_KEY = r"(?<![A-Za-z0-9+/])A[KS]IA[0-9A-Z]{16}(?![A-Za-z0-9+/])"
FORMS = {
    "AKIA": AWS_KEY,
    "ASIA": AWS_KEY,
    "AccountKey=": r"AccountKey=[\w+/=]{20}",
    "://": r"://[^\s/:@\"'<>]+:[^\s/@\"'<>]{6,}@(?!127\.|0\.0)[\w-]+\.\w",
    "gh": r"\bgh[pousr]_\w{36}",
    "gl": r"\bgl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-[\w-]{20}",
    "eyJ": r"\beyJ[\w=-]{10,}\.eyJ[\w=-]{10,}\.",
    ":_authToken=": r":_authToken=",
    "T3BlbkFJ": r"\bsk-[\w-]*T3BlbkFJ",
    "PRIVATE KEY": r"PRIVATE KEY(?: BLOCK)?-----(?:\\[nr]|[\s\"',+])*[A-Za-z0-9+/]{40}",
    "pypi-Ag": r"\bpypi-Ag[\w-]{60}",
    "SG.": r"\bSG\.[\w-]{22}\.",
    "xox": r"\bxox[abposr]-\d",
    "hooks.slack.com": r"hooks\.slack\.com/services/T",
    "sq0csp-": r"\bsq0csp-[\w-]{40}",
    "k_live_": r"\b[rs]k_live_[0-9a-zA-Z]{24}",
    ":AA": r"\b\d{8,10}:AA[\w-]{33}\b",
    "sk-ant-": r"\bsk-ant-[\w-]{32,}",
    "dapi": r"\bdapi[0-9a-f]{32}\b",
    "github_pat_": r"\bgithub_pat_\w{60,}",
    "AIza": r"\bAIza[\w-]{35}\b",
    "hf_": r"\bhf_[A-Za-z]{34}\b",
    "sk-": r"\bsk-(?:proj|svcacct|admin)-[\w-]{40,}",
}
OWN = {  # forms that detect-secrets does not know
    "sk-ant-": "Anthropic Key",
    "dapi": "Databricks Token",
    "github_pat_": "GitHub Token",
    "AIza": "Google API Key",
    "hf_": "Hugging Face Token",
    "sk-": "OpenAI Key",
}
WORDS = (
    r"(?:(?:api|auth|service|account|db|database|private|client)_?key|(?:db|key|database)_?pass"
    r"|passwd|password|pwd|secret(?:_?(?:access|api))?(?:_?key)?)"
)
MARKS = ("_key", "apikey", "authkey", "clientkey", "accountkey", "pass", "pwd", "secret")
NAMED = r"(?i:" + WORDS + r"\d?[\"']?\]?\s*(?::\s*str\s*)?[:=]=?>?\s*[\"'][^\"'\s]{8,}[\"'])"
PLAIN = r"(?im:^[ \t-]*\w*" + WORDS + r":[ \t]*[^\s$?#|>{\[]\S{7,})"  # YAML, without quotes
AROUND = 200  # characters before and after a suspect that a detector needs

PLACEHOLDER = re.compile(
    r"x{3}|\.{3}|\*{3}|_here|your|example|placeholder|change_?me|dummy|fake|mock|redacted|insert"
    r"|secret|passw|default|user|username|replace|my_|my-|foo|bar\b|todo|none|null|undefined"
    r"|12345|abcdef|[<>{}$\[\]()%]|test",
    re.I,
)
KEYWORD = "Secret Keyword"  # what detect-secrets calls a value assigned to such a name
# Words, paths, versions and names of variables are no secrets, nor is what has no digit.
NAME = re.compile(
    r"(?:https?://|/|\./|~|s3:|gs:|arn:).*|[^0-9]+|[0-9.:,-]+|(?:[A-Za-z]+\d{0,2}(?:[-_./: ]|$))+"
)
PUBLIC = re.compile(  # credentials inside links that anybody may have, or that expired long ago
    r"(?:X-Amz-Credential=|AWSAccessKeyId=|[?&](?:jwt|token)=|\bpk\.)$", re.I
)


def check(file: File, context: Context) -> Iterator[Finding]:
    """Secrets in the source, the outputs and the metadata of a notebook, or in a module."""
    if not isinstance(file, Notebook):
        for line, what in secrets(file.text):
            yield Finding(NB321, file.path, what, line=line)
        return
    for cell in file.cells:
        for line, what in secrets(cell.source):
            yield Finding(NB321, file.path, what, cell.number, line)
        texts = [text for output in cell.raw.get("outputs", []) for text in _texts(output)]
        for _, what in secrets("\n".join(texts)):
            yield Finding(NB321, file.path, f"{what}, in the output", cell.number)
        for _, what in secrets(_json(cell.raw["metadata"])):
            yield Finding(NB321, file.path, f"{what}, in the metadata", cell.number)
    for _, what in secrets(_json(file.raw.get("metadata", {}))):
        yield Finding(NB321, file.path, f"{what}, in the metadata")


def check_configs(context: Context) -> Iterator[Finding]:
    """Secrets in the YAML files of conf/."""
    for path in sorted((context.root / "conf").rglob("*.yaml")):
        try:
            text = read_text(path)
        except Unreadable:
            continue  # the gate of configurations says so
        for line, what in secrets(text, yaml=True):
            yield Finding(CF508, path.relative_to(context.root), what, line=line)


def _texts(output: dict[str, Any]) -> Iterator[str]:
    """What of an output is text: printed, shown or raised; no pictures and no programs."""
    data = output.get("data")
    shown = data if isinstance(data, dict) else {}
    values = [output.get("text"), output.get("traceback")]
    values += [value for kind, value in shown.items() if kind in ("text/plain", "text/html")]
    for value in values:
        parts = value if isinstance(value, list) else [value]
        yield "".join(part for part in parts if isinstance(part, str))


def _json(metadata: object) -> str:
    return json.dumps(metadata, ensure_ascii=False, indent=0) if metadata else ""


def secrets(text: str, *, yaml: bool = False) -> Iterator[tuple[int, str]]:
    """The line and the kind of each secret in a text, with no more of it than its beginning."""
    seen: set[str] = set()
    for mark, suspect in _suspects(text, yaml):
        start = max(suspect.start() - AROUND, text.rfind("\n", 0, suspect.start()) + 1)
        line = text[start : suspect.end() + AROUND].split("\n")[0]
        for kind, value in _detected(mark, suspect[0], line, yaml):
            at = start + line.find(value)
            if at >= suspect.end() or at + len(value) <= suspect.start() or value in seen:
                continue  # known, or beside what was suspected
            if _believable(kind, value, line[: at - start]):
                seen.add(value)
                number = text.count("\n", 0, at) + 1
                yield number, f"what looks like a secret ({kind}, '{value[:3]}...')"
                break


def _suspects(text: str, yaml: bool) -> Iterator[tuple[str, re.Match[str]]]:
    for mark, form in FORMS.items():
        if mark in text:
            for found in re.finditer(form, text):
                yield mark, found
    lowered = text.lower()
    if any(mark in lowered for mark in MARKS):
        for found in re.finditer(f"{NAMED}|{PLAIN}" if yaml else NAMED, text):
            yield "", found


def _detected(mark: str, suspect: str, line: str, yaml: bool) -> Iterator[tuple[str, str]]:
    """Kind and text of what the detectors see in a line that is suspected for ``mark``."""
    if mark in OWN:
        yield OWN[mark], suspect
        return
    for plugin in _plugins():
        options = {}
        if yaml and plugin.secret_type == KEYWORD:
            from detect_secrets.plugins.keyword import CONFIG_DENYLIST_REGEX_TO_GROUP

            options = {"denylist_regex_to_group": CONFIG_DENYLIST_REGEX_TO_GROUP}
        for value in plugin.analyze_string(line, **options):
            whole = suspect if suspect.startswith(value) else value  # of some only the prefix
            yield plugin.secret_type, whole.split(" #")[0].strip()


def _believable(kind: str, value: str, before: str) -> bool:
    """Whether nobody would say that this is a placeholder, a name or public."""
    if kind == "Private Key":
        return True
    if PUBLIC.search(before) or PLACEHOLDER.search(value):
        return False
    if kind == "AWS Access Key":
        return any(sign.isdigit() for sign in value)
    if kind == KEYWORD:
        return not NAME.fullmatch(value) and _bits(value) >= 3
    return _bits(value) >= 2.5


def _bits(value: str) -> float:
    """Shannon's entropy of the characters: 2.8 for "password", 4 and more for a random key."""
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares)


@cache
def _plugins() -> list[Any]:
    from importlib import import_module

    names = (name.split(".") for name in PLUGINS)
    return [getattr(import_module(f"detect_secrets.plugins.{m}"), name)() for m, name in names]


GATE = Gate(RULES, on_file=check, on_project=check_configs)
main = GATE.main

if __name__ == "__main__":
    sys.exit(main())
