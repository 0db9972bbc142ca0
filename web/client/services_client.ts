// The client end of the session services, the same machine as src/services/client.h: keeps one connection alive for as long
// as the session lives, and turns what the server confirms into the recording state. Pure: see machine.ts.
// What it does to the millisecond is held by protocol/scenarios/services.
import { Backoff } from './backoff';
import { errorFromWire, failure, makeError, success, type AmphiError, type Result } from './errors';
import type { ConnectionMachine, ConnectionOutput } from './machine';
import { confirmedLine, durationAt, nextLine, zeroLine, type DurationLine } from './running_duration';
import { feedFromWire, warningFromWire, type RecordingMarker, type RecordingState } from './recording_state';
import {
  isLabel, parseServices, servicesVersion, type FromServicesServer, type MarkerMessage, type RecordingStateMessage, type ToServicesServer,
} from './services_messages';

const pingEveryMs = 3_000;
const silenceMs = 10_000;
const requestTimeoutMs = 15_000;
const maximumPending = 64;
const firstBackoffMs = 250;
const longestBackoffMs = 10_000;

export type ServicesOutput =
  | { readonly kind: 'servicesConnected' }
  | { readonly kind: 'servicesDisconnected'; readonly error: AmphiError | undefined }
  | { readonly kind: 'recordingStateChanged'; readonly state: RecordingState }
  | { readonly kind: 'markerAdded'; readonly marker: RecordingMarker };

export interface ServicesConfig {
  readonly token: string;
  /** The token's `record` grant, to refuse at once what the server would refuse. */
  readonly mayRecord: boolean;
  /** What our request ids begin with: different for every client there ever was. */
  readonly requestPrefix: string;
  /** In [0, 1), for the back-off. */
  readonly random: () => number;
}

/** What was asked: on or off, or a marker's label. */
interface PendingRequest { readonly number: number; readonly id: string; readonly what: boolean | string; readonly deadline: number }

export const servicesDrops = ['malformed', 'unknown_type', 'stale_revision', 'unexpected'] as const;
export type ServicesDrop = (typeof servicesDrops)[number];

type Connection =
  | { readonly phase: 'none' }
  | { readonly phase: 'waiting'; readonly until: number }
  | { readonly phase: 'opening'; readonly deadline: number }
  | OpenedConnection;

interface OpenedConnection {
  readonly phase: 'greeting' | 'welcomed';
  heardAt: number;
  pingAt: number;
  fatal: AmphiError | undefined;
  services: readonly string[];
  heartbeatMs: number;
  snapshotTaken: boolean;
}

type Lifetime = 'before' | 'running' | 'closed';

export class ServicesClient implements ConnectionMachine<ServicesOutput> {
  readonly drops: Record<ServicesDrop, number> = { malformed: 0, unknown_type: 0, stale_revision: 0, unexpected: 0 };
  private readonly outputs: Array<ConnectionOutput | ServicesOutput> = [];
  private readonly backoff: Backoff;
  private token: string;
  private mayRecord: boolean;
  private lifetime: Lifetime = 'before';
  private participantId = '';
  private connection: Connection = { phase: 'none' };
  private pending: PendingRequest[] = [];
  private requestsMade = 0;
  private confirmed: RecordingStateMessage = { type: 'recording.state', revision: 0, on: false, phase: 'off', totalMs: 0 };
  private line: DurationLine = zeroLine;
  private requestError: AmphiError | undefined;
  /** Number of the newest resolved request; `requestError` is its outcome. */
  private newestResolved = 0;
  /** Its response, still to come, says nothing new. */
  private answeredByState: string | undefined;
  /** Whose markers were heard last, and up to which. */
  private marked = { recordingId: '', index: 0 };

  constructor(private readonly config: ServicesConfig) {
    this.token = config.token;
    this.mayRecord = config.mayRecord;
    this.backoff = new Backoff(config.random, firstBackoffMs, longestBackoffMs);
  }

