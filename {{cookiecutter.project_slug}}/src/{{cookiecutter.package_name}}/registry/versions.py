"""Versions of one model in MLflow's registry, and the two names that lead to them.

An alias leads to one version, so there is never more than one champion. Each champion knows the
one before it: that is the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
CHALLENGER = "challenger"
_BEFORE = "champion.before"  # the version that was champion; "none" for the first
_MODEL = "model"  # below a run in MLflow


@dataclass(frozen=True)
class Version:
    """A version of the model: a number, the training run it is of, and its fingerprint."""

    number: int
    run: str
    fingerprint: str
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"version {self.number}, run {self.run}, model {self.fingerprint}"


class Registry:
    """The versions of the model ``name``."""

    def __init__(self, client: MlflowClient, name: str) -> None:
        self._client = client
        self.name = name

    def at(self, alias: str) -> Version | None:
        """The version that ``alias`` leads to."""
        from mlflow.exceptions import MlflowException

        try:
            return _version(self._client.get_model_version_by_alias(self.name, alias))
        except MlflowException as error:
            # The embedded store and a server have different words for an alias that is not there.
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def versions(self) -> list[Version]:
        """All, the newest first."""
        found, page = [], None
        while True:
            what = f"name = '{self.name}'"
            part = self._client.search_model_versions(what, page_token=page)
            found += [_version(each) for each in part]
            page = part.token
            if not page:
                return sorted(found, key=lambda each: -each.number)

    def add(self, number: str, run: str, fingerprint: str) -> Version:
        """The version of the model of the training run ``run``, which MLflow knows as ``number``;
        made if it is not there."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        for each in self.versions():
            if each.run == run:
                return each
        tags = {"run.id": run, "model.fingerprint": fingerprint}
        source = f"runs:/{number}/{_MODEL}"
        made = self._client.create_model_version(self.name, source, number, tags)
        return _version(made)

    def challenge(self, version: Version) -> None:
        """Make it the challenger."""
        self._client.set_registered_model_alias(self.name, CHALLENGER, str(version.number))

    def crown(self, version: Version, before: Version | None, reason: Mapping[str, str]) -> None:
        """Make it the champion, in place of ``before``, and write down why.

        Raises:
            UserError: by now another one is champion.
        """
        for key, value in reason.items():
            self._tag(version, key, value)
        self._tag(version, _BEFORE, "none" if before is None else str(before.number))
        self._move(version, before)
        challenger = self.at(CHALLENGER)
        if challenger and challenger.number == version.number:
            self._client.delete_registered_model_alias(self.name, CHALLENGER)

    def back(self) -> tuple[Version, Version]:
        """Make the former champion champion again; the one that was, and the one that is.

        Raises:
            UserError: there is none to go back to.
        """
        champion = self.at(CHAMPION)
        if champion is None:
            raise UserError(f"'{self.name}' has no champion.")
        before = champion.tags.get(_BEFORE, "none")
        former = next((v for v in self.versions() if str(v.number) == before), None)
        if former is None:
            raise UserError(f"{champion} is the first champion: there is none before it.")
        self._move(former, champion)
        self._tag(champion, "champion.withdrawn", "true")
        return champion, former

    def _move(self, version: Version, before: Version | None) -> None:
        now = self.at(CHAMPION)
        if (now and now.number) != (before and before.number):
            raise UserError(f"meanwhile {now} has become champion: judge against that one.")
        self._client.set_registered_model_alias(self.name, CHAMPION, str(version.number))

    def _tag(self, version: Version, key: str, value: str) -> None:
        self._client.set_model_version_tag(self.name, str(version.number), key, value)


def _version(found: Any) -> Version:
    tags = dict(found.tags)
    run, fingerprint = tags.get("run.id", "?"), tags.get("model.fingerprint", "?")
    return Version(int(found.version), run, fingerprint, tags)
