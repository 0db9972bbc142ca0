import { describe, expect, test } from 'vitest';
import { joinedMessage, lost, World } from './signalling_world_for_tests';

describe('joining', () => {
  test('sends the token in the first message, and no resume token', () => {
    const world = new World();
    world.join();
    expect(world.sent[0]).toEqual({ type: 'join', version: 1, token: 'token-1', client: 'test' });
  });

  test('a second connect is refused', () => {
    const world = new World();
    world.join();
    expect(world.machine.connect(0)).toMatchObject({ ok: false, error: { code: 'invalid_state' } });
    expect(world.take()).toEqual([]);
  });

  test('without reconnect a connection that cannot be opened ends the session', () => {
    const world = new World(false);
    world.machine.connect(0);
    world.machine.connectionFailed(lost, 5);
    expect(world.take()).toEqual(['openConnection', 'ended disconnected']);
    expect(world.machine.nextTimeout()).toBe(Infinity);
  });

  test('a refused token ends it with the server\'s error, once', () => {
    const world = new World();
    world.machine.connect(0);
    world.machine.connectionOpened(0);
    world.receive({ type: 'error', code: 'unauthorized', message: 'expired', fatal: true, inReplyTo: 'join' });
    world.machine.connectionClosed(undefined, 1);
    world.machine.disconnect(2);
    expect(world.take()).toEqual(['openConnection', 'send join', 'closeConnection', 'ended unauthorized']);
  });

  test('without reconnect a server that never answers is given up after 10 s', () => {
    const world = new World(false);
    world.machine.connect(0);
    world.machine.connectionOpened(100);
    world.moveTo(9_999);
    expect(world.take()).toEqual(['openConnection', 'send join']);
    world.moveTo(10_000);
    expect(world.take()).toEqual(['closeConnection', 'ended timeout']);
  });

  test('nothing is sent before the server has joined us', () => {
    const world = new World();
    world.machine.connect(0);
    world.machine.connectionOpened(0);
    expect(world.machine.send({ type: 'restartSubscribe' }, 0)).toMatchObject({ ok: false, error: { code: 'disconnected' } });
    expect(world.take()).toEqual(['openConnection', 'send join']);
  });
});

describe('heartbeats', () => {
  test('a ping goes out when nothing else did for 3 s', () => {
    const world = new World();
    world.join();
    world.moveTo(2_000);
    world.machine.send({ type: 'restartSubscribe' }, 2_000);
    world.moveTo(4_999);
    expect(world.take()).toEqual(['send restartSubscribe']);
    world.moveTo(5_000);
    expect(world.take()).toEqual(['send ping']);
  });

  test('a ping is answered', () => {
    const world = new World();
    world.join();
    world.receive({ type: 'ping' });
    expect(world.take()).toEqual(['send pong']);
  });

  test('10 s of silence is a lost connection; any message is a sign of life', () => {
    const world = new World();
    world.join();
    world.moveTo(8_000);
    world.machine.handleMessage('not even JSON', 8_000);
    world.moveTo(17_999);
    expect(world.take().filter((entry) => entry !== 'send ping')).toEqual([]);
    world.moveTo(18_000);
    expect(world.take()).toEqual(['closeConnection', 'reconnecting timeout']);
    expect(world.machine.drops.malformed).toBe(1);
  });

  test('after a change of network an unanswered ping shows the loss within 3 s', () => {
    const world = new World();
    world.join();
    world.moveTo(1_000);
    world.machine.networkChanged(1_000);
    world.moveTo(3_999);
    expect(world.take()).toEqual(['send ping']);
    world.moveTo(4_000);
    expect(world.take()).toEqual(['closeConnection', 'reconnecting timeout']);
  });

  test('after a change of network an answered ping shows that all is well', () => {
    const world = new World();
    world.join();
    world.machine.networkChanged(0);
    world.receive({ type: 'pong' });
    world.moveTo(5_000);
    expect(world.take()).toEqual(['send ping', 'send ping']);
  });
});

