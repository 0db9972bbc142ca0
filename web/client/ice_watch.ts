// Follows whether media gets through on a peer connection. Asks for an ICE restart when the path is lost: at once when it failed, soon when
// it is only silent, and again with growing pauses until media flows. Tells when no media gets through for 10 s, and when it does again. Tells
// a connection that no restart can revive as broken: DTLS failed, or the other end closed it.
import type { Platform } from './platform';

const silentForMs = 2_000;
const firstPauseMs = 5_000;
const longestPauseMs = 10_000;
const patienceMs = 10_000;
/** After the other end has closed a transport: signalling may tell the cause, which may be the end of the session. */
const closedForMs = 2_000;

export interface WatchEvents {
  restart(): void;
  /** True: connected. False: no media gets through for 10 s. `pathWorks`: ICE is connected, and DTLS is not. */
  reachable(yes: boolean, pathWorks: boolean): void;
  /** DTLS failed, is stuck on a path that works, or was closed: only a new connection can help. Told behind `reachable(false)`. */
  broken(): void;
  /** Whether signalling is connected: without it the time does not count, for the cause is told elsewhere. */
  active(): boolean;
}

export class IceWatch {
  private cancel: (() => void) | undefined;
  private pauseMs = firstPauseMs;
  private cancelPatience: (() => void) | undefined;
  private unreachable = false;
  private dtls: RTCDtlsTransport | undefined;
  private cancelBroken: (() => void) | undefined;

  constructor(private readonly connection: RTCPeerConnection, private readonly platform: Platform, private readonly events: WatchEvents) {
    connection.addEventListener('iceconnectionstatechange', this.look);
    connection.addEventListener('connectionstatechange', this.lookAtConnection);
  }

  close(): void {
    this.connection.removeEventListener('iceconnectionstatechange', this.look);
    this.connection.removeEventListener('connectionstatechange', this.lookAtConnection);
    this.dtls?.removeEventListener('statechange', this.lookAtDtls);
    this.disarm();
    this.cancelPatience?.();
    this.cancelBroken?.();
    this.cancelPatience = this.cancelBroken = undefined;
  }

  /** The connection was negotiated, or lost its path: it has to connect now. */
  expectConnection(): void {
    this.watchDtls();
    if (this.connection.connectionState === 'connected' || this.unreachable || this.cancelPatience !== undefined) return;
    this.cancelPatience = this.platform.schedule(() => {
      this.cancelPatience = undefined;
      if (!this.events.active()) return this.expectConnection();
      this.unreachable = true;
      const pathWorks = this.isPathThere();
      this.events.reachable(false, pathWorks);
      if (pathWorks) this.events.broken();
      else if (this.cancel === undefined) this.arm(0);
    }, patienceMs);
  }

  private isPathThere(): boolean {
    return this.connection.iceConnectionState === 'connected' || this.connection.iceConnectionState === 'completed';
  }

  private readonly look = (): void => {
    const state = this.connection.iceConnectionState;
    if (state !== 'failed' && state !== 'disconnected') {
      // `checking` may be our own restart under way: what it was asked by stays armed until it is known to have helped.
      if (state === 'connected' || state === 'completed' || state === 'closed') this.disarm();
      return;
    }
    this.expectConnection();
    if (this.cancel === undefined) this.arm(state === 'failed' ? 0 : silentForMs);
  };

  private readonly lookAtConnection = (): void => {
    const { connectionState } = this.connection;
    if (connectionState === 'connected') {
      this.cancelPatience?.();
      this.cancelPatience = undefined;
      this.unreachable = false;
      this.events.reachable(true, true);
    } else if (connectionState === 'failed' && this.isPathThere()) {
      this.breakAfter(0);
    } else if (connectionState === 'failed' || connectionState === 'disconnected') {
      this.expectConnection();
    }
  };

  /** The browser's connection state tells nothing of a DTLS transport that the other end has closed. */
  private watchDtls(): void {
    const [transport] = this.connection.getTransceivers().flatMap(({ sender, receiver }) => sender.transport ?? receiver.transport ?? []);
    if (transport === undefined || transport === this.dtls) return;
    this.dtls?.removeEventListener('statechange', this.lookAtDtls);
    this.dtls = transport;
    transport.addEventListener('statechange', this.lookAtDtls);
  }

  private readonly lookAtDtls = (): void => {
    if (this.dtls?.state === 'closed') this.breakAfter(closedForMs);
  };

  private breakAfter(delayMs: number): void {
    if (this.cancelBroken !== undefined) return;
    if (delayMs > 0 || !this.events.active()) {
      this.cancelBroken = this.platform.schedule(() => {
        this.cancelBroken = undefined;
        this.breakAfter(0);
      }, delayMs > 0 ? delayMs : closedForMs);
      return;
    }
    this.unreachable = true;
    this.events.reachable(false, true);
    this.events.broken();
  }

  private arm(delayMs: number): void {
    this.cancel = this.platform.schedule(() => {
      this.arm(this.pauseMs);
      this.pauseMs = Math.min(this.pauseMs * 2, longestPauseMs);
      this.events.restart();
    }, delayMs);
  }

  private disarm(): void {
    this.cancel?.();
    this.cancel = undefined;
    this.pauseMs = firstPauseMs;
  }
}
