// The signalling client with reconnect, its default: what it tries again, for how long, and what ends it.
import { describe, expect, test } from 'vitest';
import { makeError } from './errors';
import { joinedMessage, lost, World } from './signalling_world_for_tests';

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

  test.each([
    ['unauthorized', true], ['forbidden', true], ['not_found', true], ['unsupported', true], ['invalid_argument', true], ['malformed', true],
    ['limit_exceeded', false], ['internal', false], ['timeout', false], ['disconnected', false], ['storage', false], ['a code of tomorrow', false],
  ] as const)('a fatal %s is final: %s', (code, final) => {
    for (const first of [true, false]) {
      const world = new World();
      if (first) world.machine.connect(0);
      else {
        world.join();
        world.loseConnection();
        world.reopen();
      }
      const outputs = world.answer(refusal(code));
      expect(outputs.some((entry) => entry.startsWith('ended'))).toBe(final);
      if (final) expect(world.machine.nextTimeout()).toBe(Infinity);
      else world.reopen();
    }
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

  test('media that broke for good leaves and joins anew', () => {
    const world = new World();
    world.join();
    world.machine.rejoin(makeError('media_unreachable', 'broken'), 5);
    expect(world.take()).toEqual(['send leave', 'closeConnection', 'reconnecting media_unreachable']);
    world.reopen();
    world.answer(joinedMessage({ participantId: 'par_2' }));
    expect(world.sent.at(-2)).not.toHaveProperty('resumeToken');
  });
});