describe('resuming', () => {
  test('a lost connection is resumed with the last resume token', () => {
    const world = new World();
    world.join();
    world.moveTo(1_000);
    world.loseConnection();
    world.moveTo(1_125);
    expect(world.take()).toEqual(['openConnection']);
    world.machine.connectionOpened(1_130);
    world.receive(joinedMessage({ resumed: true, resumeToken: 'rt_2' }));
    expect(world.take()).toEqual(['send join', 'send ping', 'joined']);
    expect(world.sent.at(-2)).toMatchObject({ resumeToken: 'rt_1' });
    world.loseConnection();
    world.reopen();
    world.machine.connectionOpened(world.now);
    world.drain();
    expect(world.sent.at(-1)).toMatchObject({ resumeToken: 'rt_2' });
  });

  test('without reconnect attempts back off, and past the window the session ends', () => {
    const world = new World(false);
    world.join();
    world.loseConnection();
    const attempts: number[] = [];
    while (!world.log.some((entry) => entry.startsWith('ended'))) {
      world.moveTo(world.machine.nextTimeout());
      if (world.log.at(-1) !== 'openConnection') continue;
      attempts.push(world.now);
      world.machine.connectionFailed(lost, world.now);
    }
    expect(attempts.slice(0, 6)).toEqual([125, 375, 875, 1_875, 3_875, 7_875]);
    expect(world.now).toBe(30_000);
    expect(world.log.at(-1)).toBe('ended disconnected');
    expect(world.machine.nextTimeout()).toBe(Infinity);
  });

  test('without reconnect an attempt under way at the end of the window is closed', () => {
    const world = new World(false);
    world.join();
    world.moveTo(5_000);
    world.take();
    world.loseConnection();
    for (const at of [5_125, 15_375]) {
      world.moveTo(at);
      expect(world.take().at(-1)).toBe('openConnection');
    }
    world.moveTo(34_999);
    world.take();
    world.moveTo(35_000);
    expect(world.take()).toEqual(['closeConnection', 'ended disconnected']);
  });

  test.each([
    ['another participant\'s place', joinedMessage({ participantId: 'par_2', resumed: true }), ['send join', 'send leave', 'closeConnection', 'ended disconnected']],
    ['a refusal', { type: 'error', code: 'not_found', message: '', fatal: true }, ['send join', 'closeConnection', 'ended not_found']],
  ])('without reconnect %s ends the session', (_name, answer, outputs) => {
    const world = new World(false);
    world.join();
    world.loseConnection();
    world.moveTo(125);
    world.take();
    world.machine.connectionOpened(125);
    world.receive(answer);
    expect(world.take()).toEqual(outputs);
  });

  test.each(['par_1', 'par_2'])('a server that was started anew is joined anew, as %s', (participantId) => {
    const world = new World();
    world.join();
    world.loseConnection();
    world.moveTo(125);
    world.machine.connectionOpened(125);
    world.receive(joinedMessage({ participantId, resumeToken: 'rt_9' }));
    expect(world.take()).toEqual(['openConnection', 'send join', 'send ping', 'joined']);
    world.loseConnection();
    world.reopen();
    world.machine.connectionOpened(world.now);
    world.drain();
    expect(world.sent.at(-1)).toMatchObject({ resumeToken: 'rt_9' });
  });

  test('without reconnect a server that says it may return is waited for, and not to find it again is no error', () => {
    const world = new World(false);
    world.join();
    world.receive({ type: 'closing', reason: 'The server is going down.', mayReturn: true });
    expect(world.take()).toEqual(['closeConnection', 'reconnecting disconnected']);
    world.moveTo(125);
    expect(world.take()).toEqual(['openConnection']);
    world.machine.connectionFailed(lost, 126);
    world.moveTo(30_000);
    expect(world.take().at(-1)).toBe('ended gracefully (The server is going down.)');
  });

  test('a server that gave us up as silent is asked to resume', () => {
    const world = new World();
    world.join();
    world.receive({ type: 'error', code: 'timeout', message: 'silent', fatal: true });
    expect(world.take()).toEqual(['closeConnection', 'reconnecting timeout']);
    world.moveTo(125);
    expect(world.take()).toEqual(['openConnection']);
  });

  test('a resume that stalled until the server gave it up is tried again', () => {
    const world = new World();
    world.join();
    world.loseConnection();
    world.moveTo(125);
    world.machine.connectionOpened(125);
    expect(world.take()).toEqual(['openConnection', 'send join']);
    world.receive({ type: 'error', code: 'timeout', message: 'no join', fatal: true });
    expect(world.take()).toEqual(['closeConnection', 'reconnecting timeout']);
    world.moveTo(1_000);
    expect(world.take()).toEqual(['openConnection']);
    world.machine.connectionOpened(1_000);
    world.receive(joinedMessage({ resumed: true }));
    expect(world.take()).toEqual(['send join', 'send ping', 'joined']);
  });

  test('without reconnect a first join that the server gave up ends', () => {
    const world = new World(false);
    world.machine.connect(0);
    world.machine.connectionOpened(0);
    world.receive({ type: 'error', code: 'timeout', message: 'no join', fatal: true });
    expect(world.take().at(-1)).toBe('ended timeout');
  });

  test('a network that is back is used at once', () => {
    const world = new World();
    world.join();
    world.loseConnection();
    world.machine.networkChanged(1);
    expect(world.take()).toEqual(['openConnection']);
  });
});

describe('ending', () => {
  test('disconnect says leave, closes, and ends gracefully', () => {
    const world = new World();
    world.join();
    world.machine.disconnect(0);
    world.machine.disconnect(0);
    world.machine.connectionClosed(undefined, 1);
    expect(world.take()).toEqual(['send leave', 'closeConnection', 'ended gracefully']);
  });

  test('disconnect works before connect, while connecting and while waiting', () => {
    const idle = new World();
    idle.machine.disconnect(0);
    expect(idle.take()).toEqual(['ended gracefully']);
    const opening = new World();
    opening.machine.connect(0);
    opening.machine.disconnect(0);
    expect(opening.take()).toEqual(['openConnection', 'closeConnection', 'ended gracefully']);
    const joining = new World();
    joining.machine.connect(0);
    joining.machine.connectionOpened(0);
    joining.machine.disconnect(1);
    expect(joining.take(), 'a join that is under way is taken back').toEqual(['openConnection', 'send join', 'send leave', 'closeConnection', 'ended gracefully']);
    const waiting = new World();
    waiting.join();
    waiting.loseConnection();
    waiting.machine.disconnect(1);
    expect(waiting.take()).toEqual(['openConnection', 'ended gracefully']);
  });

  test('the server\'s graceful end is ours, with its reason', () => {
    const world = new World();
    world.join();
    world.receive({ type: 'closing', reason: 'The server restarts.' });
    expect(world.take()).toEqual(['closeConnection', 'ended gracefully (The server restarts.)']);
  });

  test('an error that is not fatal is passed on and changes nothing', () => {
    const world = new World();
    world.join();
    world.receive({ type: 'error', code: 'forbidden', message: 'no publish grant', fatal: false, inReplyTo: 'publishOffer' });
    expect(world.take()).toEqual(['message']);
    expect(world.machine.send({ type: 'restartSubscribe' }, 0).ok).toBe(true);
  });
});
