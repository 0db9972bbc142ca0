import { describe, expect, test } from 'vitest';
import { makeError } from './errors';
import type { ConnectionOutput } from './machine';
import { SignallingClient, type SignallingOutput } from './signalling_client';

const lost = makeError('disconnected', 'lost');
const joinedMessage = (fields: object = {}): object => ({
  type: 'joined', version: 1, sessionId: 'ses_1', participantId: 'par_1', identity: 'Ada', grants: ['publish'],
  resumeToken: 'rt_1', resumed: false, resumeWindowMs: 30_000, participants: [], ...fields,
});

class World {
  readonly machine: SignallingClient;
  readonly log: string[] = [];
  readonly sent: Array<Record<string, unknown>> = [];
  now = 0;

  constructor(reconnect = true, random = () => 0.5) {
    this.machine = new SignallingClient({ token: 'token-1', client: 'test', random, reconnect });
  }

  moveTo(time: number): void {
    for (let at = this.machine.nextTimeout(); at <= time; at = this.machine.nextTimeout()) {
      this.now = Math.max(at, this.now);
      this.machine.handleTimeout(this.now);
      this.drain();
    }
    this.now = time;
  }

  receive(message: object): void {
    this.machine.handleMessage(JSON.stringify(message), this.now);
    this.drain();
  }

  drain(): void {
    for (let output = this.machine.pollOutput(); output; output = this.machine.pollOutput()) this.note(output);
  }

  take(): string[] {
    this.drain();
    return this.log.splice(0);
  }

  join(): void {
    this.machine.connect(this.now);
    this.machine.connectionOpened(this.now);
    this.receive(joinedMessage());
    expect(this.take()).toEqual(['openConnection', 'send join', 'send ping', 'joined']);
  }

  /** Until the machine wants a connection. */
  reopen(limitMs = 20_000): void {
    const until = this.now + limitMs;
    while (!this.take().includes('openConnection')) {
      const at = this.machine.nextTimeout();
      if (at > until) throw new Error('no further attempt');
      this.moveTo(at);
    }
  }

  answer(message: object): string[] {
    this.machine.connectionOpened(this.now);
    this.receive(message);
    return this.take();
  }

  loseConnection(): void {
    this.machine.connectionClosed(lost, this.now);
    expect(this.take()).toEqual(['reconnecting disconnected']);
  }

  private note(output: ConnectionOutput | SignallingOutput): void {
    if (output.kind === 'sendText') {
      const message = JSON.parse(output.text) as Record<string, unknown>;
      this.sent.push(message);
      this.log.push(`send ${String(message['type'])}`);
    } else if (output.kind === 'ended') {
      this.log.push(`ended ${output.error?.code ?? 'gracefully'}${output.reason && ` (${output.reason})`}`);
    } else if (output.kind === 'reconnecting') {
      this.log.push(`reconnecting ${output.error.code}`);
    } else {
      this.log.push(output.kind);
    }
  }
}

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
    expect(waiting.take()).toEqual(['ended gracefully']);
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
