"""What runs in child processes that are killed: the same delivery as everywhere, with a hook that ends it at a step."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection

from servers.scene import Ends, Scene, question

from mailassist.delivery.outbox import deliver_due, listed
from mailassist.delivery.saving import save_draft
from mailassist.mail.parse import parse_message

ANSWERED = "<q1@customer.example>"
# One conversation's life: two revisions of a draft, then the reply.
ACTIONS = ("save First.", "save Second.", "approve Final.", "deliver")


def act(scene: Scene, action: str) -> None:
    """Do one thing that a person or the program does; doing it twice is doing it once."""
    verb, _, text = action.partition(" ")
    if verb == "save":
        save_draft(scene.store, scene.route, scene.reply(text=text), around=scene.around)
    elif verb == "approve":
        scene.approve(text=text)
    else:
        deliver_due(scene.store, {"work": scene.route}, around=scene.around)


def die_at(ends: Ends, step: int, told: Connection) -> None:
    """Do all ACTIONS and end without any clean-up after step number `step`, telling which one and in what action."""
    passed: list[str] = []
    current = [""]

    def mark(name: str) -> None:
        passed.append(name)
        if len(passed) > step:
            told.send((name, current[0]))
            os._exit(9)

    scene = Scene(ends, mark)
    for action in ACTIONS:
        current[0] = action
        act(scene, action)
    told.send(("", ""))


def work_until_killed(ends: Ends, first: int, last: int, told: Connection) -> None:
    """Go on with what is there, then answer message after message; tell each approval once it is on disk."""
    scene = Scene(ends)
    deliver_due(scene.store, {"work": scene.route}, around=scene.around)
    answered = {row.answers for row in listed(scene.store, through=True)}
    for number in range(first, last):
        if parse_message(question(number)).message_id in answered:
            told.send(number)  # approved by a process that died before it could tell: nobody answers it again
            continue
        reply = scene.reply(number, f"Draft {number}.")
        save_draft(scene.store, scene.route, reply, around=scene.around)
        scene.approve(number, f"Final {number}.")
        told.send(number)
        deliver_due(scene.store, {"work": scene.route}, around=scene.around)
    told.send(-1)
