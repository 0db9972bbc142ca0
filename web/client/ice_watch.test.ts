// The watch on a peer connection that the test plays: when it restarts, and when it tells that no media gets through.
import { expect, test } from 'vitest';
import { IceWatch } from './ice_watch';
import { explainUnreachable, MediaReachability } from './media_reachability';
import type { Platform } from './platform';

function makeWatch() {
  const timers = new Set<{ callback: () => void; at: number }>();
  const log: string[] = [];
  let now = 0;
  const target = new EventTarget();
  const dtls = Object.assign(new EventTarget(), { state: 'new' });
  const connection = Object.assign(target, {
    connectionState: 'new', iceConnectionState: 'new', getTransceivers: () => [{ sender: { transport: dtls }, receiver: { transport: dtls } }],
  });
  const state = { active: true };
  const platform = {
    schedule: (callback: () => void, delayMs: number) => {
      const timer = { callback, at: now + delayMs };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  } as unknown as Platform;
  const note = (what: string): void => void log.push(`${what} ${now}`);
  const watch = new IceWatch(connection as unknown as RTCPeerConnection, platform, {
    restart: () => note('restart'), reachable: (yes, pathWorks) => note(yes ? 'reachable' : pathWorks ? 'stuck' : 'unreachable'), broken: () => note('broken'), active: () => state.active,
  });
  const become = (ice: string, whole: string): void => {
    connection.iceConnectionState = ice;
    connection.dispatchEvent(new Event('iceconnectionstatechange'));
    connection.connectionState = whole;
    connection.dispatchEvent(new Event('connectionstatechange'));
  };
  const moveTo = (time: number): void => {
    for (;;) {
      const next = [...timers].filter(({ at }) => at <= time).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      timers.delete(next);
      now = next.at;
      next.callback();
    }
    now = time;
  };
  const closeDtls = (): void => {
    dtls.state = 'closed';
    dtls.dispatchEvent(new Event('statechange'));
  };
  return { watch, become, moveTo, state, take: () => log.splice(0), timers, closeDtls };
}

test('a connection that does not come about within 10 s is told once and restarted with growing pauses until it does', () => {
  const { watch, become, moveTo, take } = makeWatch();
  watch.expectConnection();
  become('checking', 'connecting');
  watch.expectConnection();
  moveTo(9_999);
  expect(take()).toEqual([]);
  moveTo(40_000);
  expect(take()).toEqual(['unreachable 10000', 'restart 10000', 'restart 15000', 'restart 25000', 'restart 35000']);
  become('connected', 'connected');
  moveTo(100_000);
  expect(take()).toEqual(['reachable 40000']);
});

test('a connection in time tells no trouble', () => {
  const { watch, become, moveTo, take } = makeWatch();
  watch.expectConnection();
  moveTo(5_000);
  become('connected', 'connected');
  moveTo(60_000);
  expect(take()).toEqual(['reachable 5000']);
});

test('a path that is lost later is restarted soon, and told after 10 s', () => {
  const { become, moveTo, take } = makeWatch();
  become('connected', 'connected');
  take();
  become('disconnected', 'disconnected');
  moveTo(12_000);
  expect(take()).toEqual(['restart 2000', 'restart 7000', 'unreachable 10000']);
});

test('without signalling the time does not count', () => {
  const { watch, moveTo, state, take } = makeWatch();
  state.active = false;
  watch.expectConnection();
  moveTo(35_000);
  expect(take()).toEqual([]);
  state.active = true;
  moveTo(40_000);
  expect(take()).toEqual(['unreachable 40000', 'restart 40000']);
});

test('DTLS that failed on a sound path is told as broken', () => {
  const { become, take } = makeWatch();
  become('connected', 'failed');
  expect(take()).toEqual(['stuck 0', 'broken 0']);
});

test('a transport that the other end closed is broken 2 s later, once signalling is connected', () => {
  const { watch, become, moveTo, take, closeDtls, state } = makeWatch();
  watch.expectConnection();
  become('connected', 'connected');
  take();
  closeDtls();
  moveTo(1_999);
  expect(take(), 'signalling may tell the cause').toEqual([]);
  state.active = false;
  moveTo(9_000);
  expect(take()).toEqual([]);
  state.active = true;
  moveTo(60_000);
  expect(take()).toEqual(['stuck 10000', 'broken 10000']);
});

test('a transport that the other end closed is nothing to a watch that is closed as well', () => {
  const { watch, moveTo, take, closeDtls } = makeWatch();
  watch.expectConnection();
  closeDtls();
  watch.close();
  closeDtls();
  moveTo(60_000);
  expect(take()).toEqual([]);
});

test('DTLS that does not come about within 10 s on a sound path is told and broken', () => {
  const { watch, become, moveTo, take } = makeWatch();
  watch.expectConnection();
  become('connected', 'connecting');
  moveTo(60_000);
  expect(take()).toEqual(['stuck 10000', 'broken 10000']);
});

test('a handshake that is stuck is not taken for a blocked port', () => {
  const said: string[] = [];
  new MediaReachability((error) => said.push(error.message), () => undefined).report('publishing', false, true, '');
  expect(said.join()).toMatch(/network path works.*DTLS/);
});

test('a watch that is closed does nothing any more', () => {
  const { watch, become, moveTo, take, timers } = makeWatch();
  watch.expectConnection();
  become('disconnected', 'disconnected');
  watch.close();
  expect(timers.size).toBe(0);
  become('failed', 'failed');
  moveTo(60_000);
  expect(take()).toEqual([]);
});

test('both transports are told as one, with the port that may be blocked', () => {
  const said: string[] = [];
  const media = new MediaReachability((error) => said.push(error.message), () => said.push('reachable'));
  const sdp = 'v=0\r\na=candidate:1 1 udp 2130706431 192.0.2.1 7881 typ host\r\na=candidate:2 1 udp 2130706430 2001:db8::1 7881 typ host\r\n';
  media.report('publishing', true, true, sdp);
  media.report('subscribing', false, false, sdp);
  media.report('publishing', false, false, sdp);
  media.report('publishing', true, true, sdp);
  expect(media.error?.code).toBe('media_unreachable');
  media.report('subscribing', true, true, sdp);
  media.report('subscribing', true, true, sdp);
  expect(said).toEqual([
    'No audio or video gets through to the server. The media port UDP 7881 at 192.0.2.1, 2001:db8::1 may be blocked by a firewall or NAT.', 'reachable']);
  expect(explainUnreachable('')).toContain('The server\'s UDP media port may be blocked');
});
