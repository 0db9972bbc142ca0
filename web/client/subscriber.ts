// What we receive: one RTCPeerConnection that answers the server's offers, one after the other, and says which feed each
// m-line carries.
import type { Result } from './errors';
import { IceWatch, type WatchEvents } from './ice_watch';
import type { Platform } from './platform';
import type { SubscribeOffer, ToSignallingServer } from './signalling_messages';

export class Subscriber {
  private connection: RTCPeerConnection | undefined;
  private watch: IceWatch | undefined;
  private work: Promise<void> = Promise.resolve();
  private unsent: ToSignallingServer | undefined;
  private restartWanted = false;
  private closed = false;
  private generation = 0;

  constructor(private readonly platform: Platform, private readonly send: (message: ToSignallingServer) => Result,
              private readonly onTracks: (tracks: ReadonlyMap<string, MediaStreamTrack>) => void,
              private readonly watchEvents: Omit<WatchEvents, 'restart'>) {}

  /** The transport, for statistics. */
  get peerConnection(): RTCPeerConnection | undefined { return this.connection; }

  handleOffer(offer: SubscribeOffer): void {
    const { generation } = this;
    this.work = this.work.then(() => this.answer(offer, generation)).catch((error: unknown) => {
      if (!this.isOver(generation)) console.error('An offer of the server could not be answered:', error);
    });
  }

  /** Resumed: what could not be said while signalling was away. */
  sessionJoined(): void {
    if (this.unsent !== undefined && this.send(this.unsent).ok) this.unsent = undefined;
    if (this.restartWanted) this.restart();
  }

  /** The server was started anew: what it offers from now on is for a new connection. */
  beginAgain(): void {
    this.watch?.close();
    this.connection?.close();
    this.connection = this.watch = this.unsent = undefined;
    this.restartWanted = false;
    this.generation += 1;
    this.onTracks(new Map());
  }

  restart(): void {
    if (this.connection === undefined || this.closed) return;
    this.restartWanted = !this.send({ type: 'restartSubscribe' }).ok;
  }

  close(): void {
    this.closed = true;
    this.watch?.close();
    this.connection?.close();
  }

  private isOver(generation: number): boolean {
    return this.closed || generation !== this.generation;
  }

  private async answer(offer: SubscribeOffer, generation: number): Promise<void> {
    if (this.isOver(generation)) return;
    const connection = this.ensureConnection();
    await connection.setRemoteDescription({ type: 'offer', sdp: offer.sdp });
    await connection.setLocalDescription(await connection.createAnswer());
    if (this.isOver(generation)) return;
    const sdp = connection.localDescription?.sdp ?? '';
    const answer: ToSignallingServer = { type: 'subscribeAnswer', offerId: offer.offerId, sdp };
    this.unsent = this.send(answer).ok ? undefined : answer;
    const tracks = new Map<string, MediaStreamTrack>();
    for (const { mid, feedId } of offer.feeds) {
      const transceiver = connection.getTransceivers().find((candidate) => candidate.mid === mid);
      if (transceiver !== undefined) tracks.set(feedId, transceiver.receiver.track);
    }
    if (tracks.size > 0) this.watch?.expectConnection();
    this.onTracks(tracks);
  }

  private ensureConnection(): RTCPeerConnection {
    if (this.connection === undefined) {
      // Not max-bundle: an offer of nothing (nobody shares yet) names no bundle, and would be refused.
      this.connection = this.platform.makePeerConnection();
      this.watch = new IceWatch(this.connection, this.platform, { ...this.watchEvents, restart: () => this.restart() });
    }
    return this.connection;
  }
}
