// Whether media gets through on both transports of a session, told once for both; and the likely cause where it does not.
import { makeError, type AmphiError } from './errors';

export type Transport = 'publishing' | 'subscribing';

const handshakeStuck = 'No audio or video gets through to the server. The network path works, but the encrypted connection (DTLS) does not come about. '
  + 'A firewall or proxy may filter it.';

export class MediaReachability {
  private readonly lost = new Set<Transport>();
  private told: AmphiError | undefined;

  constructor(private readonly onUnreachable: (error: AmphiError) => void, private readonly onReachable: () => void) {}

  /** The error while no media gets through. */
  get error(): AmphiError | undefined { return this.told; }

  /** `pathWorks`: ICE is connected, and DTLS is not. */
  report(transport: Transport, reachable: boolean, pathWorks: boolean, remoteSdp: string): void {
    if (reachable) this.lost.delete(transport);
    else this.lost.add(transport);
    if (this.lost.size > 0 === (this.told !== undefined)) return;
    this.told = this.lost.size > 0 ? makeError('media_unreachable', pathWorks ? handshakeStuck : explainUnreachable(remoteSdp)) : undefined;
    if (this.told !== undefined) this.onUnreachable(this.told);
    else this.onReachable();
  }

  /** Both transports begin again: they tell when they connect. */
  beginAgain(): void {
    this.lost.clear();
  }
}

/** `sdp`: the server's description, whose candidates name its media addresses. */
export function explainUnreachable(sdp: string): string {
  const places = new Map<string, Set<string>>();
  for (const [, address = '', port = ''] of sdp.matchAll(/^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ \S+/gim)) {
    places.set(port, (places.get(port) ?? new Set()).add(address));
  }
  const named = [...places].map(([port, addresses]) => `UDP ${port} at ${[...addresses].join(', ')}`);
  const where = named.length === 0 ? 'The server\'s UDP media port' : `The media port ${named.join('; ')}`;
  return `No audio or video gets through to the server. ${where} may be blocked by a firewall or NAT.`;
}
