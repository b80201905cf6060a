"""The answers to the template's questions: what each may be, its default, how files quote it.

Cookiecutter loads `AnswersExtension` (see `_extensions` in cookiecutter.json) while it asks, so
a bad answer is refused right after its question and before a folder is made. The hooks import
the same rules. Everything but the extension is plain functions from text to text.
"""

import base64
import functools
import json
import keyword
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

from cookiecutter.exceptions import FailedHookException
from jinja2 import Environment
from jinja2.ext import Extension
from slugify import slugify

TEMPLATE = Path(__file__).resolve().parent

SLUG_LIMIT = 60
PACKAGE_LIMIT = 40
NAME_LIMIT = 120
DESCRIPTION_LIMIT = 500
EMAIL_LIMIT = 254

# Every list below holds lower-case names with "_" for "-", see `_taken`.

# Modules that some Python from 3.11 on has and the one running this may not.
OTHER_STDLIB = frozenset(
    """
    aifc annotationlib asynchat asyncore audioop cgi cgitb chunk compression crypt distutils
    imghdr imp lib2to3 mailcap msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd sunau
    telnetlib uu xdrlib
    """.split()
)

# Distributions and import names of a project's environment, the indirect ones too: a package of
# the same name would hide them, and uv refuses a project that would depend on itself. A test
# compares this list with a real environment.
DEPENDENCIES = frozenset(
    """
    adbc_driver_duckdb aiohappyeyeballs aiohttp aiohttp_cors aiohttp_retry aiosignal alembic
    amqp annotated_doc annotated_types antlr4 antlr4_python3_runtime anyio appdirs appnope
    ast_serialize asttokens asyncssh atpublic attr attrs beautifulsoup4 billiard bleach boto3
    botocore bs4 cachetools celery certifi cffi cfgv charset_normalizer click click_didyoumean
    click_plugins click_repl cloudpickle colorama colorful colorlog comm configobj contourpy
    cryptography cycler databricks databricks_sdk dateutil db_dtypes debugpy defusedxml
    detect_secrets dictdiffer diskcache distlib distro dotenv dpath duckdb dulwich dvc dvc_data
    dvc_http dvc_objects dvc_render dvc_studio_client dvc_task entrypoints executing fastapi
    fastjsonschema filelock flask flatten_dict flufl flufl_lock fonttools frozenlist fsspec
    funcy git gitdb gitpython google google_api_core google_auth google_auth_oauthlib
    google_cloud_bigquery google_cloud_bigquery_storage google_cloud_core google_crc32c
    google_resumable_media googleapis_common_protos grandalf greenlet grimp grpc grpc_status
    grpcio grpcio_status gto h11 hydra hydra_core hydra_joblib_launcher hydra_optuna_sweeper
    hydra_plugins hydra_ray_launcher hypothesis ibis ibis_framework identify idna import_linter
    importlib_metadata importlinter iniconfig ipykernel ipykernel_launcher ipython
    ipython_pygments_lexers iterative_telemetry jedi jinja2 jmespath joblib jsonschema
    jsonschema_specifications jupyter jupyter_client jupyter_core jupyterlab_jupytext
    jupyterlab_pygments jupytext jupytext_config kiwisolver kombu librt mako markdown_it
    markdown_it_py markupsafe matplotlib matplotlib_inline mdit_py_plugins mdurl mistune mlflow
    mlflow_skinny mpl_toolkits msgpack multidict mypy mypy_extensions mypyc narwhals nbclient
    nbconvert nbformat nest_asyncio2 networkx nodeenv numpy oauthlib omegaconf opencensus
    opencensus_context opentelemetry opentelemetry_api opentelemetry_exporter_prometheus
    opentelemetry_proto opentelemetry_sdk opentelemetry_semantic_conventions optuna orjson
    packaging pandas pandas_gbq pandas_stubs pandocfilters papermill parso parsy pathspec
    pexpect pil pillow pip platformdirs pluggy pre_commit pre_commit_hooks prometheus_client
    prompt_toolkit propcache proto proto_plus protobuf psutil psycopg psycopg_binary ptyprocess
    public pure_eval py py4j py_spy pyarrow pyarrow_hotfix pyasn1 pyasn1_modules pycparser
    pydantic pydantic_core pydantic_settings pydata_google_auth pydevd_plugins pydot pygit2
    pygments pygtrie pylab pyparsing pyspark pytest python_dateutil python_discovery
    python_dotenv pyyaml pyzmq ray referencing requests requests_oauthlib rich rpds rpds_py
    ruamel ruamel_yaml ruff s3transfer scikit_learn scipy scmrepo semver setuptools shortuuid
    shtab six sklearn smart_open smmap sortedcontainers soupsieve sqlalchemy sqlglot sqlparse
    sqltrie stack_data starlette tabulate tenacity threadpoolctl tinycss2 tlz tomlkit toolz
    torch tornado tqdm traitlets types_pyyaml typing_extensions typing_inspection tzdata
    tzlocal urllib3 uv uv_build uvicorn validate vine virtualenv voluptuous wcwidth
    webencodings wheel wrapt xgboost xgboost_cpu yaml yarl zc zc_lockfile zipp zmq
    """.split()
)

