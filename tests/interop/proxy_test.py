#!/usr/bin/python3
"""Behind HAProxy, in the ways that docs/deployment.md names, the server counts and names the clients and not the proxy.

Usage: proxy_test.py AMPHI_SERVER
"""
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile

import websockets

from server import Server

CLIENT = "127.0.0.5"  # any address of loopback but the proxy's
WAYS = {"X-Forwarded-For": ("http", "option forwardfor", ""), "Forwarded": ("http", "http-request set-header Forwarded for=%[src]", ""),
        "PROXY version 1": ("tcp", "", "send-proxy"), "PROXY version 2": ("tcp", "", "send-proxy-v2")}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Proxy:
    def __init__(self, folder, server, mode, option, send):
        self.port = free_port()
        path = os.path.join(folder, "haproxy.cfg")
        with open(path, "w") as file:
            file.write(f"""
defaults
  mode {mode}
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
frontend in
  bind 127.0.0.1:{self.port}
  {option}
  default_backend amphi
backend amphi
  server amphi {server.host} {send}
""")
        self.process = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-q", "-f", path])

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


async def seen_address(server, port, session):
    """The address that the server shows for a participant that joins from CLIENT through the proxy."""
    address = f"ws://127.0.0.1:{port}/v1/sessions/{session}/signalling"
    for _ in range(100):  # the proxy starts
        try:
            connection = await websockets.connect(address, local_addr=(CLIENT, 0))
            break
        except OSError:
            await asyncio.sleep(0.05)
    token = server.token(session, "client", "publish,subscribe")
    await connection.send(json.dumps({"type": "join", "version": 1, "token": token}))
    joined = json.loads(await connection.recv())
    assert joined["type"] == "joined", joined
    await connection.send(json.dumps({"type": "ping"}))
    shown = server.rest("GET", f"/v1/sessions/{session}/participants", server.token(session, "admin", "admin"))["participants"]
    await connection.close()
    return [each["address"] for each in shown]


def run(folder, trusted):
    server = Server(sys.argv[1], folder, *(["--trusted-proxy", "127.0.0.1"] if trusted else []))
    try:
        for number, (way, (mode, option, send)) in enumerate(WAYS.items()):
            if not trusted and mode == "tcp":
                continue  # the header is no HTTP then
            proxy = Proxy(folder, server, mode, option, send)
            try:
                shown = asyncio.run(asyncio.wait_for(seen_address(server, proxy.port, "s%d" % number), 20))
            finally:
                proxy.stop()
            print(way, "trusted" if trusted else "not trusted", shown)
            assert shown == [CLIENT if trusted else "127.0.0.1"], (way, shown)
    finally:
        server.stop()


for trusted in (True, False):
    with tempfile.TemporaryDirectory() as scratch:
        run(scratch, trusted)
