"""A stand-in for the paid API: a small HTTP server with the wire formats of Responses, Chat Completions and Batch.

    with ModelServer(answers=[Reply("Dear Ann, ..."), Reply(status=429, code="rate_limit_exceeded")]) as server:
        Endpoint(base_url=server.base_url, ...)
        server.requests[0].body["input"]

Each request takes the next answer; the last one is given again and again. An answer may be a function of the request.
"""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

import pytest
from servers import model_batches

How = Literal[
    "completed",
    "cut",  # the output limit is reached
    "refused",  # the model says no, in a refusal
    "filtered",  # the provider's content filter
    "failed",  # response.failed; in Chat Completions an error object in the stream
    "error",  # the event `error`
    "unfinished",  # the stream ends cleanly, but early
    "dropped",  # the connection breaks in the middle
    "garbage",  # bytes that are no JSON
    "nonsense",  # the message as an event, then a clean end
    "page",  # a web page with status 200
]


@dataclass(frozen=True)
class Reply:
    """One scripted answer."""

    text: str = "Thank you for your message."
    how: How = "completed"
    usage: tuple[int, int, int] | None = (1000, 0, 50)  # input, cached, output; None: the server does not say
    cache_written: int = 0  # tokens of the input
    status: int = 200
    code: str = ""
    message: str = "scripted error"
    headers: Mapping[str, str] = field(default_factory=dict)  # Retry-After, ...
    before: float = 0.0  # seconds of silence before the headers
    pause: float = 0.0  # seconds before each piece of text
    pieces: int = 8  # in how many pieces the text comes
    tier: str = ""  # `service_tier` of the answer


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def prompt(self) -> str:
        """Everything that the model would read, in one text."""
        if "input" in self.body:
            return f"{self.body.get('instructions', '')}\n{self.body['input']}"
        return "\n".join(str(message["content"]) for message in self.body.get("messages", []))


Script = Reply | Callable[[Request], Reply]


