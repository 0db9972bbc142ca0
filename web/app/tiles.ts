// Everybody's feeds, and one's own picture: a tile for each.
import type { IncomingFeed } from '@amphi/client';
import { make, makeButton } from './dom';

/** What a tile says in place of a picture. */
export const undecodableText = ({ codec, error }: Pick<IncomingFeed, 'codec' | 'error'>): string =>
  `This browser cannot decode ${codec}.${error === undefined ? '' : ` (${error.message})`}`;

export class Tiles {
  readonly element = make('section', { class: 'feeds', attributes: { 'aria-label': 'Feeds' } });
  private readonly pictures = make('div', { class: 'tiles' });
  private readonly sounds = make('div', { class: 'sounds' });
  private readonly empty = make('p', { class: 'quiet' }, 'Nobody is sharing anything yet.');
  private readonly unlock = makeButton('Turn sound on', () => this.playAll(), { class: 'primary' });
  private readonly tiles = new Map<string, HTMLElement>();

  constructor() {
    this.unlock.hidden = true;
    this.element.append(this.unlock, this.empty, this.pictures, this.sounds);
  }

  add(feed: IncomingFeed): void {
    if (feed.track === undefined) return this.placeUndecodable(feed);
    const media = make(feed.kind, { attributes: { autoplay: '', playsinline: '' } });
    if (feed.kind === 'video') media.muted = true;
    media.srcObject = new MediaStream([feed.track]);
    media.setAttribute('aria-label', `${feed.label} of ${feed.identity}`);
    this.placeFeed(feed, this.makeTile(media, feed.identity, feed.label, 'feed-tile'));
    void media.play().catch((error: unknown) => {
      if (error instanceof Error && error.name === 'NotAllowedError') this.unlock.hidden = false;
    });
  }

  private placeUndecodable(feed: IncomingFeed): void {
    const notice = make('p', { class: 'undecodable', attributes: { role: 'status' } }, undecodableText(feed));
    const caption = make('figcaption', {}, make('strong', {}, feed.identity), ` ${feed.label}`);
    this.placeFeed(feed, make('figure', { class: 'tile', testId: 'feed-tile' }, notice, caption));
  }

  private placeFeed(feed: IncomingFeed, tile: HTMLElement): void {
    tile.dataset['kind'] = feed.kind;
    tile.dataset['feed'] = feed.id;
    tile.dataset['identity'] = feed.identity;
    this.place(feed.id, tile);
    this.change(feed);
  }

  /** Shows whether an administrator has muted the feed. */
  change(feed: IncomingFeed): void {
    const tile = this.tiles.get(feed.id);
    if (tile === undefined) return;
    tile.dataset['muted'] = String(feed.muted);
    tile.querySelector('.muted-notice')?.remove();
    if (feed.muted) tile.querySelector('figcaption')?.append(make('span', { class: 'muted-notice' }, ' · muted by an administrator'));
  }

  remove(feed: IncomingFeed): void {
    this.drop(feed.id);
  }

  /** One's own camera or screen; no track: it is off. */
  showOwn(name: string, label: string, track: MediaStreamTrack | undefined): void {
    const id = `own:${name}`;
    const shown = this.tiles.get(id)?.querySelector('video')?.srcObject as MediaStream | null | undefined;
    if (track !== undefined && shown?.getTracks()[0] === track) return;
    this.drop(id);
    if (track === undefined) return;
    const video = make('video', { class: name === 'camera' ? 'mirrored' : '', attributes: { autoplay: '', playsinline: '' } });
    video.muted = true;
    video.srcObject = new MediaStream([track]);
    video.setAttribute('aria-label', `Your own ${label.toLowerCase()}`);
    this.place(id, this.makeTile(video, 'You', label, 'own-tile'));
  }

  private makeTile(media: HTMLMediaElement, who: string, what: string, testId: string): HTMLElement {
    const isVideo = media instanceof HTMLVideoElement;
    const caption = make('figcaption', {}, make('strong', {}, who), ` ${what}`);
    return make('figure', { class: isVideo ? 'tile' : 'tile sound', testId }, media, caption);
  }

  private place(id: string, tile: HTMLElement): void {
    this.drop(id);
    this.tiles.set(id, tile);
    (tile.classList.contains('sound') ? this.sounds : this.pictures).append(tile);
    this.empty.hidden = true;
  }

  private drop(id: string): void {
    const tile = this.tiles.get(id);
    if (tile === undefined) return;
    for (const media of tile.querySelectorAll<HTMLMediaElement>('video, audio')) media.srcObject = null;
    tile.remove();
    this.tiles.delete(id);
    this.empty.hidden = this.tiles.size > 0;
  }

  private playAll(): void {
    this.unlock.hidden = true;
    for (const media of this.element.querySelectorAll<HTMLMediaElement>('video, audio')) void media.play().catch(() => undefined);
  }
}
