// MediaServerSession on sockets and a clock that the test moves: what the application hears, and in which order.
import { describe, expect, test, vi } from 'vitest';
import type { Platform, SocketEvents } from './platform';
import { MediaServerSession } from './session';

interface Wire extends SocketEvents { readonly url: string; readonly sent: Array<Record<string, unknown>>; closed_: boolean }

function makeWorld(options: { reconnect?: boolean } = {}) {
  const wires: Wire[] = [];
  const timers = new Set<{ callback: () => void; at: number }>();
  const log: string[] = [];
  let now = 0;
  const platform: Platform = {
    now: () => now, random: () => 0.5, uniqueId: () => 'unique', watchNetwork: () => () => undefined,
    makePeerConnection: () => { throw new Error('no media in this test'); },
    openSocket: (url, events) => {
      const wire: Wire = { ...events, url, sent: [], closed_: false };
      wires.push(wire);
      return { send: (text) => wire.sent.push(JSON.parse(text)), close: () => { wire.closed_ = true; } };
    },
    schedule: (callback, delayMs) => {
      const timer = { callback, at: now + delayMs };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  };
  const moveTo = (time: number): void => {
    for (;;) {
      const next = [...timers].filter(({ at }) => at <= time).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      timers.delete(next);
      now = Math.max(now, next.at);
      next.callback();
    }
    now = time;
  };
  const session = MediaServerSession.create({ url: 'http://h/s/ses_1', accessToken: 'token-1', platform, ...options });
  session.onReconnecting((_session, error) => log.push(`reconnecting ${error.code}`));
  session.onReconnected(({ participantId }) => log.push(`reconnected as ${participantId}`));
  session.onConnected(() => log.push('connected'));
  session.onDisconnected((_session, error) => log.push(`disconnected ${error?.code ?? 'gracefully'}`));
  session.onConnectionStateChanged((_session, state) => log.push(`state ${state}`));
  session.onSessionServicesConnected(() => log.push('services connected'));
  session.onSessionServicesDisconnected((_session, error) => log.push(`services disconnected ${error?.code ?? 'gracefully'}`));
  session.onRecordingStateChanged((_session, { on, updatePending, error }) => log.push(
    `recording ${on ? 'on' : 'off'}${updatePending ? ' pending' : ''}${error ? ` ${error.code}` : ''}`));
  const wire = (ending: string): Wire => {
    const found = wires.findLast(({ url }) => url.endsWith(ending));
    if (found === undefined) throw new Error(`no connection to ${ending}`);
    return found;
  };
  const receive = (ending: string, message: object): void => wire(ending).message(JSON.stringify(message));
  const take = (): string[] => log.splice(0);
  return { session, wires, wire, receive, moveTo, take, log };
}

const joined = {
  type: 'joined', version: 1, sessionId: 'ses_1', participantId: 'par_1', identity: 'Ada', grants: ['publish', 'record'],
  resumeToken: 'rt_1', resumed: false, resumeWindowMs: 30_000, participants: [{ id: 'par_2', identity: 'Bo', feeds: [] }],
};
const welcome = { type: 'welcome', version: 1, sessionId: 'ses_1', services: ['recording'], heartbeatMs: 1000 };
const off = { type: 'recording.state', revision: 1, on: false, phase: 'off', totalMs: 0 };

function makeJoinedWorld(options: { reconnect?: boolean } = {}) {
  const world = makeWorld(options);
  world.session.connect();
  world.wire('/signalling').opened();
  world.receive('/signalling', joined);
  world.wire('/services').opened();
  world.receive('/services', welcome);
  world.receive('/services', off);
  expect(world.take()).toEqual(['state connecting', 'state connected', 'connected', 'services connected', 'recording off']);
  return world;
}

test('services follow the session over a connection of their own, with the participant it gave', () => {
  const { wires, session } = makeJoinedWorld();
  expect(wires.map(({ url }) => url)).toEqual(['ws://h/v1/sessions/ses_1/signalling', 'ws://h/v1/sessions/ses_1/services']);
  expect(wires[1]?.sent[0]).toEqual({ type: 'hello', version: 1, token: 'token-1', participantId: 'par_1' });
  expect(session.areSessionServicesConnected()).toBe(true);
  expect(session.participants).toEqual([{ id: 'par_2', identity: 'Bo' }]);
});

describe('recording', () => {
  test('a request is pending until the server confirms it, and never shown as done before', () => {
    const { session, wire, receive, take } = makeJoinedWorld();
    expect(session.requestSessionRecording(true)).toEqual({ ok: true });
    expect(session.sessionRecordingState()).toMatchObject({ on: false, updatePending: true });
    const { requestId } = wire('/services').sent.at(-1) as { requestId: string };
    receive('/services', { type: 'recording.state', revision: 2, on: true, phase: 'recording', changedBy: 'Ada', totalMs: 0, requestId });
    receive('/services', { type: 'recording.response', requestId, ok: true });
    expect(take()).toEqual(['recording on']);
    expect(session.sessionRecordingState()).toMatchObject({ on: true, updatePending: false, changedBy: 'Ada' });
  });

  test('a state that was kept goes on counting, and stands when the server falls silent', () => {
    const { session, receive, moveTo } = makeJoinedWorld();
    receive('/services', { type: 'recording.state', revision: 2, on: true, phase: 'recording', totalMs: 5_000 });
    const kept = session.sessionRecordingState();
    moveTo(700);
    expect(kept.totalRunningDurationMs()).toBe(5_700);
    moveTo(5_000);
    expect(kept.totalRunningDurationMs()).toBe(6_250);
  });

  test('it is refused at once without a session, and after one', () => {
    const { session } = makeWorld();
    expect(session.requestSessionRecording(true)).toMatchObject({ error: { code: 'disconnected' } });
    const ended = makeJoinedWorld();
    ended.session.disconnect();
    expect(ended.session.requestSessionRecording(true)).toMatchObject({ error: { code: 'invalid_state' } });
  });
});

describe('independence', () => {
  test('losing the services leaves the session alone, and they come back', () => {
    const { session, wires, wire, receive, moveTo, take } = makeJoinedWorld();
    wire('/services').closed(false);
    expect(take()).toEqual(['services disconnected disconnected']);
    expect(session.connectionState).toBe('connected');
    moveTo(125);
    wire('/services').opened();
    receive('/services', welcome);
    receive('/services', off);
    expect(take()).toEqual(['services connected', 'recording off']);
    expect(wires).toHaveLength(3);
  });

  test('losing signalling leaves the services alone, and a resume is no new connection', () => {
    const { session, wire, receive, moveTo, take } = makeJoinedWorld();
    const services = wire('/services');
    wire('/signalling').closed(false);
    moveTo(125);
    wire('/signalling').opened();
    receive('/signalling', { ...joined, resumed: true, resumeToken: 'rt_2' });
    expect(take()).toEqual(['state reconnecting', 'reconnecting disconnected', 'state connected', 'reconnected as par_1']);
    expect(wire('/services')).toBe(services);
    expect(services.closed_).toBe(false);
    expect(session.areSessionServicesConnected()).toBe(true);
  });
});

describe('rejoining', () => {
  /** Past the resume window; every attempt so far failed. */
  const stayAway = ({ wires, wire, moveTo }: ReturnType<typeof makeWorld>): void => {
    const attempts = (): number => wires.filter(({ url }) => url.endsWith('/signalling')).length;
    let at = 0;
    do {
      wire('/signalling').closed(false);
      for (const before = attempts(); attempts() === before; at += 100) moveTo(at);
    } while (at < 120_000);
  };

  test('past the resume window the session goes on under another participant, and so do the services and a pending request', () => {
    const world = makeJoinedWorld();
    const { session, wire, receive, take, wires } = world;
    const first = wire('/services');
    session.requestSessionRecording(true);
    const { requestId } = first.sent.at(-1) as { requestId: string };
    wire('/signalling').closed(false);
    wire('/signalling').closed_ = true;
    expect(take()).toEqual(['state reconnecting', 'reconnecting disconnected']);
    world.moveTo(125);
    wire('/signalling').opened();
    receive('/signalling', { type: 'error', code: 'disconnected', message: 'join anew', fatal: true });
    expect(take()).toEqual([]);
    world.moveTo(2_000);
    wire('/signalling').opened();
    receive('/signalling', { ...joined, participantId: 'par_9', participants: [] });
    expect(take()).toEqual(['state connected', 'reconnected as par_9', 'services disconnected gracefully']);
    expect(session.participants).toEqual([]);
    expect(first.closed_).toBe(true);
    wire('/services').opened();
    expect(wire('/services').sent[0]).toMatchObject({ type: 'hello', participantId: 'par_9' });
    receive('/services', welcome);
    receive('/services', off);
    expect(wire('/services').sent).toContainEqual({ type: 'recording.request', requestId, on: true });
    expect(take()).toEqual(['services connected', 'recording off pending']);
    expect(wires.filter(({ closed_ }) => !closed_)).toHaveLength(2);
  });

  test('a server that is away for minutes ends nothing, and a token that it then refuses does, once', () => {
    const world = makeJoinedWorld();
    stayAway(world);
    expect(world.take().filter((entry) => entry.startsWith('disconnected'))).toEqual([]);
    world.wire('/signalling').opened();
    world.receive('/signalling', { type: 'error', code: 'unauthorized', message: 'expired', fatal: true });
    world.moveTo(900_000);
    expect(world.take().filter((entry) => entry.startsWith('disconnected'))).toEqual(['disconnected unauthorized']);
  });
});

describe('the end', () => {
  test('a transport that failed at the server is told and joined anew; one that lost its path is not', () => {
    const world = makeJoinedWorld();
    world.session.onMediaUnreachable((_session, error) => world.log.push(`unreachable ${error.code}`));
    const failed = { type: 'error', message: 'The publishing transport failed.', fatal: false, transport: 'publishing' };
    world.receive('/signalling', { ...failed, code: 'disconnected' });
    expect(world.take()).toEqual([]);
    world.receive('/signalling', { ...failed, code: 'timeout' });
    expect(world.take()).toEqual(['unreachable media_unreachable', 'state reconnecting', 'reconnecting media_unreachable']);
    expect(world.wire('/signalling').sent.at(-1)).toEqual({ type: 'leave', mayReturn: true });
    world.moveTo(10_000);
    world.wire('/signalling').opened();
    expect(world.wire('/signalling').sent.at(-1)).not.toHaveProperty('resumeToken');
    world.receive('/signalling', { ...joined, participantId: 'par_9' });
    expect(world.take()).toContain('reconnected as par_9');
  });

  test('disconnect says goodbye, closes everything, and there is one terminal event, the last one', () => {
    const { session, wires, take } = makeJoinedWorld();
    session.requestSessionRecording(true);
    session.disconnect();
    session.disconnect();
    expect(take()).toEqual([
      'recording off disconnected', 'services disconnected gracefully', 'state disconnected', 'disconnected gracefully']);
    expect(wires.every(({ closed_ }) => closed_)).toBe(true);
    expect(wires[0]?.sent.at(-1)).toEqual({ type: 'leave' });
    expect(session.participants).toEqual([]);
  });

  test('without reconnect an end past the resume window is an error, and ends the services too', () => {
    const { wire, moveTo, take } = makeJoinedWorld({ reconnect: false });
    wire('/signalling').closed(false);
    for (let at = 0; at <= 30_000; at += 100) {
      moveTo(at);
      if (!wire('/signalling').closed_) wire('/signalling').closed(false);
    }
    expect(take()).toEqual(expect.arrayContaining(['state reconnecting', 'disconnected disconnected']));
    expect(wire('/services').closed_).toBe(true);
  });

  test.each(['onConnected', 'onSessionServicesConnected', 'onRecordingStateChanged'] as const)('the session can be left inside %s', (event) => {
    const world = makeWorld();
    world.session[event](() => world.session.disconnect());
    world.session.connect();
    world.wire('/signalling').opened();
    world.receive('/signalling', joined);
    const services = world.wires.find(({ url }) => url.endsWith('/services'));
    if (services !== undefined && !services.closed_) {
      services.opened();
      services.message(JSON.stringify(welcome));
      if (!services.closed_) services.message(JSON.stringify(off));
    }
    expect(world.log.filter((entry) => entry.startsWith('disconnected'))).toEqual(['disconnected gracefully']);
    expect(world.log.at(-1)).toBe('disconnected gracefully');
    expect(world.wires.every(({ closed_ }) => closed_)).toBe(true);
  });

  test('a listener that throws keeps nobody else from hearing', () => {
    const complaint = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const world = makeWorld();
    world.session.onConnected(() => { throw new Error('a mistake in the application'); });
    const heard = vi.fn();
    world.session.onConnected(heard);
    world.session.connect();
    world.wire('/signalling').opened();
    world.receive('/signalling', joined);
    expect(heard).toHaveBeenCalledOnce();
    expect(complaint).toHaveBeenCalledOnce();
    complaint.mockRestore();
  });
});

test('what is no session\'s address makes no session', () => {
  expect(() => MediaServerSession.create({ url: 'http://h/', accessToken: '' })).toThrow(TypeError);
});
