// The client end of signalling, the same rules as sdk/src/signalling_client.h: joins, keeps the connection alive by heartbeats, and after a
// loss resumes within the server's window or joins as a new participant (`joined.resumed` is false, though it is not the first), with
// back-off, for as long as the application wants the session. Only a final cause ends it, exactly once. What the messages mean for media is
// the session's business. Pure: see machine.ts.
import { Backoff } from './backoff';
import { errorFromWire, failure, makeError, success, type AmphiError, type ErrorCode, type Result } from './errors';
import type { ConnectionMachine, ConnectionOutput } from './machine';
import {
  parseSignalling, signallingVersion, type FromSignallingServer, type Joined, type ToSignallingServer,
} from './signalling_messages';

const pingAfterMs = 3_000;
const silenceMs = 10_000;
const probeMs = 3_000;
/** A connection that only leaves. */
const goodbyeMs = 5_000;
const firstBackoffMs = 250;
const longestBackoffMs = 10_000;
/** Joined for so long: the back-off starts from its first value again. */
const steadyAfterMs = 10_000;

const finalCodes: readonly ErrorCode[] = [
  'unauthorized', 'forbidden', 'not_found', 'unsupported', 'invalid_argument', 'malformed', 'fingerprint_mismatch',
];
/** Whether a fatal error of the server ends the session: another attempt with the same token would get the same answer. */
export const isFinal = (code: ErrorCode): boolean => finalCodes.includes(code);

export type MediaMessage = Exclude<FromSignallingServer, { type: 'joined' | 'closing' | 'ping' | 'pong' }>;
export type SignallingOutput =
  | { readonly kind: 'joined'; readonly joined: Joined }
  /** The connection was lost or not made, and is tried again. Told once for each reason in a row. */
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
  /** False: one attempt to join, and after it only resumes within the window. */
  readonly reconnect: boolean;
}

type Phase = 'idle' | 'opening' | 'joining' | 'joined' | 'waiting' | 'leaving' | 'ended';

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
  private joinedAt = 0;
  /** Of the participant that the server may still hold. */
  private resumeToken: string | undefined;
  /** The reason that `reconnecting` told last, since the last join. */
  private told: ErrorCode | undefined;
  /** The server's, when it went away and may return: without `reconnect` not to find it again is no error. */
  private goodbye: string | undefined;

  constructor(private readonly config: SignallingConfig) {
    this.backoff = new Backoff(config.random, firstBackoffMs, longestBackoffMs);
  }

  connect(now: number): Result {
    if (this.phase !== 'idle') return failure('invalid_state', 'A session connects once; make another one.');
    this.open(now);
    return success;
  }

  /** Leaves for good. Safe at any time; the second time does nothing. Where the connection is lost and the server may hold the participant, a
   *  connection behind `ended` tells it, once. */
  disconnect(now: number): void {
    if (this.phase === 'joined' || this.phase === 'joining') this.transmit({ type: 'leave' }, now);
    else if ((this.phase === 'opening' || this.phase === 'waiting') && this.resumeToken !== undefined) return this.leaveBehind(now);
    this.end(undefined, '');
  }

  private leaveBehind(now: number): void {
    if (this.phase === 'waiting') this.outputs.push({ kind: 'openConnection' });
    this.phase = 'leaving';
    this.attemptUntil = now + goodbyeMs;
    this.outputs.push({ kind: 'ended', error: undefined, reason: '' });
  }

  private left(): void {
    this.phase = 'ended';
    this.outputs.push({ kind: 'closeConnection' });
  }

  /** The media broke beyond repair: leaves, and joins anew as another participant. Nothing without `reconnect`. */
  rejoin(error: AmphiError, now: number): void {
    if (this.phase !== 'joined' || !this.config.reconnect) return;
    this.transmit({ type: 'leave', mayReturn: true }, now);
    this.giveUpParticipant(error, now);
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
    if (this.phase === 'leaving') {
      this.sendJoin(now);
      this.transmit({ type: 'leave' }, now);
      return this.left();
    }
    if (this.phase !== 'opening') return;
    this.phase = 'joining';
    this.sendJoin(now);
  }

  private sendJoin(now: number): void {
    const { resumeToken } = this;
    this.transmit({
      type: 'join', version: signallingVersion, token: this.config.token, client: this.config.client,
      ...(resumeToken === undefined ? {} : { resumeToken }),
    }, now);
  }

  connectionFailed(error: AmphiError, now: number): void {
    if (this.phase === 'leaving') this.left();
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
    if (this.phase === 'leaving') return now >= this.attemptUntil ? this.left() : undefined;
    if (this.phase !== 'joined' && now >= this.resumeUntil) {
      this.resumeUntil = Infinity;
      if (this.config.reconnect) return this.handleTimeout(now);
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
      case 'leaving': return this.attemptUntil;
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
        if (message.fatal || this.phase === 'joining') return this.takeFatal(errorFromWire(message), now);
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
      return this.takeFatal(makeError('disconnected', 'The server resumed another participant.'), now);
    }
    this.goodbye = this.told = undefined;
    this.lastJoined = joined;
    this.resumeToken = joined.resumeToken;
    this.phase = 'joined';
    this.joinedAt = now;
    this.resumeUntil = Infinity;
    this.transmit({ type: 'ping' }, now); // acknowledges `joined`: from now on the server holds the participant over a loss
    this.outputs.push({ kind: 'joined', joined });
  }

  private takeClosing(message: { readonly reason: string; readonly mayReturn?: boolean }, now: number): void {
    if (message.mayReturn !== true || (!this.config.reconnect && this.phase !== 'joined')) return this.end(undefined, message.reason);
    this.goodbye = message.reason;
    this.outputs.push({ kind: 'closeConnection' });
    this.lose(makeError('disconnected', message.reason), now);
  }

  private takeFatal(error: AmphiError, now: number): void {
    if (isFinal(error.code)) return this.end(error, '');
    // A timeout is a silence that the server noticed first (a machine that slept, a join that stalled on its way): it can be resumed.
    if (!this.config.reconnect && (error.code !== 'timeout' || this.lastJoined === undefined)) return this.end(error, '');
    // The participant is removed, or another connection speaks for it.
    if (error.code === 'disconnected') return this.giveUpParticipant(error, now);
    this.outputs.push({ kind: 'closeConnection' });
    this.lose(error, now);
  }

  private giveUpParticipant(error: AmphiError, now: number): void {
    this.outputs.push({ kind: 'closeConnection' });
    this.lose(error, now);
    this.resumeToken = undefined;
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
    if (this.lastJoined === undefined && !this.config.reconnect) return this.end(error, '');
    this.probeUntil = Infinity;
    if (wasJoined) {
      if (now >= this.joinedAt + steadyAfterMs) this.backoff.reset();
      this.resumeUntil = now + (this.lastJoined?.resumeWindowMs ?? 0);
    }
    this.retryAt = now + this.backoff.next();
    if (this.told === error.code) return;
    this.told = error.code;
    this.outputs.push({ kind: 'reconnecting', error });
  }

  private end(error: AmphiError | undefined, reason: string): void {
    if (this.phase === 'ended' || this.phase === 'leaving') return;
    if (this.attempting() || this.phase === 'joined') this.outputs.push({ kind: 'closeConnection' });
    this.phase = 'ended';
    this.outputs.push({ kind: 'ended', error, reason });
  }

  private transmit(message: ToSignallingServer, now: number): void {
    this.sentAt = now;
    this.outputs.push({ kind: 'sendText', text: JSON.stringify(message) });
  }
}
