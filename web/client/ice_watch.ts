// Asks for an ICE restart when a peer connection has lost its path: at once when it failed, soon when it is only silent,
// and again every few seconds for as long as that stays so.
import type { Platform } from './platform';

const silentForMs = 2_000;
const againAfterMs = 5_000;

export class IceWatch {
  private cancel: (() => void) | undefined;

  constructor(private readonly connection: RTCPeerConnection, private readonly platform: Platform,
              private readonly restart: () => void) {
    connection.addEventListener('iceconnectionstatechange', this.look);
  }

  close(): void {
    this.connection.removeEventListener('iceconnectionstatechange', this.look);
    this.cancel?.();
  }

  private readonly look = (): void => {
    const state = this.connection.iceConnectionState;
    if (state !== 'failed' && state !== 'disconnected') {
      // `checking` may be our own restart under way: what it was asked by stays armed until it is known to have helped.
      if (state === 'connected' || state === 'completed' || state === 'closed') this.disarm();
      return;
    }
    if (this.cancel === undefined) this.arm(state === 'failed' ? 0 : silentForMs);
  };

  private arm(delayMs: number): void {
    this.cancel = this.platform.schedule(() => {
      this.restart();
      this.arm(againAfterMs);
    }, delayMs);
  }

  private disarm(): void {
    this.cancel?.();
    this.cancel = undefined;
  }
}