# Top-level names that the project uses itself.
PROJECT_NAMES = frozenset(
    "build conf conftest data dist docs gates licenses notebooks runs src tests".split()
)

WINDOWS_NAMES = frozenset(
    ["aux", "con", "nul", "prn"] + [f"{port}{n}" for port in ("com", "lpt") for n in range(10)]
)

# Words that YAML or TOML would read as something other than text.
VALUE_WORDS = frozenset("false inf n nan no none null off on true y yes".split())


# --- What each answer may be. A rule returns why a value cannot be used, or None. ---------------


def _taken(name: str) -> str | None:
    """Why a name, folder or package, is spoken for."""
    name = re.sub(r"[-_.]+", "_", name).lower()
    if name in WINDOWS_NAMES:
        return "Windows keeps that name for a device"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in VALUE_WORDS:
        return "it is a word of Python or YAML"
    if name in sys.stdlib_module_names or name in OTHER_STDLIB:
        return "it is a module of Python's standard library"
    if name in DEPENDENCIES:
        return "it is the name of a library that the project uses"
    if name in PROJECT_NAMES:
        return "the project has a folder or file of that name"
    return None


def _forbidden(text: str, allowed: str) -> str | None:
    """Name the first character that the pattern `allowed` does not match."""
    for character in text:
        if not re.fullmatch(allowed, character):
            return f"it holds {character!a}"
    return None


def problem_with_slug(slug: str) -> str | None:
    if not slug:
        return "it is empty"
    if why := _forbidden(slug, "[A-Za-z0-9_-]"):
        return f"{why}; only the letters a-z and A-Z, digits, - and _ may stand in it"
    if not re.fullmatch("[A-Za-z](.*[A-Za-z0-9])?", slug):
        return "it has to start with a letter and end in a letter or a digit"
    if len(slug) > SLUG_LIMIT:
        return f"it has {len(slug)} characters, and {SLUG_LIMIT} are the most"
    return _taken(slug)


def problem_with_package(package: str) -> str | None:
    if not package:
        return "it is empty"
    if why := _forbidden(package, "[a-z0-9_]"):
        return f"{why}; only the lower-case letters a-z, digits and _ may stand in it"
    if not re.fullmatch("[a-z](.*[a-z0-9])?", package):
        return "it has to start with a letter and end in a letter or a digit"
    if len(package) > PACKAGE_LIMIT:
        return f"it has {len(package)} characters, and {PACKAGE_LIMIT} are the most"
    return _taken(package)


def problem_with_text(text: str, limit: int, may_be_empty: bool = False) -> str | None:
    for character in text:
        if unicodedata.category(character) == "Cs":
            return f"it holds half of a character ({character!a}), which no file can hold"
        if unicodedata.category(character) == "Cc" and character not in "\t\n\r":
            return f"it holds the control character {character!a}"
    if len(text) > limit:
        return f"it has {len(text)} characters, and {limit} are the most"
    if may_be_empty and not text.strip():
        return None
    if not any(character.isprintable() and not character.isspace() for character in text):
        return "it holds nothing that can be seen"
    return None


def problem_with_email(email: str) -> str | None:
    if not email:
        return None
    if len(email) > EMAIL_LIMIT:
        return f"it has {len(email)} characters, and {EMAIL_LIMIT} are the most"
    label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    if not re.fullmatch(rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]+@{label}(?:\.{label})*", email):
        return "it does not read like an e-mail address; it may also be left empty"
    return None


def choices(answer: str) -> list[str]:
    """What may be chosen for an answer: cookiecutter.json says it."""
    questions = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    chosen: list[str] = questions[answer]
    return chosen


def _problem_with_choice(answer: str, value: str) -> str | None:
    if value in choices(answer):
        return None
    return "it is none of " + ", ".join(choices(answer))


# --- Defaults. -----------------------------------------------------------------------------------


def _usable(
    text: str, separator: str, limit: int, problem_with: Callable[[str], str | None]
) -> str:
    """Make a name out of any text; where nothing of it can be used, one that can."""
    name = slugify(text, separator=separator) or f"my{separator}project"
    if not name[0].isalpha():
        name = f"project{separator}{name}"
    ending = f"{separator}project"
    usable = name[:limit].rstrip(separator)
    if problem_with(usable):
        usable = name[: limit - len(ending)].rstrip(separator) + ending
    return usable


def default_slug(text: str) -> str:
    """A slug that can be used, whatever the text."""
    return _usable(text, "-", SLUG_LIMIT, problem_with_slug)


def default_package(text: str) -> str:
    """A package name that can be used, whatever the text."""
    return _usable(text, "_", PACKAGE_LIMIT, problem_with_package)


@functools.cache
def git_identity() -> tuple[str, str]:
    """Name and e-mail address that git would sign with; two empty texts where it knows none."""
    # useConfigOnly: without it git makes an address up from the user and host names.
    command = ["git", "-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT"]
    try:
        answer = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    match = re.fullmatch(r"(.*) <(.*)> \d+ [+-]\d+\n?", answer.stdout)
    return (match[1], match[2]) if match else ("", "")


