#!/usr/bin/python3
"""aiortc as publisher and subscriber of a real server: frames arrive, also after a feed has come and gone.

aiortc refuses a description in which any m-line, finished ones included, has no ICE credentials.
Usage: aiortc_test.py AMPHI_SERVER
"""
import asyncio
import json
import sys
import tempfile

import aioice.ice
import websockets
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, VideoStreamTrack

from server import Server

aioice.ice.get_host_addresses = lambda use_ipv4=True, use_ipv6=True: ["127.0.0.1"]  # aiortc skips loopback
SESSION = "aiortc"


class Participant:
    def __init__(self):
        self.peer = RTCPeerConnection()
        self.frames = {}
        self.answers = asyncio.Queue()
        self.readers = []
        self.peer.on("track", lambda track: self.readers.append(asyncio.create_task(self.read(track))))

    async def join(self, server, identity, grants):
        self.socket = await websockets.connect(f"ws://{server.host}/v1/sessions/{SESSION}/signalling")
        await self.send({"type": "join", "version": 1, "token": server.token(SESSION, identity, grants)})
        joined = json.loads(await self.socket.recv())
        assert joined["type"] == "joined", joined
        self.loop = asyncio.create_task(self.listen())
        self.loop.add_done_callback(lambda task: task.cancelled() or task.exception() is None or task.print_stack())
        return self

    async def send(self, message):
        await self.socket.send(json.dumps(message))

    async def listen(self):
        async for text in self.socket:
            message = json.loads(text)
            if message["type"] == "ping":
                await self.send({"type": "pong"})
            elif message["type"] == "subscribeOffer":
                await self.peer.setRemoteDescription(RTCSessionDescription(message["sdp"], "offer"))
                await self.peer.setLocalDescription(await self.peer.createAnswer())
                await self.send({"type": "subscribeAnswer", "offerId": message["offerId"], "sdp": self.peer.localDescription.sdp})
                self.subscribed = message
            elif message["type"] in ("publishAnswer", "error"):
                await self.answers.put(message)

    async def publish(self, tracks, setup="actpass"):
        for track in tracks:
            self.peer.addTransceiver(track, direction="sendonly")
        await self.peer.setLocalDescription(await self.peer.createOffer())
        feeds = [{"mid": each.mid, "kind": each.kind, "label": each.kind} for each in self.peer.getTransceivers()]
        sdp = self.peer.localDescription.sdp.replace("a=setup:actpass", "a=setup:" + setup)
        await self.send({"type": "publishOffer", "sdp": sdp, "feeds": feeds})
        answer = await self.answers.get()
        assert answer["type"] == "publishAnswer" and len(answer["feeds"]) == len(feeds), answer
        await self.peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        return answer["sdp"]

    async def read(self, track):
        try:
            while True:
                await track.recv()
                self.frames[track.kind] = self.frames.get(track.kind, 0) + 1
        except MediaStreamError:
            pass

    async def leave(self):
        await self.send({"type": "leave"})
        self.loop.cancel()
        await self.peer.close()
        await self.socket.close()


async def until(condition, what, seconds=30):
    for _ in range(seconds * 20):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not within %d s: %s" % (seconds, what))


async def takes_either_dtls_role(server, viewer):
    """FFmpeg's WHIP muxer offers `a=setup:passive`, others `active`."""
    for setup, answered in (("passive", "active"), ("active", "passive"), ("actpass", "passive")):
        camera = await Participant().join(server, setup, "publish")
        answer = await camera.publish([VideoStreamTrack()], setup)
        assert "a=setup:" + answered in answer and answer.count("a=setup:") == answer.count("a=setup:" + answered), answer
        await until(lambda: camera.peer.connectionState == "connected", "DTLS with a=setup:%s" % setup)
        before = viewer.frames.get("video", 0)
        await until(lambda: viewer.frames.get("video", 0) > before + 10, "frames of the publisher with a=setup:%s" % setup)
        await camera.leave()


async def run(server):
    viewer = await Participant().join(server, "viewer", "subscribe")
    camera = await Participant().join(server, "camera", "publish")
    await camera.publish([VideoStreamTrack(), AudioStreamTrack()])
    await until(lambda: viewer.frames.get("video", 0) > 10 and viewer.frames.get("audio", 0) > 10, "frames of both feeds: %s" % viewer.frames)

    second = await Participant().join(server, "second", "publish")
    await second.publish([VideoStreamTrack()])
    await until(lambda: len(viewer.subscribed["feeds"]) == 3, "an offer with a third feed")
    await second.leave()
    await until(lambda: len(viewer.subscribed["feeds"]) == 2, "an offer without it")
    assert "m=video 0 " in viewer.subscribed["sdp"], "the finished m-line has port 0"
    before = viewer.frames["video"]
    await until(lambda: viewer.frames["video"] > before + 10, "frames after an m-line has finished")
    await camera.leave()
    await takes_either_dtls_role(server, viewer)
    await viewer.leave()
    print("aiortc: frames", viewer.frames)


with tempfile.TemporaryDirectory() as scratch:
    process = Server(sys.argv[1], scratch)
    try:
        asyncio.run(asyncio.wait_for(run(process), 120))
    finally:
        process.stop()
