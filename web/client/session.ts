// MediaServerSession for browsers: the native SDK's names on two WebSockets and two peer connections. The state machines do
// the thinking; this joins them to the browser. Listeners are called one after the other and may call anything here.
import type { VideoCodec } from './codec_preference';
import { ConnectionDriver } from './connection_driver';
import type { WatchEvents } from './ice_watch';
import { errorFromWire, failure, makeError, type AmphiError, type Result } from './errors';
import { IncomingFeeds, type FeedChanges, type IncomingFeed, type Participant } from './incoming_feeds';
import { Listeners } from './listeners';
import { MediaReachability, type Transport } from './media_reachability';
import { browserPlatform, type Platform } from './platform';
import { Publisher, type OutgoingFeed } from './publisher';
import type { RecordingMarker, RecordingState } from './recording_state';
import { ServicesClient, totalRunningDurationMs, type ServicesOutput } from './services_client';
import { parseSessionAddress, type SessionAddress } from './session_address';
import { SignallingClient, type MediaMessage, type SignallingOutput } from './signalling_client';
import type { Joined } from './signalling_messages';
import { Subscriber } from './subscriber';

export const clientName = '@amphi/client 0.1.0';

export interface SessionOptions {
  /** The session's address: https://HOST/s/SESSION */
  readonly url: string;
  readonly accessToken: string;
  /** What video is sent in; VP8 unless said otherwise. */
  readonly videoCodec?: VideoCodec;
  /** True (the default): the session is joined, and joined again after each loss, until a final cause ends it. False: `connect()` makes one
   *  attempt, and a loss that cannot be resumed within the server's window (30 s) ends the session with an error. */
  readonly reconnect?: boolean;
  readonly platform?: Platform;
}

/** The recording at one moment: a value. */
export interface SessionRecordingState extends Omit<RecordingState, 'duration'> {
  /** All recordings of the session and the live part of the running one, now. */
  totalRunningDurationMs(): number;
}

export type ConnectionState = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected';

const brokenHandshake = 'The encrypted connection (DTLS) failed: the certificate at the other end may not be the announced one.';

export class MediaServerSession {
  private readonly platform: Platform;
  private readonly signalling: SignallingClient;
  private readonly services: ServicesClient;
  private readonly signallingDriver: ConnectionDriver<SignallingOutput>;
  private readonly servicesDriver: ConnectionDriver<ServicesOutput>;
  private readonly publisher: Publisher;
  private readonly subscriber: Subscriber;
  private readonly incoming = new IncomingFeeds();
  private readonly media = new MediaReachability(
    (error) => this.mediaUnreachable.emit(this, error), () => this.mediaReachable.emit(this));
  private stopWatchingNetwork: (() => void) | undefined;
  private currentState: ConnectionState = 'idle';
  private lastJoined: Joined | undefined;
  private reason = '';

  private readonly connected = new Listeners<[MediaServerSession]>();
  private readonly reconnecting = new Listeners<[MediaServerSession, AmphiError]>();
  private readonly reconnected = new Listeners<[MediaServerSession]>();
  private readonly mediaUnreachable = new Listeners<[MediaServerSession, AmphiError]>();
  private readonly mediaReachable = new Listeners<[MediaServerSession]>();
  private readonly disconnected = new Listeners<[MediaServerSession, AmphiError | undefined]>();
  private readonly stateChanged = new Listeners<[MediaServerSession, ConnectionState]>();
  private readonly servicesConnected = new Listeners<[MediaServerSession]>();
  private readonly servicesDisconnected = new Listeners<[MediaServerSession, AmphiError | undefined]>();
  private readonly recordingChanged = new Listeners<[MediaServerSession, SessionRecordingState]>();
  private readonly markerAdded = new Listeners<[MediaServerSession, RecordingMarker]>();
  private readonly feedAdded = new Listeners<[MediaServerSession, IncomingFeed]>();
  private readonly feedChanged = new Listeners<[MediaServerSession, IncomingFeed]>();
  private readonly feedRemoved = new Listeners<[MediaServerSession, IncomingFeed]>();
  private readonly participantsChanged = new Listeners<[MediaServerSession]>();

