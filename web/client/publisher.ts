// What we send: one RTCPeerConnection that offers sendonly m-lines, one for each outgoing feed. Offers go out one at a time;
// what changes in between is in the next one. An m-line whose feed stopped is used again for the next feed of its kind and
// label, which so keeps its id.
import { errorFromWire, makeError, type AmphiError, type Result } from './errors';
import { IceWatch, type WatchEvents } from './ice_watch';
import { Listeners } from './listeners';
import type { Platform } from './platform';
import type { FeedKind, PublishAnswer, ToSignallingServer } from './signalling_messages';
import { inOrderOfPreference, type VideoCodec } from './codec_preference';

export type OutgoingFeedState = 'starting' | 'live' | 'stopped' | 'failed';

/** A feed that we share: made by `MediaServerSession.publish`. */
export class OutgoingFeed {
  readonly kind: FeedKind;
  feedId = '';
  error: AmphiError | undefined;
  private currentState: OutgoingFeedState = 'starting';
  private readonly changed = new Listeners<[OutgoingFeed]>();

  constructor(readonly label: string, private current: MediaStreamTrack,
              private readonly change: (feed: OutgoingFeed, track: MediaStreamTrack | null) => Promise<void>) {
    this.kind = current.kind === 'audio' ? 'audio' : 'video';
  }

  get state(): OutgoingFeedState { return this.currentState; }
  get track(): MediaStreamTrack { return this.current; }

  onStateChanged(listener: (feed: OutgoingFeed) => void): () => void {
    return this.changed.add(listener);
  }

  /** Another camera or microphone behind the same feed: nobody has to be told. */
  async replaceTrack(track: MediaStreamTrack): Promise<void> {
    this.current = track;
    await this.change(this, track);
  }

  /** Ends the feed for everybody. The track itself stays the caller's to stop. */
  stop(): void {
    if (this.currentState === 'stopped' || this.currentState === 'failed') return;
    this.setState('stopped');
    void this.change(this, null);
  }

  setState(state: OutgoingFeedState, error?: AmphiError): void {
    if (state === this.currentState) return;
    this.currentState = state;
    this.error = error;
    this.changed.emit(this);
  }
}

interface Line {
  feed: OutgoingFeed | undefined;
  readonly label: string;
  readonly transceiver: RTCRtpTransceiver;
  /** The server has taken the feed; it is live once the connection is up. */
  accepted: boolean;
}

export class Publisher {
  private connection: RTCPeerConnection | undefined;
  private watch: IceWatch | undefined;
  private readonly lines: Line[] = [];
  private outstanding: ToSignallingServer | undefined;
  private answered: ((answer: PublishAnswer | AmphiError) => void) | undefined;
  private busy = false;
  private wanted = false;
  private joined = false;
  private closed = false;

  constructor(private readonly platform: Platform, private readonly send: (message: ToSignallingServer) => Result,
              private readonly codec: VideoCodec, private readonly watchEvents: Omit<WatchEvents, 'restart'>) {}

  /** The transport, for statistics. */
  get peerConnection(): RTCPeerConnection | undefined { return this.connection; }

  add(track: MediaStreamTrack, label: string): OutgoingFeed {
    const shortLabel = [...label].slice(0, 128).join('');
    const feed = new OutgoingFeed(shortLabel, track, (changed, replacement) => this.changeTrack(changed, replacement));
    if (this.closed) {
      feed.setState('failed', makeError('invalid_state', 'The session is over.'));
      return feed;
    }
    this.placeOnLine(feed, track);
    this.negotiate();
    return feed;
  }

  /** We are in the session, for the first time or again: an offer that was not answered is made once more. */
  sessionJoined(): void {
    this.joined = true;
    if (this.outstanding !== undefined) this.send(this.outstanding);
    else if (this.wanted) this.negotiate();
  }

  /** The server was started anew and knows nothing of our media: the same feeds go out over a new connection. */
  beginAgain(): void {
    const feeds = this.lines.splice(0).flatMap(({ feed }) => (feed === undefined ? [] : [feed]));
    this.watch?.close();
    this.connection?.close();
    this.connection = this.watch = this.outstanding = undefined;
    this.answered?.(makeError('disconnected', 'The server was started anew.'));
    for (const feed of feeds) {
      feed.setState('starting');
      this.placeOnLine(feed, feed.track);
    }
    this.wanted = feeds.length > 0;
  }

  restart(): void {
    if (this.connection === undefined) return;
    this.connection.restartIce();
    this.negotiate();
  }

  handleAnswer(answer: PublishAnswer): void {
    this.answered?.(answer);
  }

  handleRefusal(error: AmphiError): void {
    this.answered?.(error);
  }

  close(): void {
    this.closed = true;
    this.watch?.close();
    this.connection?.close();
    for (const line of this.lines) line.feed?.setState('stopped');
  }