def default_author_name() -> str:
    name = git_identity()[0]
    return "Unnamed Author" if problem_with_text(name, NAME_LIMIT) else name


def default_author_email() -> str:
    email = git_identity()[1]
    return "" if problem_with_email(email) else email


# --- Refusing. -----------------------------------------------------------------------------------

# Each answer: its rule, and a value that would do in place of one that does not.
RULES: dict[str, tuple[Callable[[str], str | None], Callable[[str], str]]] = {
    "project_name": (lambda text: problem_with_text(text, NAME_LIMIT), lambda _: "Shop Ranker"),
    "project_slug": (problem_with_slug, default_slug),
    "package_name": (problem_with_package, default_package),
    "description": (
        lambda text: problem_with_text(text, DESCRIPTION_LIMIT, may_be_empty=True),
        lambda _: "Ranks the items of a shop",
    ),
    "author_name": (lambda text: problem_with_text(text, NAME_LIMIT), lambda _: "Ada Lovelace"),
    "author_email": (problem_with_email, lambda _: "ada@example.com"),
    "license": (lambda text: _problem_with_choice("license", text), lambda _: "MIT"),
    "python_version": (lambda text: _problem_with_choice("python_version", text), lambda _: "3.11"),
    "stage": (lambda text: _problem_with_choice("stage", text), lambda _: "lab"),
}


def refusal(answer: str, value: object) -> str | None:
    """The message that refuses a value: which answer, why, and one that would do; else None."""
    rule, suggestion = RULES[answer]
    text = value if isinstance(value, str) else ""
    why = rule(text) if isinstance(value, str) else "it is not text"
    if why is None:
        return None
    shown = ascii(value) if len(ascii(value)) <= 80 else ascii(value)[:60] + "..."
    return f"{answer} cannot be {shown}: {why}. This would do: {suggestion(text)}"


def refusals(answers: Mapping[str, object]) -> list[str]:
    """The refusals of a whole set of answers; an answer that is missing counts as not text."""
    found = [refusal(answer, answers.get(answer)) for answer in RULES]
    return [message for message in found if message]


# --- How files quote an answer. ------------------------------------------------------------------


def single_line(text: object) -> str:
    """Any text on one line: each run of white space becomes one space."""
    return " ".join(str(text).split())


def quoted(text: object) -> str:
    """One double-quoted literal of the text, on one line, alike in TOML, YAML, JSON and Python."""

    def escape(character: str) -> str:
        if character in '"\\':
            return "\\" + character
        # All four read \uXXXX alike; above U+FFFF they disagree, and all take the bare character.
        if not character.isprintable() and ord(character) <= 0xFFFF:
            return f"\\u{ord(character):04x}"
        return character

    return '"' + "".join(map(escape, single_line(text))) + '"'


def markdown(text: object) -> str:
    """Inline Markdown that shows exactly this text, on one line."""
    escaped = re.sub(r"[\\`*_\[\]<>&#|~$]", r"\\\g<0>", single_line(text))
    # What makes a list, a heading or a definition does so only at the start of a line.
    escaped = re.sub(r"^[-+=:]", r"\\\g<0>", escaped)
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", escaped)


def spdx(licence: str) -> str:
    """The SPDX licence expression of an answer."""
    return "LicenseRef-Proprietary" if licence == "Proprietary" else licence


def as_data(answers: Mapping[str, object]) -> str:
    """The answers and the template's folder for a hook, as base64 of JSON.

    Whatever an answer holds, the result is letters, digits, "+", "/" and "=", so that it can
    stand in a string of the hook's source and never be read as source.
    """
    data = {
        "template": str(TEMPLATE),
        "answers": {answer: answers.get(answer) for answer in RULES},
    }
    return base64.b64encode(json.dumps(data).encode()).decode()


# --- The Jinja extension. ------------------------------------------------------------------------


def checked(value: object, answer: str) -> str:
    """Refuse a bad answer.

    Raises:
        FailedHookException: Cookiecutter prints its message and exits with 1, without a traceback.
    """
    if message := refusal(answer, value):
        raise FailedHookException(message)
    return "ok"


def all_checked(answers: Mapping[str, object]) -> str:
    """Refuse bad answers, as `checked`, and render as nothing."""
    if messages := refusals(answers):
        raise FailedHookException("\n".join(messages))
    return ""


class AnswersExtension(Extension):
    """Offers the functions above to the template."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        offered: list[Callable[..., str]] = [checked, all_checked, default_slug, default_package]
        offered += [single_line, quoted, markdown, spdx, as_data]
        environment.filters.update({function.__name__: function for function in offered})
        for default in (default_author_name, default_author_email):
            environment.globals[default.__name__] = default

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Check the answers once more where the project's folder is named.

        A replay file, or a private variable given on the command line, gets past the checks that
        stand between the questions; nothing gets past this one, and no folder is made yet.
        """
        if source == "{{cookiecutter.project_slug}}":
            return "{{ cookiecutter | all_checked }}" + source
        return source