  /** Throws when `url` is not the address of a session. */
  static create(options: SessionOptions): MediaServerSession {
    const address = parseSessionAddress(options.url);
    if (address === undefined) throw new TypeError('A session has an address like https://HOST/s/SESSION');
    return new MediaServerSession(options, address);
  }

  private constructor(options: SessionOptions, readonly address: SessionAddress) {
    const platform = options.platform ?? browserPlatform;
    const random = (): number => platform.random();
    const token = options.accessToken;
    this.platform = platform;
    this.signalling = new SignallingClient({ token, client: clientName, random, reconnect: options.reconnect ?? true });
    this.services = new ServicesClient({ token, mayRecord: false, requestPrefix: `req_${platform.uniqueId()}`, random });
    this.signallingDriver = new ConnectionDriver(this.signalling, address.signalling, platform, (output) => this.onSignalling(output));
    this.servicesDriver = new ConnectionDriver(this.services, address.services, platform, (output) => this.onServices(output));
    const send: ConstructorParameters<typeof Publisher>[1] = (message) => {
      const sent = this.signalling.send(message, platform.now());
      this.signallingDriver.pump();
      return sent;
    };
    this.publisher = new Publisher(platform, send, options.videoCodec ?? 'VP8', this.watchEvents('publishing'));
    this.subscriber = new Subscriber(
      platform, send, (tracks) => this.announce(this.incoming.tracksChanged(tracks)), this.watchEvents('subscribing'));
  }

  /** Starts joining and returns at once. With `reconnect` it goes on until `onConnected`, or `onDisconnected` for a final cause; failed
   *  attempts are told by `onReconnecting`. A session connects once. */
  connect(): Result {
    const result = this.signalling.connect(this.platform.now());
    if (!result.ok) return result;
    this.stopWatchingNetwork = this.platform.watchNetwork(() => this.networkChanged());
    this.setState('connecting');
    this.signallingDriver.pump();
    return result;
  }

  /** Leaves for good. Safe at any time; `onDisconnected` comes once, without an error. */
  disconnect(): void {
    this.signalling.disconnect(this.platform.now());
    this.signallingDriver.pump();
  }

  /** Shares a track with everybody. It goes out as soon as the session is connected; the feed says how it fares. */
  publish(track: MediaStreamTrack, label: string): OutgoingFeed {
    return this.publisher.add(track, label);
  }

  /** Returns at once: ok, or the error known here and now. What the server answers arrives in the state. */
  requestSessionRecording(on: boolean): Result {
    if (this.currentState === 'disconnected') return failure('invalid_state', 'The session is over.');
    const result = this.services.requestRecording(on, this.platform.now());
    this.servicesDriver.pump();
    return result;
  }

  /** Marks the present moment of the running recording, for everybody and for the manifest. A refusal that only the server can
   *  know arrives as the state's error. `label`: 1 to 200 characters, none of them a control character. */
  addRecordingMarker(label: string): Result {
    if (this.currentState === 'disconnected') return failure('invalid_state', 'The session is over.');
    const result = this.services.addMarker(label, this.platform.now());
    this.servicesDriver.pump();
    return result;
  }

  sessionRecordingState(): SessionRecordingState {
    return this.present(this.services.state());
  }

  areSessionServicesConnected(): boolean { return this.services.connected(); }
  /** The error while no media gets through to the server. */
  get mediaError(): AmphiError | undefined { return this.media.error; }
  get connectionState(): ConnectionState { return this.currentState; }
  get sessionId(): string { return this.address.sessionId; }
  get participantId(): string { return this.lastJoined?.participantId ?? ''; }
  get identity(): string { return this.lastJoined?.identity ?? ''; }
  get grants(): readonly string[] { return this.lastJoined?.grants ?? []; }
  get participants(): readonly Participant[] { return this.incoming.participants; }
  get feeds(): readonly IncomingFeed[] { return this.incoming.feeds; }
  /** Why the server ended the session gracefully, in its words. */
  get closingReason(): string { return this.reason; }
  /** The transports, for statistics. */
  get peerConnections(): { readonly publishing: RTCPeerConnection | undefined; readonly subscribing: RTCPeerConnection | undefined } {
    return { publishing: this.publisher.peerConnection, subscribing: this.subscriber.peerConnection };
  }

