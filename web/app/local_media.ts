// What this person shares: camera, microphone and screen, each on or off by itself.
import type { MediaServerSession, OutgoingFeed } from '@amphi/client';
import type { SourceName } from './link';

const labels: Readonly<Record<SourceName, string>> = { camera: 'Camera', microphone: 'Microphone', screen: 'Screen' };

/** One source: captured while it is on, and published while there is a session. */
export class LocalSource {
  private current: MediaStreamTrack | undefined;
  private feed: OutgoingFeed | undefined;
  private deviceId = '';
  private busy = false;

  constructor(readonly name: SourceName, private readonly session: () => MediaServerSession | undefined,
              private readonly onChange: (notice: string) => void) {}

  get label(): string { return labels[this.name]; }
  get on(): boolean { return this.current !== undefined; }
  get working(): boolean { return this.busy; }
  get track(): MediaStreamTrack | undefined { return this.current; }
  get device(): string { return this.current?.getSettings().deviceId ?? this.deviceId; }

  async start(): Promise<void> {
    if (this.busy || this.on) return;
    this.busy = true;
    this.onChange('');
    try {
      this.adopt(await this.capture());
      this.publish();
      this.busy = false;
      this.onChange('');
    } catch (error) {
      this.busy = false;
      this.onChange(`${this.label}: ${explain(error)}`);
    }
  }

  stop(): void {
    this.feed?.stop();
    this.feed = undefined;
    if (this.current !== undefined) this.current.onended = null;
    this.current?.stop();
    this.current = undefined;
    this.onChange('');
  }

  /** A session began: what is on goes out in it. */
  publish(): void {
    const session = this.session();
    if (session === undefined || this.current === undefined) return;
    const feed = session.publish(this.current, this.label);
    this.feed = feed;
    feed.onStateChanged(() => {
      if (feed.state === 'failed') this.onChange(`${this.label} is not shared: ${feed.error?.message ?? 'it failed'}`);
    });
  }

  /** The session is over: the feed with it, the device stays on for the next. */
  sessionEnded(): void {
    this.feed = undefined;
  }

  async useDevice(deviceId: string): Promise<void> {
    this.deviceId = deviceId;
    if (!this.on) return;
    try {
      const former = this.current;
      this.adopt(await this.capture());
      if (former !== undefined) former.onended = null;
      former?.stop();
      if (this.current !== undefined) await this.feed?.replaceTrack(this.current);
      this.onChange('');
    } catch (error) {
      this.onChange(`${this.label}: ${explain(error)}`);
    }
  }

  private adopt(track: MediaStreamTrack): void {
    this.current = track;
    if (this.name === 'screen') track.contentHint = 'detail';
    track.onended = () => {
      this.stop();
      this.onChange(this.name === 'screen' ? '' : `${this.label}: the device stopped.`);
    };
  }

  private async capture(): Promise<MediaStreamTrack> {
    // A page that came over plain http from another machine has no mediaDevices at all.
    const devices = navigator.mediaDevices as MediaDevices | undefined;
    if (devices === undefined) throw new Error('the browser gives it only to pages that came over https.');
    const device = this.deviceId === '' ? {} : { deviceId: { exact: this.deviceId } };
    const stream = this.name === 'screen' ? await devices.getDisplayMedia({ video: true })
      : this.name === 'microphone' ? await devices.getUserMedia({ audio: { ...device } })
      : await devices.getUserMedia({ video: { ...device, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } } });
    const track = stream.getTracks()[0];
    if (track === undefined) throw new Error('the device gives nothing.');
    return track;
  }
}

function explain(error: unknown): string {
  const name = error instanceof Error ? error.name : '';
  switch (name) {
    case 'NotAllowedError': return 'not allowed. Allow it in the browser\'s address bar and switch it on again.';
    case 'NotFoundError': return 'no such device was found.';
    case 'NotReadableError': return 'another program is using it.';
    case 'OverconstrainedError': return 'this device cannot do it.';
    default: return error instanceof Error ? error.message : String(error);
  }
}