  /** The media session connected, for the first time or again: services follow, at once where they were waiting to. */
  sessionConnected(participantId: string, now: number): void {
    if (this.lifetime === 'running' && participantId === this.participantId) {
      if (this.connection.phase === 'waiting') this.open(now); // the server is there: that much is known
      return;
    }
    if (this.lifetime === 'running') this.closeGracefully();
    this.lifetime = 'running';
    this.participantId = participantId;
    this.open(now);
  }

  /** The session is over: nothing is reconnected. Pending requests resolve as errors first. */
  sessionClosed(): void {
    if (this.lifetime !== 'running') return;
    this.lifetime = 'closed';
    if (this.pending.length > 0) {
      for (const { number } of this.pending.splice(0)) {
        this.noteOutcome(number, makeError('disconnected', 'The session ended before the server answered.'));
      }
      this.emitState();
    }
    this.closeGracefully();
  }

  /** A token renewed in the meantime is used from the next connection on. */
  setToken(token: string): void {
    this.token = token;
  }

  /** What the server granted, once it said so. */
  setMayRecord(mayRecord: boolean): void {
    this.mayRecord = mayRecord;
  }

  connectionOpened(now: number): void {
    if (this.connection.phase !== 'opening') return;
    this.connection = {
      phase: 'greeting', heardAt: now, pingAt: now + pingEveryMs, fatal: undefined, services: [], heartbeatMs: 0,
      snapshotTaken: false,
    };
    this.send({ type: 'hello', version: servicesVersion, token: this.token, participantId: this.participantId });
  }

  connectionFailed(error: AmphiError, now: number): void {
    if (this.connection.phase === 'opening') this.lose(error, now);
  }

  connectionClosed(error: AmphiError | undefined, now: number): void {
    if (isOpened(this.connection)) this.lose(this.connection.fatal ?? error, now);
  }

  handleMessage(text: string, now: number): void {
    if (!isOpened(this.connection)) return;
    if (this.connection.phase === 'welcomed') this.connection.heardAt = now;
    const parsed = parseServices(text);
    if (parsed.kind !== 'message') {
      this.drops[parsed.kind] += 1;
      return;
    }
    this.handle(this.connection, parsed.message, now);
  }

  /** Returns at once: success, or the error known here and now. What the server answers arrives in the state. */
  requestRecording(on: boolean, now: number): Result {
    const refusal = this.refusal();
    if (refusal) return refusal;
    this.request(on, now);
    return success;
  }

  /** Marks now on the running recording's time line. Everybody hears of it by `markerAdded`; a refusal is the state's error. */
  addMarker(label: string, now: number): Result {
    if (!isLabel(label)) return failure('invalid_argument', 'A marker has 1 to 200 characters, and no control characters or bidirectional controls.');
    const refusal = this.refusal();
    if (refusal) return refusal;
    if (this.confirmed.phase !== 'recording') return failure('invalid_state', 'Nothing is being recorded.');
    this.request(label, now);
    return success;
  }

  /** What is known here and now against a request. */
  private refusal(): Result | undefined {
    if (this.lifetime === 'closed') return failure('invalid_state', 'The session is closed.');
    if (this.lifetime === 'before') return failure('disconnected', 'Session services are not connected.');
    if (!this.mayRecord) return failure('forbidden', 'Your access token does not allow recording.');
    if (this.connection.phase !== 'welcomed') return failure('disconnected', 'Session services are not connected.');
    if (!this.connection.services.includes('recording')) return failure('unsupported', 'This server does not record.');
    if (this.pending.length >= maximumPending) return failure('limit_exceeded', 'Too many requests are waiting for an answer.');
    return undefined;
  }

  private request(what: boolean | string, now: number): void {
    this.requestsMade += 1;
    const request = { number: this.requestsMade, id: `${this.config.requestPrefix}_${this.requestsMade}`, what, deadline: now + requestTimeoutMs };
    this.pending.push(request);
    this.requestError = undefined;
    this.sendRequest(request);
  }

  connected(): boolean {
    return this.connection.phase === 'welcomed';
  }

