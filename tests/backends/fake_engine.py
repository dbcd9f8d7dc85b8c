"""An engine without a model: ``python fake_engine.py OPTIONS FD``. The model's name and the prompts say what it does.

Models: ``broken`` cannot be loaded, ``dies`` ends while it loads, ``gate:PATH`` loads until there is a file PATH; any
other is ready at once. Prompts: ``hang`` is answered to when it is cancelled or somebody prompts ``release``; ``crash``
ends the process; ``flood`` writes 1 MiB; ``environment`` says the names of the environment; ``sure`` is confident;
others are echoed, word by word.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path


class FakeEngine:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = 0
        self.hanging: list[tuple[int, int]] = []

    def say(self, number, **message):
        self.connection.sendall(b"%d %b\n" % (number, json.dumps(message).encode()))

    def load(self, model):
        if model == "broken":
            self.say(0, failed=["model_not_found", "There is no such model.", "Fetch it."])
            sys.exit(1)
        if model == "dies":
            print("out of luck", file=sys.stderr, flush=True)
            os._exit(7)
        if model.startswith("gate:"):
            for progress in (0.25, 0.26, 0.5):
                self.say(0, loading=progress)
            while not Path(model.removeprefix("gate:")).exists():
                time.sleep(0.005)
        self.say(0, ready=self.figures())

    def figures(self):
        return {
            "device": "cpu",
            "dtype": "float32",
            "active": len(self.hanging),
            "waiting": 0,
            "received": self.received,
        }

    def serve(self):
        for line in self.connection.makefile("rb"):
            message = json.loads(line)
            key = (message.get("to"), message.get("id"))
            match message["op"]:
                case "generate":
                    self.generate(*key, message["request"])
                case "cancel":
                    self.drop(lambda hanging, key=key: hanging == key)
                case "forget":
                    self.drop(lambda hanging, key=key: hanging[0] == key[0])
                case "status":
                    self.say(0, status=self.figures())
                    self.rest()  # which the service has heard before

    def generate(self, to, id_, request):
        self.received += 1
        prompt = request["messages"][-1]["content"]
        self.say(to, stages=[[id_, "queued", 1]])
        self.say(to, stages=[[id_, "reading", None]])
        match prompt:
            case "hang":
                self.hanging.append((to, id_))
                self.say(to, events=[[id_, "…", None, None]])
            case "release":
                self.finish(to, id_)
                for key in self.hanging:
                    self.finish(*key)
                self.hanging.clear()
            case "crash":
                print("it hurts", file=sys.stderr, flush=True)
                os._exit(9)
            case "flood":
                for _ in range(16):
                    self.say(to, events=[[id_, "x" * 2**16, None, None]])
                self.finish(to, id_)
            case "environment":
                self.say(to, events=[[id_, json.dumps(dict(os.environ)), None, None]])
                self.finish(to, id_)
            case _:
                if request["confidence_tokens"] or prompt == "sure":
                    self.say(to, confidence=[[id_, 0.75]])
                for word in prompt.split():
                    self.say(to, events=[[id_, f"{word} ", None, None]])
                self.finish(to, id_)
        self.rest()

    def drop(self, is_meant):
        if dropped := [key for key in self.hanging if is_meant(key)]:
            self.hanging = [key for key in self.hanging if key not in dropped]
            self.rest()

    def finish(self, to, id_):
        self.say(to, events=[[id_, "", "stop", [3, 2]]])

    def rest(self):
        if not self.hanging:
            self.say(0, idle=self.received)


if __name__ == "__main__":
    engine = FakeEngine(socket.socket(fileno=int(sys.argv[2])))
    engine.load(json.loads(sys.argv[1])["model"])
    engine.serve()