  // Each gives what removes the listener again.
  onConnected(listener: (session: MediaServerSession) => void): () => void { return this.connected.add(listener); }
  /** The connection was lost, or an attempt failed, and is tried again with back-off (up to 10 s). Called once for each loss, and again when
   *  the reason changes. Followed by `onConnected` (the first join), `onReconnected` or `onDisconnected`. */
  onReconnecting(listener: (session: MediaServerSession, error: AmphiError) => void): () => void { return this.reconnecting.add(listener); }
  /** Joined again. Within the server's resume window nothing has changed. Past it `participantId` is a new one, outgoing feeds are published
   *  again, and the feeds of the others were removed and are added again. */
  onReconnected(listener: (session: MediaServerSession) => void): () => void { return this.reconnected.add(listener); }
  /** No media gets through to the server for 10 s (`media_unreachable`); the message names the likely cause. It is tried further. */
  onMediaUnreachable(listener: (session: MediaServerSession, error: AmphiError) => void): () => void { return this.mediaUnreachable.add(listener); }
  /** Media gets through again after `onMediaUnreachable`. */
  onMediaReachable(listener: (session: MediaServerSession) => void): () => void { return this.mediaReachable.add(listener); }
  /** The one end there is, for final causes: `disconnect()` and an end by the server (no error: graceful), a refused token, a removal.
   *  Without `reconnect` also a loss that could not be resumed. */
  onDisconnected(listener: (session: MediaServerSession, error: AmphiError | undefined) => void): () => void {
    return this.disconnected.add(listener);
  }
  onConnectionStateChanged(listener: (session: MediaServerSession, state: ConnectionState) => void): () => void {
    return this.stateChanged.add(listener);
  }
  onSessionServicesConnected(listener: (session: MediaServerSession) => void): () => void {
    return this.servicesConnected.add(listener);
  }
  onSessionServicesDisconnected(listener: (session: MediaServerSession, error: AmphiError | undefined) => void): () => void {
    return this.servicesDisconnected.add(listener);
  }
  /** The only source of truth about the recording. */
  onRecordingStateChanged(listener: (session: MediaServerSession, state: SessionRecordingState) => void): () => void {
    return this.recordingChanged.add(listener);
  }
  /** Each marker once, in order, whoever added it; after a (re)connect also those of the running recording so far. */
  onRecordingMarkerAdded(listener: (session: MediaServerSession, marker: RecordingMarker) => void): () => void {
    return this.markerAdded.add(listener);
  }
  onFeedAdded(listener: (session: MediaServerSession, feed: IncomingFeed) => void): () => void { return this.feedAdded.add(listener); }
  /** An administrator has muted the feed, or no longer: see `feed.muted`. */
  onFeedChanged(listener: (session: MediaServerSession, feed: IncomingFeed) => void): () => void { return this.feedChanged.add(listener); }
  /** The feed has ended, or its owner is lost. An owner that returns is told by `onFeedAdded`, with another id where it is another participant. */
  onFeedRemoved(listener: (session: MediaServerSession, feed: IncomingFeed) => void): () => void { return this.feedRemoved.add(listener); }
  onParticipantsChanged(listener: (session: MediaServerSession) => void): () => void { return this.participantsChanged.add(listener); }

  private onSignalling(output: SignallingOutput): void {
    switch (output.kind) {
      case 'joined': return this.onJoined(output.joined);
      case 'reconnecting':
        this.setState(this.lastJoined === undefined ? 'connecting' : 'reconnecting');
        return this.reconnecting.emit(this, output.error);
      case 'message': return this.onMessage(output.message);
      case 'ended': return this.onEnded(output.error, output.reason);
    }
  }

  private onJoined(joined: Joined): void {
    const first = this.lastJoined === undefined;
    this.lastJoined = joined;
    if (!first && !joined.resumed) this.beginAgain();
    this.setState('connected');
    if (first) this.connected.emit(this);
    else this.reconnected.emit(this);
    this.announce(this.incoming.reset(joined.participants));
    this.participantsChanged.emit(this);
    this.publisher.sessionJoined();
    this.subscriber.sessionJoined();
    this.services.setMayRecord(joined.grants.includes('record'));
    this.services.sessionConnected(joined.participantId, this.platform.now());
    this.servicesDriver.pump();
  }