  state(): RecordingState {
    const { on, revision, recordingId, changedBy, error, waitingForMedia, preRollMs, warning, feeds } = this.confirmed;
    const warnings = (this.confirmed.warnings ?? (warning === undefined ? [] : [warning])).map(warningFromWire);
    return {
      on, revision, updatePending: this.pending.some((request) => typeof request.what === 'boolean'),
      waitingForMedia: waitingForMedia ?? false, preRollMs: preRollMs ?? 0,
      warning: warnings[0], warnings, warningsNotListed: this.confirmed.warningsNotListed ?? 0,
      feeds: (feeds ?? []).map(feedFromWire), feedsNotListed: this.confirmed.feedsNotListed ?? 0, recordingId: recordingId ?? '', changedBy: changedBy ?? '',
      error: this.requestError ?? (error && errorFromWire(error)), duration: this.line,
    };
  }

  handleTimeout(now: number): void {
    this.expireRequests(now);
    const connection = this.connection;
    if (connection.phase === 'waiting' && now >= connection.until) {
      this.open(now);
    } else if (connection.phase === 'opening' && now >= connection.deadline) {
      this.abandon(now);
    } else if (isOpened(connection)) {
      if (now >= silenceDeadline(connection)) return this.abandon(now);
      if (now >= connection.pingAt) {
        this.send({ type: 'ping' });
        connection.pingAt = now + pingEveryMs;
      }
    }
  }

  nextTimeout(): number {
    const request = this.pending[0]?.deadline ?? Infinity;
    const connection = this.connection;
    switch (connection.phase) {
      case 'none': return request;
      case 'waiting': return Math.min(request, connection.until);
      case 'opening': return Math.min(request, connection.deadline);
      default: return Math.min(request, connection.pingAt, silenceDeadline(connection));
    }
  }

  pollOutput(): ConnectionOutput | ServicesOutput | undefined {
    return this.outputs.shift();
  }

  private handle(connection: OpenedConnection, message: FromServicesServer, now: number): void {
    if (message.type === 'error') {
      if (message.fatal) connection.fatal = errorFromWire(message);
      return;
    }
    if (message.type === 'closing') return this.abandonAfterClosing(now);
    if (message.type === 'pong') return;
    const expected = message.type === 'welcome' ? connection.phase === 'greeting' : connection.services.includes('recording');
    if (!expected) {
      this.drops.unexpected += 1;
      return;
    }
    switch (message.type) {
      case 'welcome': return this.welcomed(connection, message.services, message.heartbeatMs, now);
      case 'recording.state': return this.takeState(connection, message, now);
      case 'recording.marker': return this.takeMarker(message);
      case 'recording.response': return this.takeResponse(message.requestId, message.error && errorFromWire(message.error));
      case 'beat':
        if (message.revision === this.confirmed.revision && connection.snapshotTaken) this.drawLine(connection, message.totalMs, now);
    }
  }

  private welcomed(connection: OpenedConnection, services: readonly string[], heartbeatMs: number, now: number): void {
    this.connection = { ...connection, phase: 'welcomed', heardAt: now, services, heartbeatMs };
    this.backoff.reset();
    this.outputs.push({ kind: 'servicesConnected' });
    for (const request of this.pending) this.sendRequest(request);
  }

  private takeState(connection: OpenedConnection, message: RecordingStateMessage, now: number): void {
    if (connection.snapshotTaken && message.revision <= this.confirmed.revision) {
      this.drops.stale_revision += 1;
      return;
    }
    connection.snapshotTaken = true;
    // Something has happened to the recording since. The same revision, told again after a reconnect, is no news.
    if (message.error && message.revision !== this.confirmed.revision) this.requestError = undefined;
    this.confirmed = message;
    this.drawLine(connection, message.totalMs, now);
    if (message.requestId !== undefined && this.resolve(message.requestId, undefined)) this.answeredByState = message.requestId;
    this.emitState();
  }

  /** After a reconnect the server tells those of the running recording again. */
  private takeMarker({ recordingId, index, atMs, label, by }: MarkerMessage): void {
    if (recordingId === this.marked.recordingId && index <= this.marked.index) return;
    this.marked = { recordingId, index };
    this.outputs.push({ kind: 'markerAdded', marker: { recordingId, atMs, label, by: by ?? '' } });
  }