class ModelServer:
    """The server, on a free loopback port. `lacks`: paths it answers 404; `gone`: models it does not offer."""

    def __init__(
        self,
        answers: Sequence[Script] = (Reply(),),
        *,
        lacks: Sequence[str] = (),
        gone: Sequence[str] = (),
        models: Sequence[Mapping[str, Any]] = ({"id": "gpt-4o-mini", "shutdown_date": "2027-01-14"}, {"id": "gpt-4o"}),
        key: str = "",
    ) -> None:
        """`key`: the only one it accepts; "": any, or none."""
        self.answers: list[Script] = list(answers)
        self.lacks, self.gone, self.models, self.key = tuple(lacks), set(gone), tuple(models), key
        self.requests: list[Request] = []
        self.on_request: Callable[[], None] = lambda: None  # before one is read
        self.clients: set[tuple[str, int]] = set()  # each connection's other end
        self.batches = model_batches.Batches(self.take_in_batch)
        self.hung_up = threading.Event()  # a client closed its connection before the end
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def base_url(self) -> str:
        """For the configuration."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, request: Request) -> Reply:
        """Record `request` and give the next answer."""
        with self._lock:
            self.requests.append(request)
            script = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return script(request) if callable(script) else script

    def take_in_batch(self, path: str, body: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        """The answer to one request of a batch: HTTP status and JSON."""
        reply = self.take(Request("BATCH", path, {}, body))
        if reply.status != 200:
            return reply.status, {"error": _error_of(reply.status, reply.code, reply.message)}
        return 200, whole(reply, "responses" if path.endswith("/responses") else "chat", body)


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """A server whose `answers` a test may replace."""
    with ModelServer() as server:
        yield server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: ModelServer

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.server.owner.on_request()
        owner = self.server.owner
        owner.requests.append(Request("GET", self.path, dict(self.headers), {}))
        if self._key_refused() or self._batch_answered("GET", b""):
            return
        if self.path != "/v1/models":
            self._json(404, {"error": {"message": f"Unknown request URL: GET {self.path}", "code": "unknown_url"}})
            return
        entries = [{"object": "model", "created": 0, "owned_by": "system", **model} for model in owner.models]
        self._json(200, {"object": "list", "data": entries})

    def do_DELETE(self) -> None:
        self.server.owner.on_request()
        self.server.owner.requests.append(Request("DELETE", self.path, dict(self.headers), {}))
        if not self._key_refused() and not self._batch_answered("DELETE", b""):
            self._json(404, {"error": _error_of(404, "unknown_url", "Unknown request URL")})

    def _batch_answered(self, method: str, data: bytes) -> bool:
        """Answer where the path is one of the Batch API's."""
        answer = self.server.owner.batches.answer(method, self.path, self.headers.get("Content-Type", ""), data)
        if answer is None:
            return False
        status, value = answer
        if isinstance(value, bytes):
            self._bytes(status, "application/octet-stream", value, {})
        else:
            self._json(status, value)
        return True

    def do_POST(self) -> None:
        self.server.owner.on_request()
        owner = self.server.owner
        owner.clients.add(self.client_address)
        data = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path.startswith(("/v1/files", "/v1/batches")):
            owner.requests.append(Request("POST", self.path, dict(self.headers), {}))
            if not self._key_refused():
                self._batch_answered("POST", data)
            return
        body = json.loads(data)
        request = Request("POST", self.path, dict(self.headers), body)
        path = self.path.partition("?")[0]
        api = {"responses": "responses", "completions": "chat"}.get(path.rpartition("/")[2], "")
        if not api or api in owner.lacks or not path.startswith(("/v1/", "/openai/")):
            owner.requests.append(request)
            self._json(404, {"detail": "Not Found"})
        elif body.get("model") in owner.gone:
            owner.requests.append(request)
            text = f"The model `{body['model']}` does not exist or you do not have access to it."
            self._error(404, "model_not_found", text)
        elif not self._key_refused():
            self._answer(owner.take(request), api, body)

    def _key_refused(self) -> bool:
        key = self.server.owner.key
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if key and given != key:
            self._error(401, "invalid_api_key", f"Incorrect API key provided: {given}.")
            return True
        return False

    def _answer(self, reply: Reply, api: str, body: Mapping[str, Any]) -> None:
        self._wait(reply.before)
        if reply.status != 200:
            self._error(reply.status, reply.code, reply.message, reply.headers)
            return
        if reply.how == "page":
            self._bytes(200, "text/html", b"<html><body>Welcome to nginx!</body></html>", {})
            return
        if not body.get("stream"):
            self._whole(reply, api, body)
            return
        self.send_response(200)
        for name, value in {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}.items():
            self.send_header(name, value)
        self.end_headers()
        stream = _responses_stream(reply, body) if api == "responses" else _chat_stream(reply, body)
        for event in stream:
            self._wait(reply.pause if "delta" in event else 0.0)
            self._chunk(event.encode())
        if reply.how == "dropped":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            self._chunk(b"")

    def _whole(self, reply: Reply, api: str, body: Mapping[str, Any]) -> None:
        """The answer in one piece."""
        data = json.dumps(whole(reply, api, body)).encode()
        if reply.how in ("garbage", "nonsense"):
            data = b"{not json" if reply.how == "garbage" else reply.message.encode()
        self._wait(reply.pause * reply.pieces)
        if reply.how != "dropped":
            self._bytes(200, "application/json", data, {})
            return
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        try:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        except OSError:
            self.server.owner.hung_up.set()
            raise

    def _wait(self, seconds: float) -> None:
        """Sleep, but notice a client that hangs up."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            readable, _, _ = select.select([self.connection], [], [], min(left, 0.05))
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                self.server.owner.hung_up.set()
                raise ConnectionAbortedError

    def _error(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        self._json(status, {"error": _error_of(status, code, message)}, headers or {})

    def _json(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        self._bytes(status, "application/json", json.dumps(value).encode(), headers or {})

    def _bytes(self, status: int, kind: str, data: bytes, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        own = {"Date": self.date_time_string(), "Content-Type": kind, "Content-Length": str(len(data))}
        for name, value in {**own, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _error_of(status: int, code: str, message: str) -> dict[str, Any]:
    kind = "insufficient_quota" if code == "insufficient_quota" else "invalid_request_error"
    kind = "server_error" if status >= 500 else kind
    return {"message": message, "type": kind, "param": None, "code": code or None}


def whole(reply: Reply, api: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of an answer that comes in one piece."""
    if reply.how == "error":
        return {"error": {"message": reply.message, "code": reply.code or "server_error"}}
    return _whole_response(reply, body) if api == "responses" else _whole_chat(reply, body)


def _whole_response(reply: Reply, body: Mapping[str, Any]) -> dict[str, Any]:
    status = {"completed": "completed", "refused": "completed", "failed": "failed", "unfinished": "in_progress"}
    kind, name = ("refusal", "refusal") if reply.how == "refused" else ("output_text", "text")
    item = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant"}
    content = [{"type": kind, name: reply.text, **({"annotations": []} if kind == "output_text" else {})}]
    response: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "created_at": 0,
        "model": body["model"],
        "status": status.get(reply.how, "incomplete"),
        "error": None,
        "incomplete_details": None,
        "output": [{"id": "rs_1", "type": "reasoning", "summary": []}, item | {"content": content}],
        "service_tier": reply.tier or "default",
        "usage": _usage_of(reply),
    }
    if reply.how == "failed":
        response["error"] = {"code": reply.code or "server_error", "message": reply.message}
    if reply.how in ("cut", "filtered"):
        response["incomplete_details"] = {"reason": "max_output_tokens" if reply.how == "cut" else "content_filter"}
    return response