  private watchEvents(transport: Transport): Omit<WatchEvents, 'restart'> {
    return {
      active: () => this.currentState === 'connected',
      reachable: (yes, pathWorks) => this.media.report(transport, yes, pathWorks, this.peerConnections[transport]?.remoteDescription?.sdp ?? ''),
      broken: () => this.renewTransports(brokenHandshake),
    };
  }

  /** Only a new participant's transports can work. */
  private renewTransports(why: string): void {
    this.signalling.rejoin(makeError('media_unreachable', why), this.platform.now());
    this.signallingDriver.pump();
  }

  private transportFailed(transport: Transport, error: AmphiError): void {
    if (error.code === 'disconnected') return; // its path is lost: IceWatch restarts it
    this.media.report(transport, false, true, this.peerConnections[transport]?.remoteDescription?.sdp ?? '');
    // The server may tell of the failed handshake before the browser does.
    this.renewTransports(error.message.includes('certificate') ? `${brokenHandshake} ${error.message}` : error.message);
  }

  /** Joined anew: everybody is new to the server's participant, and so is all media. */
  private beginAgain(): void {
    this.media.beginAgain();
    this.announce(this.incoming.reset([]));
    this.subscriber.beginAgain();
    this.publisher.beginAgain();
  }

  private onMessage(message: MediaMessage): void {
    switch (message.type) {
      case 'publishAnswer': return this.publisher.handleAnswer(message);
      case 'subscribeOffer': return this.subscriber.handleOffer(message);
      case 'feedAdded': return this.announce(this.incoming.feedAdded(message.feed));
      case 'feedChanged': {
        const changed = this.incoming.feedChanged(message.feed);
        if (changed !== undefined) this.feedChanged.emit(this, changed);
        return;
      }
      case 'feedRemoved': return this.announce(this.incoming.feedRemoved(message.feedId));
      case 'feedUnsupported': return this.announce(this.incoming.feedUnsupported(message.feedId, errorFromWire(message)));
      case 'participantJoined':
        this.announce(this.incoming.participantJoined(message.participant));
        return this.participantsChanged.emit(this);
      case 'participantLeft':
        this.announce(this.incoming.participantLeft(message.participantId));
        return this.participantsChanged.emit(this);
      case 'error':
        if (message.transport !== undefined) this.transportFailed(message.transport, errorFromWire(message));
        else if (message.inReplyTo === 'publishOffer') this.publisher.handleRefusal(errorFromWire(message));
        else console.warn(`The server refused ${message.inReplyTo ?? 'a message'}: ${message.message} (${message.code})`);
    }
  }

  private onServices(output: ServicesOutput): void {
    switch (output.kind) {
      case 'servicesConnected': return this.servicesConnected.emit(this);
      case 'servicesDisconnected': return this.servicesDisconnected.emit(this, output.error);
      case 'markerAdded': return this.markerAdded.emit(this, output.marker);
      case 'recordingStateChanged': return this.recordingChanged.emit(this, this.present(output.state));
    }
  }

  private onEnded(error: AmphiError | undefined, reason: string): void {
    this.reason = reason;
    this.currentState = 'disconnected';
    this.stopWatchingNetwork?.();
    this.services.sessionClosed();
    // Left inside a services event, theirs are still to come: the terminal event is the last.
    this.servicesDriver.afterOutputs(() => {
      this.publisher.close();
      this.subscriber.close();
      this.announce(this.incoming.reset([]));
      this.stateChanged.emit(this, 'disconnected');
      this.disconnected.emit(this, error);
    });
  }

  private networkChanged(): void {
    this.signalling.networkChanged(this.platform.now());
    this.signallingDriver.pump();
    this.publisher.restart();
    this.subscriber.restart();
  }

  private announce({ added, removed }: FeedChanges): void {
    for (const feed of removed) this.feedRemoved.emit(this, feed);
    for (const feed of added) this.feedAdded.emit(this, feed);
  }

  private setState(state: ConnectionState): void {
    if (state === this.currentState) return;
    this.currentState = state;
    this.stateChanged.emit(this, state);
  }

  private present(state: RecordingState): SessionRecordingState {
    const { duration: _line, ...shown } = state;
    return { ...shown, totalRunningDurationMs: () => totalRunningDurationMs(state, this.platform.now()) };
  }
}

