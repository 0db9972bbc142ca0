// The session's recordings, newest first, each with players for its tracks. A refresh leaves an entry that did not change
// alone, so that it never stops a player. The tracks of a recording that runs have no player: their files still grow, and a
// browser that loads one keeps its beginning for the complete file.
import { listRecordings, recordingFileUrl, type RecordedTrack, type Recording, type SessionAddress } from '@amphi/client';
import { make, makeButton, setText } from './dom';
import { formatDuration, formatMoment } from './format';

export class RecordingsList {
  readonly element: HTMLElement;
  private readonly list = make('ol', { class: 'recordings', testId: 'recordings-list' });
  private readonly notice = make('p', { class: 'quiet', attributes: { role: 'status' } });
  private readonly entries = new Map<string, { readonly text: string; readonly element: HTMLElement }>();
  private refreshes = 0;

  /** `mayRead`: the token grants `recordings`, or what implies it. */
  constructor(private readonly address: SessionAddress, private readonly token: string, private readonly mayRead: boolean) {
    this.element = make('section', { class: 'panel wide', attributes: { 'aria-label': 'Recordings' } },
      make('div', { class: 'row' }, make('h2', {}, 'Recordings'),
        makeButton('Refresh', () => void this.refresh(), { testId: 'recordings-refresh' })),
      this.notice, this.list);
  }

  async refresh(): Promise<void> {
    if (!this.mayRead) return setText(this.notice, 'Your access token does not grant reading recordings.');
    const refresh = this.refreshes += 1;
    try {
      const recordings = await listRecordings(this.address, this.token);
      if (refresh !== this.refreshes) return;
      this.show(recordings);
      setText(this.notice, recordings.length === 0 ? 'Nothing was recorded yet.' : '');
    } catch (error) {
      if (refresh === this.refreshes) setText(this.notice, error instanceof Error ? error.message : String(error));
    }
  }

  private show(recordings: readonly Recording[]): void {
    const present = new Set(recordings.map(({ id }) => id));
    for (const [id, { element }] of this.entries) {
      if (present.has(id)) continue;
      element.remove();
      this.entries.delete(id);
    }
    recordings.forEach((recording, index) => {
      const text = JSON.stringify(recording);
      const former = this.entries.get(recording.id);
      if (former?.text !== text) {
        const wasOpen = former?.element.querySelector('details')?.open ?? (index === 0 && this.entries.size === 0);
        const element = this.makeEntry(recording, wasOpen);
        if (former === undefined) this.list.append(element);
        else former.element.replaceWith(element);
        this.entries.set(recording.id, { text, element });
      }
      const { element } = this.entries.get(recording.id) ?? {};
      if (element !== undefined && this.list.children[index] !== element) this.list.insertBefore(element, this.list.children[index] ?? null);
    });
  }

  private makeEntry(recording: Recording, open: boolean): HTMLElement {
    const facts = [
      recording.durationMs === undefined ? '' : formatDuration(recording.durationMs),
      recording.requestedBy === undefined || recording.requestedBy === '' ? '' : `asked for by ${recording.requestedBy}`,
      recording.state ?? '',
      `${recording.tracks.length} ${recording.tracks.length === 1 ? 'track' : 'tracks'}`,
    ].filter((fact) => fact !== '');
    const tracks = make('ul', { class: 'tracks' });
    const details = make('details', {}, make('summary', {},
      make('strong', {}, formatMoment(recording.startedAt) || recording.id), ` ${facts.join(' · ')}`), tracks);
    const fill = (): void => {
      if (details.open && tracks.childElementCount === 0) tracks.append(...recording.tracks.map((track) => this.makeTrack(recording, track)));
    };
    details.addEventListener('toggle', fill);
    details.open = open;
    fill();
    const element = make('li', { testId: 'recording' }, details);
    element.dataset['recording'] = recording.id;
    return element;
  }

  private makeTrack(recording: Recording, track: RecordedTrack): HTMLElement {
    const name = [track.participantIdentity, track.label].filter((part) => part !== undefined && part !== '').join(' · ') || track.path;
    const facts = [
      track.codec, !track.width ? '' : `${track.width} × ${track.height ?? '?'}`,
      track.durationMs === undefined ? '' : formatDuration(track.durationMs),
      track.frames === undefined ? '' : `${track.frames} frames`, track.path,
    ].filter((fact) => fact !== '');
    const element = make('li', { testId: 'recorded-track' }, make('strong', {}, name), make('span', { class: 'quiet' }, facts.join(' · ')));
    if (recording.state !== 'recording') element.prepend(this.makePlayer(recording.id, track, name));
    element.dataset['kind'] = track.kind;
    element.dataset['codec'] = track.codec;
    element.dataset['offsetMs'] = String(track.offsetMs ?? 0);
    element.dataset['identity'] = track.participantIdentity ?? '';
    return element;
  }

  private makePlayer(recordingId: string, track: RecordedTrack, name: string): HTMLMediaElement {
    const player = make(track.kind, { attributes: { controls: '', preload: 'metadata', playsinline: '', 'aria-label': name } });
    player.src = recordingFileUrl(this.address, recordingId, track.path, this.token);
    return player;
  }
}
