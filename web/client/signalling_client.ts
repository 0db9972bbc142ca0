// The client end of signalling: joins, keeps the connection alive by heartbeats, and resumes within the server's window
// after a loss; a server that was started anew meanwhile is joined anew (`joined.resumed` is false, though it is not the first). It ends exactly once. What the messages mean for media is the session's business. Pure: see machine.ts.
import { Backoff } from './backoff';
import { errorFromWire, failure, makeError, success, type AmphiError, type Result } from './errors';
import type { ConnectionMachine, ConnectionOutput } from './machine';
import {
  parseSignalling, signallingVersion, type FromSignallingServer, type Joined, type ToSignallingServer,
} from './signalling_messages';

const pingAfterMs = 3_000;
const silenceMs = 10_000;
const probeMs = 3_000;
const firstBackoffMs = 250;
const longestBackoffMs = 4_000;

export type MediaMessage = Exclude<FromSignallingServer, { type: 'joined' | 'closing' | 'ping' | 'pong' }>;
export type SignallingOutput =
  | { readonly kind: 'joined'; readonly joined: Joined }
  | { readonly kind: 'reconnecting'; readonly error: AmphiError }
  | { readonly kind: 'message'; readonly message: MediaMessage }
  /** The one end there is. No error: graceful, and the server's reason when it was the one to go. */
  | { readonly kind: 'ended'; readonly error: AmphiError | undefined; readonly reason: string };

export interface SignallingConfig {
  readonly token: string;
  /** Name and version, for the server's log. */
  readonly client: string;
  /** In [0, 1), for the back-off. */
  readonly random: () => number;
}

type Phase = 'idle' | 'opening' | 'joining' | 'joined' | 'waiting' | 'ended';

export class SignallingClient implements ConnectionMachine<SignallingOutput> {
  readonly drops = { malformed: 0, unknown_type: 0, unexpected: 0 };
  private readonly outputs: Array<ConnectionOutput | SignallingOutput> = [];
  private readonly backoff: Backoff;
  private phase: Phase = 'idle';
  private attemptUntil = Infinity;
  private retryAt = Infinity;
  private resumeUntil = Infinity;
  private heardAt = 0;
  private sentAt = 0;
  private probeUntil = Infinity;
  private lastJoined: Joined | undefined;
  /** The server's, when it went away and may return: not to find it again is no error. */
  private goodbye: string | undefined;

  constructor(private readonly config: SignallingConfig) {
    this.backoff = new Backoff(config.random, firstBackoffMs, longestBackoffMs);
  }

  connect(now: number): Result {
    if (this.phase !== 'idle') return failure('invalid_state', 'A session connects once; make another one.');
    this.open(now);
    return success;
  }

  /** Leaves for good. Safe at any time; the second time does nothing. */
  disconnect(now: number): void {
    if (this.phase === 'joined') this.transmit({ type: 'leave' }, now);
    this.end(undefined, '');
  }

  send(message: ToSignallingServer, now: number): Result {
    if (this.phase !== 'joined') return failure('disconnected', 'Signalling is not connected.');
    this.transmit(message, now);
    return success;
  }

  /** The device's network changed: find out soon whether the connection survived it. */
  networkChanged(now: number): void {
    if (this.phase === 'waiting') {
      this.open(now);
    } else if (this.phase === 'joined') {
      this.transmit({ type: 'ping' }, now);
      this.probeUntil = Math.min(this.probeUntil, now + probeMs);
    }
  }

  connectionOpened(now: number): void {
    if (this.phase !== 'opening') return;
    this.phase = 'joining';
    const resumeToken = this.lastJoined?.resumeToken;
    this.transmit({
      type: 'join', version: signallingVersion, token: this.config.token, client: this.config.client,
      ...(resumeToken === undefined ? {} : { resumeToken }),
    }, now);
  }

  connectionFailed(error: AmphiError, now: number): void {
    if (this.phase === 'opening') this.lose(error, now);
  }

  connectionClosed(error: AmphiError | undefined, now: number): void {
    if (this.phase !== 'joining' && this.phase !== 'joined') return;
    this.lose(error ?? makeError('disconnected', 'The server closed the connection.'), now);
  }

  handleMessage(text: string, now: number): void {
    if (this.phase !== 'joining' && this.phase !== 'joined') return;
    this.heardAt = now;
    this.probeUntil = Infinity;
    const parsed = parseSignalling(text);
    if (parsed.kind !== 'message') this.drops[parsed.kind] += 1;
    else this.handle(parsed.message, now);
  }

