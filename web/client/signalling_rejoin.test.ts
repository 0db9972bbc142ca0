// The signalling client with reconnect, its default: what it tries again, for how long, and what ends it.
import { describe, expect, test } from 'vitest';
import { makeError } from './errors';
import { readJson } from './protocol_files_for_tests';
import { joinedMessage, lost, World } from './signalling_world_for_tests';

interface Cause {
  readonly name: string;
  readonly in: readonly ('joining' | 'joined' | 'resuming')[];
  readonly receive?: object;
  readonly then: 'ended' | 'reconnecting' | 'nothing';
  readonly error?: string | null;
  readonly resumes?: boolean;
}

describe('rejoining', () => {
  const refusal = (code: string): object => ({ type: 'error', code, message: 'why', fatal: true });

  test('a server that cannot be reached is tried for as long as the application wants it, with full jitter up to 10 s', () => {
    let draw = 0;
    const world = new World(true, () => (draw += 0.37) % 1);
    world.machine.connect(0);
    world.take();
    const waits: number[] = [];
    for (let attempt = 0; attempt < 300; attempt += 1) {
      world.machine.connectionFailed(lost, world.now);
      waits.push(world.machine.nextTimeout() - world.now);
      if (attempt === 0) expect(world.take()).toEqual(['reconnecting disconnected']);
      else expect(world.take(), 'one reason is told once').toEqual([]);
      world.reopen();
    }
    let bound = 250;
    for (const wait of waits) {
      expect(wait).toBeLessThan(bound);
      bound = Math.min(bound * 2, 10_000);
    }
    expect(Math.min(...waits.slice(10))).toBeLessThan(1_000);
    expect(Math.max(...waits)).toBeGreaterThan(9_000);
    expect(world.answer(joinedMessage())).toEqual(['send join', 'send ping', 'joined']);
  });

  test('past the window the session is joined anew, as another participant', () => {
    const world = new World();
    world.join();
    world.loseConnection();
    while (world.now < 300_000) {
      world.reopen();
      world.machine.connectionFailed(lost, world.now);
    }
    world.reopen();
    expect(world.answer(refusal('disconnected'))).toEqual(['send join', 'closeConnection']);
    expect(world.sent.at(-1)).toMatchObject({ resumeToken: 'rt_1' });
    world.reopen();
    expect(world.answer(joinedMessage({ participantId: 'par_9', resumeToken: 'rt_9' }))).toEqual(['send join', 'send ping', 'joined']);
    expect(world.sent.at(-2)).not.toHaveProperty('resumeToken');
  });

  test('a participant that another connection resumed is given up, and the session joined anew', () => {
    const world = new World();
    world.join();
    world.receive(refusal('disconnected'));
    expect(world.take()).toEqual(['closeConnection', 'reconnecting disconnected']);
    world.reopen();
    world.machine.connectionOpened(world.now);
    world.take();
    expect(world.sent.at(-1)).not.toHaveProperty('resumeToken');
  });

  test('a resume as another participant is not taken', () => {
    const world = new World();
    world.join();
    world.loseConnection();
    world.reopen();
    expect(world.answer(joinedMessage({ participantId: 'par_2', resumed: true }))).toEqual(['send join', 'send leave', 'closeConnection']);
    world.reopen();
    expect(world.answer(joinedMessage({ participantId: 'par_3' }))).toContain('joined');
  });

  const causes = (readJson('scenarios/signalling/causes.json') as Cause[]).flatMap((cause) => cause.in.map((phase) => ({ phase, cause })));
  test.each(causes)('$phase: $cause.name: $cause.then', ({ phase, cause }) => {
    const world = new World();
    if (phase === 'joining') world.machine.connect(0);
    else world.join();
    if (phase === 'resuming') {
      world.loseConnection();
      world.reopen();
    }
    if (phase !== 'joined') world.machine.connectionOpened(world.now);
    world.take();
    if (cause.receive !== undefined) world.receive(cause.receive);
    else world.machine.connectionClosed(undefined, world.now);
    const told = world.take().filter((entry) => entry.startsWith('ended') || entry.startsWith('reconnecting'));
    const message = (cause.receive as { reason?: string } | undefined)?.reason;
    const reason = message === undefined ? '' : ` (${message})`;
    if (cause.then === 'nothing') return expect(told).toEqual([]);
    if (cause.then === 'ended') {
      expect(told).toEqual([`ended ${cause.error ?? 'gracefully'}${reason}`]);
      return expect(world.machine.nextTimeout()).toBe(Infinity);
    }
    // While resuming, `disconnected` was told when the connection was lost.
    expect(told).toEqual(phase === 'resuming' && cause.error === 'disconnected' ? [] : [`reconnecting ${String(cause.error)}`]);
    world.reopen();
    world.machine.connectionOpened(world.now);
    world.take();
    if (phase !== 'joining' && cause.resumes === true) return expect(world.sent.at(-1)).toHaveProperty('resumeToken', 'rt_1');
    return expect(world.sent.at(-1)).not.toHaveProperty('resumeToken');
  });

  test('each reason of an outage is told when it changes', () => {
    const world = new World();
    world.join();
    world.loseConnection();
    const told: string[] = [];
    for (const code of ['limit_exceeded', 'limit_exceeded', 'internal']) {
      world.reopen();
      told.push(...world.answer(refusal(code)).filter((entry) => entry.startsWith('reconnecting')));
    }
    expect(told).toEqual(['reconnecting limit_exceeded', 'reconnecting internal']);
  });

  test('a server that may return is waited for, also before the first join', () => {
    const world = new World();
    world.machine.connect(0);
    world.take();
    expect(world.answer({ type: 'closing', reason: 'Restart.', mayReturn: true })).toEqual(['send join', 'closeConnection', 'reconnecting disconnected']);
    world.reopen();
    expect(world.answer(joinedMessage())).toContain('joined');
  });

  test('a server that drops every join at once is tried at growing intervals', () => {
    const world = new World();
    world.machine.connect(0);
    world.take();
    let attempts = 0;
    for (; world.now < 600_000; attempts += 1) {
      world.answer(joinedMessage());
      world.machine.connectionClosed(lost, world.now);
      world.reopen();
    }
    expect(attempts).toBeLessThan(200);
  });

  test.each(['opening', 'waiting'])('a participant that is left while its connection is lost is taken back by a connection of its own: %s', (phase) => {
    const begin = (): World => {
      const world = new World();
      world.join();
      world.loseConnection();
      if (phase === 'opening') world.reopen();
      world.machine.disconnect(world.now);
      world.machine.disconnect(world.now);
      expect(world.take()).toEqual(phase === 'opening' ? ['ended gracefully'] : ['openConnection', 'ended gracefully']);
      return world;
    };
    const opened = begin();
    opened.machine.connectionOpened(opened.now);
    expect(opened.take()).toEqual(['send join', 'send leave', 'closeConnection']);
    expect(opened.sent.at(-2)).toHaveProperty('resumeToken', 'rt_1');
    const failed = begin();
    failed.machine.connectionFailed(lost, failed.now);
    expect(failed.take()).toEqual(['closeConnection']);
    const silent = begin();
    silent.moveTo(silent.now + 60_000);
    expect(silent.take()).toEqual(['closeConnection']);
    for (const world of [opened, failed, silent]) expect(world.machine.nextTimeout()).toBe(Infinity);
  });

  test('media that broke for good leaves and joins anew', () => {
    const world = new World();
    world.join();
    world.machine.rejoin(makeError('media_unreachable', 'broken'), 5);
    expect(world.take()).toEqual(['send leave', 'closeConnection', 'reconnecting media_unreachable']);
    expect(world.sent.at(-1)).toEqual({ type: 'leave', mayReturn: true });
    world.reopen();
    world.answer(joinedMessage({ participantId: 'par_2' }));
    expect(world.sent.at(-2)).not.toHaveProperty('resumeToken');
  });
});
