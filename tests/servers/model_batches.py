"""The Batch API of the stand-in: files, batches, and their results, as OpenAI's reference describes them."""

from __future__ import annotations

import email
import itertools
import json
import threading
from collections.abc import Callable, Mapping
from email import policy
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, Any]
_OVER = ("completed", "failed", "expired", "cancelled")


class Batches:
    """What was uploaded and what is worked on. A batch ends at the next look at it, as `ends` says."""

    def __init__(self, ask: Callable[[str, Mapping[str, Any]], tuple[int, Mapping[str, Any]]]) -> None:
        """`ask` gives HTTP status and JSON of the answer to one request."""
        self._ask = ask
        # "completed"; "expired" or "cancelled" (after the first half of the requests); "failed"; "": not yet
        self.ends = "completed"
        self.lost = False  # the next answer to a creation never arrives
        self.refuses_creation = False  # the server fails at it
        self.cancels = True  # a batch that is being cancelled has ended at the next look
        self.files: dict[str, dict[str, Any]] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self._wanted: dict[str, bytes] = {}  # the requests of each batch, also once their file is deleted
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, kind: str, data: bytes) -> Answer | None:
        """Status and value (JSON, or bytes); None where the path is not of this API."""
        parts = urlsplit(path)
        names = parts.path.removeprefix("/v1/").split("/")
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        with self._lock:
            if names[0] == "files":
                return self._files(method, names[1:], query, kind, data)
            if names[0] == "batches":
                return self._batches(method, names[1:], query, data)
        return None

    def _files(self, method: str, names: list[str], query: Mapping[str, str], kind: str, data: bytes) -> Answer:
        if not names:
            return self._upload(kind, data) if method == "POST" else _listed(self.files, query, hide="content")
        if names[0] not in self.files:
            return 404, {"error": {"message": "No such File object", "code": None, "type": "invalid_request_error"}}
        if method == "DELETE":
            del self.files[names[0]]
            return 200, {"id": names[0], "object": "file", "deleted": True}
        file = self.files[names[0]]
        return 200, file["content"] if names[1:] == ["content"] else _without(file, "content")

    def _upload(self, kind: str, data: bytes) -> Answer:
        message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + data, policy=policy.HTTP)
        form = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
        content = form["file"].get_payload(decode=True)
        purpose = str(form["purpose"].get_content()).strip()
        return 200, _without(self._file(form["file"].get_filename(), purpose, content), "content")

    def _file(self, name: str | None, purpose: str, content: bytes) -> dict[str, Any]:
        number = f"file-{next(self._numbers)}"
        file = {"id": number, "object": "file", "filename": name, "purpose": purpose, "bytes": len(content)}
        self.files[number] = {**file, "created_at": 0, "status": "processed", "content": content}
        return self.files[number]

    def _batches(self, method: str, names: list[str], query: Mapping[str, str], data: bytes) -> Answer:
        if not names:
            return self._create(json.loads(data)) if method == "POST" else _listed(self.batches, query)
        batch = self.batches.get(names[0])
        if batch is None:
            return 404, {"error": {"message": "No batch found", "code": None, "type": "invalid_request_error"}}
        if names[1:] == ["cancel"] and batch["status"] not in _OVER:
            batch["status"] = "cancelling"
        elif method == "GET" and batch["status"] not in _OVER:
            cancelling = batch["status"] == "cancelling"
            end = ("cancelled" if self.cancels else "") if cancelling else self.ends
            if end:
                self._end(batch, end)
        return 200, batch

    def _create(self, wish: Mapping[str, Any]) -> Answer:
        if self.refuses_creation:
            return 500, {"error": {"message": "busy", "code": None, "type": "server_error"}}
        number = f"batch_{next(self._numbers)}"
        self._wanted[number] = self.files[wish["input_file_id"]]["content"]
        self.batches[number] = {
            "id": number,
            "object": "batch",
            "endpoint": wish["endpoint"],
            "input_file_id": wish["input_file_id"],
            "completion_window": wish["completion_window"],
            "metadata": wish.get("metadata"),
            "status": "in_progress",
            "created_at": 0,
            "output_file_id": None,
            "error_file_id": None,
            "errors": None,
        }
        if self.lost:
            self.lost = False
            return 500, {"error": {"message": "lost", "code": None, "type": "server_error"}}
        return 200, self.batches[number]

    def _end(self, batch: dict[str, Any], how: str) -> None:
        if how == "failed":
            batch["errors"] = {"object": "list", "data": [{"code": "token_limit_exceeded", "message": "too many"}]}
        else:
            self._work(batch, half=how != "completed")
        batch["status"] = how

    def _work(self, batch: dict[str, Any], *, half: bool) -> None:
        lines = self._wanted[batch["id"]].decode().splitlines()
        requests = [json.loads(line) for line in lines]
        done, errors = [], []
        for number, request in enumerate(requests):
            result: dict[str, Any] = {"id": f"batch_req_{number}", "custom_id": request["custom_id"], "error": None}
            if half and number >= len(requests) / 2:
                expired = {"code": "batch_expired", "message": "This request could not be executed in time."}
                errors.append(result | {"response": None, "error": expired})
                continue
            status, body = self._ask(request["url"], request["body"])
            answered = {"status_code": status, "request_id": f"req_{number}", "body": body}
            (done if status == 200 else errors).append(result | {"response": answered})
        done.reverse()  # the order of the results is not that of the requests
        for key, results in (("output_file_id", done), ("error_file_id", errors)):
            if results:
                content = "".join(f"{json.dumps(result)}\n" for result in results).encode()
                batch[key] = self._file(f"{batch['id']}_{key}.jsonl", "batch_output", content)["id"]


def _listed(things: Mapping[str, dict[str, Any]], query: Mapping[str, str], hide: str = "") -> Answer:
    newest = [_without(thing, hide) for thing in reversed(list(things.values()))]
    newest = [thing for thing in newest if query.get("purpose", thing.get("purpose")) == thing.get("purpose")]
    start = [thing["id"] for thing in newest].index(query["after"]) + 1 if "after" in query else 0
    page = newest[start : start + int(query.get("limit", "20"))]
    return 200, {"object": "list", "data": page, "has_more": start + len(page) < len(newest)}


def _without(thing: Mapping[str, Any], hidden: str) -> dict[str, Any]:
    return {key: value for key, value in thing.items() if key != hidden}
