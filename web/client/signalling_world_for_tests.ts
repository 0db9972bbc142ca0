// The signalling client in tests: the machine, a clock, and a log of its outputs.
import { expect } from 'vitest';
import { makeError } from './errors';
import type { ConnectionOutput } from './machine';
import { SignallingClient, type SignallingOutput } from './signalling_client';

export const lost = makeError('disconnected', 'lost');
export const joinedMessage = (fields: object = {}): object => ({
  type: 'joined', version: 1, sessionId: 'ses_1', participantId: 'par_1', identity: 'Ada', grants: ['publish'],
  resumeToken: 'rt_1', resumed: false, resumeWindowMs: 30_000, participants: [], ...fields,
});

export class World {
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