def _usage_of(reply: Reply) -> dict[str, Any] | None:
    if reply.usage is None:
        return None
    sent, _, written = reply.usage
    counts = {"input_tokens": sent, "output_tokens": written, "total_tokens": sent + written}
    details = {"input_tokens_details": _cache(reply), "output_tokens_details": {"reasoning_tokens": 0}}
    return {**counts, **details}


def _whole_chat(reply: Reply, body: Mapping[str, Any]) -> dict[str, Any]:
    if reply.how == "failed":
        return {"error": {"message": reply.message, "code": reply.code or "server_error"}}
    reason = {"cut": "length", "filtered": "content_filter", "unfinished": None}.get(reply.how, "stop")
    refused = reply.how == "refused"
    message = {"role": "assistant", "content": None if refused else reply.text}
    message["refusal"] = reply.text if refused else None
    completion: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "service_tier": reply.tier or "default",
    }
    if reply.usage is not None:
        sent, _, written = reply.usage
        usage = {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": sent + written}
        completion["usage"] = usage | {"prompt_tokens_details": _cache(reply)}
    return completion


def _pieces(reply: Reply) -> Iterator[str]:
    size = max(1, -(-len(reply.text) // max(1, reply.pieces)))
    for start in range(0, len(reply.text), size):
        yield reply.text[start : start + size]


def _event(value: Mapping[str, Any]) -> str:
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n"


def _responses_stream(reply: Reply, body: Mapping[str, Any]) -> Iterator[str]:
    response: dict[str, Any] = {"id": "resp_1", "object": "response", "created_at": 0, "model": body["model"]}
    response |= {"status": "in_progress", "error": None, "incomplete_details": None, "output": [], "usage": None}
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    yield _event({"type": "response.created", "response": response, "sequence_number": 0})
    yield _event({"type": "response.in_progress", "response": response, "sequence_number": 1})
    item = {"id": "msg_1", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
    yield _event({"type": "response.output_item.added", "output_index": 0, "item": item, "sequence_number": 2})
    kind = "refusal" if reply.how == "refused" else "output_text"
    for number, piece in enumerate(_pieces(reply)):
        yield _event({"type": f"response.{kind}.delta", **at, "delta": piece, "sequence_number": 3 + number})
    yield from _responses_end(reply, response)


def _cache(reply: Reply) -> dict[str, int]:
    assert reply.usage is not None
    return {"cached_tokens": reply.usage[1], "cache_write_tokens": reply.cache_written}


def _responses_end(reply: Reply, response: dict[str, Any]) -> Iterator[str]:
    response |= {"usage": _usage_of(reply), "service_tier": reply.tier or "default"}
    if reply.how == "garbage":
        yield "data: {not json\n\n"
    if reply.how == "nonsense":
        yield f"data: {reply.message}\n\n"
    if reply.how == "error":
        yield _event({"type": "error", "code": reply.code or None, "message": reply.message, "param": None})
    if reply.how in ("unfinished", "dropped", "garbage", "error"):
        return
    if reply.how == "failed":
        error = {"code": reply.code or "server_error", "message": reply.message}
        yield _event({"type": "response.failed", "response": response | {"status": "failed", "error": error}})
    elif reply.how in ("cut", "filtered"):
        details = {"reason": "max_output_tokens" if reply.how == "cut" else "content_filter"}
        incomplete = response | {"status": "incomplete", "incomplete_details": details}
        yield _event({"type": "response.incomplete", "response": incomplete})
    else:
        yield _event({"type": "response.completed", "response": response | {"status": "completed"}})


def _chat_stream(reply: Reply, body: Mapping[str, Any]) -> Iterator[str]:
    def chunk(**values: Any) -> str:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": body["model"]}
        return f"data: {json.dumps(head | values)}\n\n"

    def choice(delta: Mapping[str, Any], reason: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]

    yield chunk(choices=choice({"role": "assistant", "content": ""}))
    kind = "refusal" if reply.how == "refused" else "content"
    for piece in _pieces(reply):
        yield chunk(choices=choice({kind: piece}))
    if reply.how == "garbage":
        yield "data: {not json\n\n"
    if reply.how == "nonsense":
        yield f"data: {reply.message}\n\n"
    if reply.how in ("failed", "error"):
        yield f"data: {json.dumps({'error': {'message': reply.message, 'code': reply.code or 'server_error'}})}\n\n"
    if reply.how in ("unfinished", "dropped", "garbage", "failed", "error"):
        return
    reason = {"cut": "length", "filtered": "content_filter"}.get(reply.how, "stop")
    yield chunk(choices=choice({}, reason))
    if reply.usage is not None and (body.get("stream_options") or {}).get("include_usage"):
        sent, _, written = reply.usage
        usage = {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": sent + written}
        yield chunk(choices=[], usage=usage | {"prompt_tokens_details": _cache(reply)})
    yield "data: [DONE]\n\n"