  handleTimeout(now: number): void {
    if (this.phase !== 'joined' && now >= this.resumeUntil) {
      if (this.goodbye !== undefined) return this.end(undefined, this.goodbye);
      return this.end(makeError('disconnected', 'The connection was lost and could not be resumed in time.'), '');
    }
    if (this.phase === 'waiting' && now >= this.retryAt) return this.open(now);
    if (this.attempting() && now >= this.attemptUntil) return this.abandon(now);
    if (this.phase !== 'joined') return;
    if (now >= Math.min(this.heardAt + silenceMs, this.probeUntil)) return this.abandon(now);
    if (now >= this.sentAt + pingAfterMs) this.transmit({ type: 'ping' }, now);
  }

  nextTimeout(): number {
    switch (this.phase) {
      case 'idle':
      case 'ended': return Infinity;
      case 'opening':
      case 'joining': return Math.min(this.attemptUntil, this.resumeUntil);
      case 'waiting': return Math.min(this.retryAt, this.resumeUntil);
      case 'joined': return Math.min(this.sentAt + pingAfterMs, this.heardAt + silenceMs, this.probeUntil);
    }
  }

  pollOutput(): ConnectionOutput | SignallingOutput | undefined {
    return this.outputs.shift();
  }

  private handle(message: FromSignallingServer, now: number): void {
    switch (message.type) {
      case 'ping': return this.transmit({ type: 'pong' }, now);
      case 'pong': return;
      case 'closing': return this.takeClosing(message, now);
      case 'joined': return this.takeJoined(message, now);
      case 'error':
        if (message.fatal) return this.takeFatal(errorFromWire(message), now);
        break;
      default:
    }
    if (this.phase === 'joined') this.outputs.push({ kind: 'message', message });
    else this.drops.unexpected += 1;
  }

  private takeJoined(joined: Joined, now: number): void {
    if (this.phase !== 'joining') {
      this.drops.unexpected += 1;
      return;
    }
    const wanted = this.lastJoined?.participantId;
    if (wanted !== undefined && joined.resumed && joined.participantId !== wanted) {
      this.transmit({ type: 'leave' }, now);
      return this.end(makeError('disconnected', 'The server takes this participant for another.'), '');
    }
    this.goodbye = undefined;
    this.lastJoined = joined;
    this.phase = 'joined';
    this.resumeUntil = Infinity;
    this.backoff.reset();
    this.outputs.push({ kind: 'joined', joined });
  }

  private takeClosing(message: { readonly reason: string; readonly mayReturn?: boolean }, now: number): void {
    if (message.mayReturn !== true || this.phase !== 'joined') return this.end(undefined, message.reason);
    this.goodbye = message.reason;
    this.outputs.push({ kind: 'closeConnection' });
    this.lose(makeError('disconnected', message.reason), now);
  }

  /** The server has given us up as silent (a machine that slept, a join that stalled on its way): that can be resumed. Nothing else fatal can. */
  private takeFatal(error: AmphiError, now: number): void {
    if (error.code !== 'timeout' || this.lastJoined === undefined) return this.end(error, '');
    this.outputs.push({ kind: 'closeConnection' });
    this.lose(error, now);
  }

  private attempting(): boolean {
    return this.phase === 'opening' || this.phase === 'joining';
  }

  private open(now: number): void {
    this.phase = 'opening';
    this.attemptUntil = now + silenceMs;
    this.heardAt = now;
    this.outputs.push({ kind: 'openConnection' });
  }

  private abandon(now: number): void {
    this.outputs.push({ kind: 'closeConnection' });
    this.lose(makeError('timeout', 'The server does not answer.'), now);
  }

  private lose(error: AmphiError, now: number): void {
    const wasJoined = this.phase === 'joined';
    this.phase = 'waiting';
    if (this.lastJoined === undefined) return this.end(error, '');
    this.probeUntil = Infinity;
    if (wasJoined) {
      this.resumeUntil = now + this.lastJoined.resumeWindowMs;
      this.outputs.push({ kind: 'reconnecting', error });
    }
    this.retryAt = now + this.backoff.next();
  }

  private end(error: AmphiError | undefined, reason: string): void {
    if (this.phase === 'ended') return;
    if (this.attempting() || this.phase === 'joined') this.outputs.push({ kind: 'closeConnection' });
    this.phase = 'ended';
    this.outputs.push({ kind: 'ended', error, reason });
  }

  private transmit(message: ToSignallingServer, now: number): void {
    this.sentAt = now;
    this.outputs.push({ kind: 'sendText', text: JSON.stringify(message) });
  }
}