  private takeResponse(requestId: string, error: AmphiError | undefined): void {
    // A marker that was taken is told by itself.
    const ofMarker = this.pending.some((request) => request.id === requestId && typeof request.what === 'string');
    if (this.resolve(requestId, error)) {
      if (error || !ofMarker) this.emitState();
    } else if (requestId === this.answeredByState) this.answeredByState = undefined;
    else this.drops.unexpected += 1;
  }

  private resolve(requestId: string, error: AmphiError | undefined): boolean {
    const index = this.pending.findIndex((request) => request.id === requestId);
    if (index < 0) return false;
    for (const { number } of this.pending.splice(index, 1)) this.noteOutcome(number, error);
    return true;
  }

  /** The outcome of an older request never replaces that of a newer request, in whichever order they resolve. */
  private noteOutcome(number: number, error: AmphiError | undefined): void {
    if (number < this.newestResolved) return;
    this.newestResolved = number;
    this.requestError = error;
  }

  private expireRequests(now: number): void {
    const expired = this.pending.filter((request) => now >= request.deadline);
    if (expired.length === 0) return;
    this.pending = this.pending.filter((request) => now < request.deadline);
    for (const { number } of expired) this.noteOutcome(number, makeError('timeout', 'The server did not answer in time.'));
    this.emitState();
  }

  private drawLine(connection: OpenedConnection, totalMs: number, now: number): void {
    const growsForMs = this.confirmed.phase === 'recording' ? 1.25 * connection.heartbeatMs : 0;
    this.line = this.confirmed.on ? nextLine(this.line, totalMs, now, growsForMs) : confirmedLine(totalMs, now);
  }

  private open(now: number): void {
    this.connection = { phase: 'opening', deadline: now + silenceMs };
    this.outputs.push({ kind: 'openConnection' });
  }

  /** The connection is gone: say so if it was ever welcomed, and try again after a while. */
  private lose(error: AmphiError | undefined, now: number): void {
    const wasWelcomed = this.connection.phase === 'welcomed';
    this.connection = { phase: 'waiting', until: now + this.backoff.next() };
    if (wasWelcomed) this.outputs.push({ kind: 'servicesDisconnected', error });
  }

  private abandon(now: number): void {
    this.outputs.push({ kind: 'closeConnection' });
    const fatal = isOpened(this.connection) ? this.connection.fatal : undefined;
    this.lose(fatal ?? makeError('timeout', 'The server fell silent.'), now);
  }

  private abandonAfterClosing(now: number): void {
    this.outputs.push({ kind: 'closeConnection' });
    this.lose(undefined, now);
  }

  private closeGracefully(): void {
    const { phase } = this.connection;
    this.connection = { phase: 'none' };
    if (phase === 'opening' || phase === 'greeting' || phase === 'welcomed') this.outputs.push({ kind: 'closeConnection' });
    if (phase === 'welcomed') this.outputs.push({ kind: 'servicesDisconnected', error: undefined });
  }

  private emitState(): void {
    this.outputs.push({ kind: 'recordingStateChanged', state: this.state() });
  }

  private sendRequest(request: PendingRequest): void {
    const { id: requestId, what } = request;
    this.send(typeof what === 'boolean'
      ? { type: 'recording.request', requestId, on: what } : { type: 'recording.marker.add', requestId, label: what });
  }

  private send(message: ToServicesServer): void {
    this.outputs.push({ kind: 'sendText', text: JSON.stringify(message) });
  }
}

const isOpened = (connection: Connection): connection is OpenedConnection =>
  connection.phase === 'greeting' || connection.phase === 'welcomed';

/** While greeting nothing that comes but `welcome` moves it: the welcome itself has a deadline. */
const silenceDeadline = (connection: OpenedConnection): number => connection.heardAt + silenceMs;

/** The running total that a state shows at `now`, in milliseconds. */
export const totalRunningDurationMs = (state: RecordingState, now: number): number => durationAt(state.duration, now);
