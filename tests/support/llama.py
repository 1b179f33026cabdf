"""A real model server: llama.cpp's own HTTP server, from a wheel. As a program and as a fixture's process.

`python -m tests.support.llama MODEL PORT [key=value …]` serves until it is asked to end. The options: alias, host,
key (an API key), parallel, sleep (seconds without a request after which it puts its model away), threads, load (how its
file is read: `none` is into memory of its own, not mapped), dies (tokens into an answer it breaks down), check (it ends
as soon as its model is loaded).
It needs nothing but the wheel and the standard library, so that a container runs it as a file of its own (swap_box.py).
"""

import json
import os
import signal
import sys
import threading
import time
import urllib.request


def main(argv: list[str]) -> int:
    """Serve until SIGTERM."""
    import xllamacpp

    model, port, *rest = argv
    options = dict(word.split("=", 1) for word in rest)
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = [options.get("host", "127.0.0.1")]
    params.port = int(port)
    params.n_ctx = 2048
    params.n_parallel = int(options.get("parallel", "4"))
    params.cpuparams.n_threads = int(options.get("threads", "1"))
    params.endpoint_metrics = params.endpoint_slots = params.endpoint_props = True
    params.warmup, params.fit_params = False, False
    if "alias" in options:
        params.model_alias = [options["alias"]]
    if "key" in options:
        params.api_keys = [options["key"]]
    if "sleep" in options:
        params.sleep_idle_seconds = int(options["sleep"])
    if "load" in options:
        params.load_mode = getattr(xllamacpp.llama_load_mode, f"LLAMA_LOAD_MODE_{options['load'].upper()}")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    server = xllamacpp.Server(params)
    print(f"listening at {server.listening_address}", flush=True)
    if "check" in options:
        return 0
    if "dies" in options:
        threading.Thread(target=die, args=(int(port), int(options["dies"])), daemon=True).start()
    ended.wait()
    sys.stdout.flush()
    os._exit(0)  # as llama-server does it: whoever is being answered is cut, and nobody is waited for


def die(port: int, tokens: int) -> None:
    """Break down, as a bug in a kernel does it, once an answer is that far."""
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/slots", timeout=60) as answer:
            slots = json.load(answer)
        done = [each.get("n_decoded", 0) for slot in slots if slot["is_processing"] for each in slot["next_token"]]
        if done and max(done) >= tokens:
            print("CUDA error: an illegal memory access was encountered", flush=True)
            os._exit(139)  # not by a signal: as the first process of a container it would not hear its own
        time.sleep(0.002)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
