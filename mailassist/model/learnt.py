"""What a server turned out to offer: which API, which fields, which model. Shared by all who write with its model."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import cast

from mailassist.model import errors, request
from mailassist.model.connection import Endpoint
from mailassist.model.registry import Api, ModelInfo, ServerKind, find, server_kind


@dataclass(frozen=True, slots=True)
class Known:
    """What is known at one moment; a call is made by it."""

    info: ModelInfo
    api: Api
    left_out: frozenset[str]
    gone: str = ""  # the model that the server no longer offers


class Learnt:
    """Thread-safe. What one call found out, the next one of any writer knows."""

    def __init__(self, endpoint: Endpoint, info: ModelInfo) -> None:
        """`info`: the model that is wished for."""
        self.kind: ServerKind = server_kind(endpoint.url)
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._known = Known(info, _chosen_api(endpoint, info, self.kind), self.kind.left_out)

    @property
    def known(self) -> Known:
        """What is known now."""
        return self._known

    def adapt(self, failed: errors.ModelCallFailed, tried: Known, *, structured: bool) -> list[str]:
        """Make the next try differ from `tried`, which `failed`, and say what changed; raises `failed` if nothing can.

        `structured`: the try asked for an answer by a JSON schema.
        """
        with self._lock:
            if self._known != tried:  # another call found it out meanwhile
                return []
            self._known, news = self._adapted(failed, tried, structured)
            return news

    def _adapted(self, failed: errors.ModelCallFailed, tried: Known, structured: bool) -> tuple[Known, list[str]]:
        host = self._endpoint.host
        if isinstance(failed, errors.EndpointMissing) and tried.api == "responses" and self._endpoint.api == "auto":
            return replace(tried, api="chat"), []
        if isinstance(failed, errors.FieldRefused) and self._can_leave_out(failed.field, tried, structured):
            if failed.field in request.OUTPUT_LIMITS:  # it goes by its other name then
                named = request.output_limit(self.kind, tried.left_out)
                return replace(tried, left_out=tried.left_out | {named}), []
            without = replace(tried, left_out=tried.left_out | {failed.field})
            if failed.field in ("developer", "schema"):  # the system's instructions; the schema in the instructions
                return without, []
            return without, [f"{host} does not know the field {failed.field}; it is left out."]
        if isinstance(failed, errors.ModelMissing) and tried.info.successor and not self._endpoint.model:
            info = find(tried.info.successor)
            api = _chosen_api(self._endpoint, info, self.kind)
            news = f"{host} no longer offers {tried.info.name}; {info.name} writes instead."
            return replace(tried, gone=tried.info.name, info=info, api=api), [news]
        if isinstance(failed, errors.ModelMissing) and tried.gone:
            neither = f"{host} offers neither {tried.gone} nor its successor {tried.info.name}"
            raise errors.ModelMissing(neither, cure=failed.cure) from None
        raise failed

    def _can_leave_out(self, field: str, tried: Known, structured: bool) -> bool:
        """Whether the next try may do without `field`, which this one had.

        The Responses API would keep the answer without `store: false`; no answer is asked for without a limit.
        """
        if field in request.OUTPUT_LIMITS:
            return tried.api == "chat" and not tried.left_out.intersection(request.OUTPUT_LIMITS)
        if field == "schema" and not structured:
            return False
        return field not in tried.left_out and not (field == "store" and tried.api == "responses")


def _chosen_api(endpoint: Endpoint, info: ModelInfo, kind: ServerKind) -> Api:
    if endpoint.api in ("responses", "chat"):
        return cast(Api, endpoint.api)
    if endpoint.in_process:
        return "chat"
    return info.api if info.api and kind.name == "OpenAI" else kind.api