  private placeOnLine(feed: OutgoingFeed, track: MediaStreamTrack): void {
    const free = this.lines.find((line) => line.feed === undefined && line.label === feed.label &&
                                           line.transceiver.sender.track === null &&
                                           line.transceiver.receiver.track.kind === track.kind);
    if (free !== undefined) {
      free.feed = feed;
      free.accepted = false;
      free.transceiver.direction = 'sendonly';
      void free.transceiver.sender.replaceTrack(track);
      return;
    }
    const transceiver = this.ensureConnection().addTransceiver(track, { direction: 'sendonly' });
    const capabilities = RTCRtpSender.getCapabilities(track.kind);
    if (track.kind === 'video' && capabilities) transceiver.setCodecPreferences(inOrderOfPreference(capabilities.codecs, this.codec));
    this.lines.push({ feed, label: feed.label, transceiver, accepted: false });
  }

  private ensureConnection(): RTCPeerConnection {
    if (this.connection === undefined) {
      this.connection = this.platform.makePeerConnection({ bundlePolicy: 'max-bundle' });
      const { connection } = this;
      this.watch = new IceWatch(connection, this.platform, { ...this.watchEvents, restart: () => this.restart() });
      connection.addEventListener('connectionstatechange', () => {
        if (connection === this.connection) this.goLive();
      });
    }
    return this.connection;
  }

  private async changeTrack(feed: OutgoingFeed, track: MediaStreamTrack | null): Promise<void> {
    const line = this.lines.find((candidate) => candidate.feed === feed);
    if (line === undefined || this.closed) return;
    if (track === null) {
      line.feed = undefined;
      line.transceiver.direction = 'inactive';
      this.negotiate();
    }
    await line.transceiver.sender.replaceTrack(track);
  }

  private negotiate(): void {
    this.wanted = true;
    if (!this.joined || this.busy || this.closed) return;
    this.busy = true;
    const connection = this.ensureConnection();
    void this.offerWhileWanted(connection).catch((error: unknown) => {
      if (this.isCurrent(connection)) this.failUnanswered(makeError('internal', String(error)));
    }).finally(() => {
      this.busy = false;
      if (this.wanted) this.negotiate();
    });
  }

  private isCurrent(connection: RTCPeerConnection): boolean {
    return !this.closed && connection === this.connection;
  }

  private async offerWhileWanted(connection: RTCPeerConnection): Promise<void> {
    while (this.wanted && this.isCurrent(connection)) {
      this.wanted = false;
      await connection.setLocalDescription(await connection.createOffer());
      if (!this.isCurrent(connection)) return;
      const answer = await this.exchange(connection.localDescription?.sdp ?? '');
      if (!this.isCurrent(connection)) return;
      if ('code' in answer) {
        await connection.setLocalDescription({ type: 'rollback' });
        this.failUnanswered(answer);
      } else {
        await connection.setRemoteDescription({ type: 'answer', sdp: answer.sdp });
        this.takeFeedIds(answer);
        this.goLive();
        if (this.lines.some(({ accepted }) => accepted)) this.watch?.expectConnection();
      }
    }
  }

  private async exchange(sdp: string): Promise<PublishAnswer | AmphiError> {
    const feeds = this.lines.flatMap(({ feed, transceiver }) =>
      feed === undefined || transceiver.mid === null ? [] : [{ mid: transceiver.mid, kind: feed.kind, label: feed.label }]);
    const offer: ToSignallingServer = { type: 'publishOffer', sdp, feeds };
    this.outstanding = offer;
    const answer = await new Promise<PublishAnswer | AmphiError>((resolve) => {
      this.answered = resolve;
      this.send(offer);
    });
    this.outstanding = this.answered = undefined;
    return answer;
  }

  private takeFeedIds(answer: PublishAnswer): void {
    for (const line of [...this.lines]) {
      const { feed, transceiver } = line;
      if (feed === undefined || transceiver.mid === null) continue;
      const feedId = answer.feeds.find(({ mid }) => mid === transceiver.mid)?.feedId;
      if (feedId !== undefined) {
        feed.feedId = feedId;
        line.accepted = true;
      } else if (!line.accepted) {
        const refused = answer.refused?.find(({ mid }) => mid === transceiver.mid);
        this.fail(feed, refused ? errorFromWire(refused) : makeError('unsupported', 'The server did not accept this feed.'));
      }
    }
  }

  /** What the server has taken is live once media can flow. */
  private goLive(): void {
    if (this.connection?.connectionState !== 'connected') return;
    for (const { feed, accepted } of [...this.lines]) if (accepted && feed?.state === 'starting') feed.setState('live');
  }

  private failUnanswered(error: AmphiError): void {
    for (const { feed, accepted } of [...this.lines]) if (!accepted && feed?.state === 'starting') this.fail(feed, error);
  }

  private fail(feed: OutgoingFeed, error: AmphiError): void {
    const index = this.lines.findIndex((line) => line.feed === feed);
    const [line] = this.lines.splice(index, 1);
    line?.transceiver.stop();
    feed.setState('failed', error);
  }
}
