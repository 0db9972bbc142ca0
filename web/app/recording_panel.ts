// The recording's state, shown as it is known: confirmed, asked for, unknown. `describe` decides, the panel draws.
import type { AmphiError, MediaServerSession, SessionRecordingState } from '@amphi/client';
import { make, makeButton, setText } from './dom';
import { formatClock, formatDuration } from './format';

export interface Situation {
  /** In the session, resuming included. */
  readonly joined: boolean;
  readonly mayRecord: boolean;
  readonly servicesConnected: boolean;
  /** When the services were lost; never connected yet: undefined. */
  readonly servicesLostAt: Date | undefined;
  readonly state: Pick<SessionRecordingState,
    'on' | 'updatePending' | 'changedBy' | 'error' | 'revision' | 'waitingForMedia' | 'preRollMs' | 'warnings' | 'warningsNotListed' | 'feeds' | 'feedsNotListed'>;
  /** What this page asked for last. */
  readonly asked: boolean;
  /** Why the last click was refused at once. */
  readonly refusal: AmphiError | undefined;
}

export interface FeedLine { readonly text: string; readonly lost: boolean }
export type Tone = 'off' | 'pending' | 'on' | 'unknown';
export interface Shown {
  readonly tone: Tone;
  readonly text: string;
  readonly detail: string;
  readonly error: string;
  /** A line each. */
  readonly warning: string;
  /** What is recorded, a line for each feed. */
  readonly feeds: readonly FeedLine[];
  /** What a recording would begin with; empty: with the moment it is asked for. */
  readonly preRoll: string;
  readonly button: string;
  readonly request: boolean;
  /** Why the button cannot be pressed; empty: it can. */
  readonly disabled: string;
}

export function describe(situation: Situation): Shown {
  const { state, asked } = situation;
  const known = situation.joined && situation.servicesConnected;
  const error = situation.refusal ?? state.error;
  return {
    ...headline(situation, known),
    detail: state.revision > 0 && state.changedBy !== '' ? `${state.on ? 'Started' : 'Last changed'} by ${state.changedBy}` : '',
    error: error === undefined ? '' : error.message || error.code,
    warning: warningLines(state).join('\n'),
    feeds: known && state.on ? feedLines(state) : [],
    preRoll: known && state.preRollMs > 0 && !state.on ? `The last ${Math.round(state.preRollMs / 1000)} s are kept: a recording begins with them.` : '',
    button: state.updatePending ? (asked ? 'Start recording' : 'Stop recording') : state.on ? 'Stop recording' : 'Start recording',
    request: !state.on,
    disabled: whyDisabled(situation),
  };
}

function warningLines({ warnings, warningsNotListed }: Situation['state']): string[] {
  const lines = warnings.map((warning) => warning.message || warning.code);
  return warningsNotListed > 0 ? [...lines, `${warningsNotListed} further warnings`] : lines;
}

function feedLines({ feeds, feedsNotListed }: Situation['state']): FeedLine[] {
  const lines = feeds.map((feed) => {
    const name = feed.label === '' ? feed.kind : feed.label;
    const nothingArrives = feed.reason === 'waiting_for_media' || feed.reason === 'silent';
    return { text: feed.recorded ? `${name}: recorded` : feed.message || `${name}: not recorded (${feed.reason})`, lost: !feed.recorded && !nothingArrives };
  });
  return feedsNotListed > 0 ? [...lines, { text: `${feedsNotListed} further feeds`, lost: false }] : lines;
}

function headline({ joined, state, asked, servicesLostAt }: Situation, known: boolean): Pick<Shown, 'tone' | 'text'> {
  if (!joined) return { tone: 'unknown', text: 'Join the session to see the recording.' };
  const last = state.revision === 0 ? '' : state.on ? ' It was recording.' : ' It was off.';
  if (!known && servicesLostAt !== undefined) return { tone: 'unknown', text: `State unknown since ${formatClock(servicesLostAt)}.${last}` };
  if (!known) return { tone: 'unknown', text: 'Waiting for the recording service…' };
  if (state.updatePending) {
    const asking = asked ? 'Asking to start…' : 'Stopping…';
    return { tone: 'pending', text: state.on === asked ? `${state.on ? 'Recording' : 'Off'}. ${asking}` : asking };
  }
  if (state.on && state.waitingForMedia) return { tone: 'pending', text: 'Recording: waiting for media…' };
  return state.on ? { tone: 'on', text: 'Recording' } : { tone: 'off', text: 'Off' };
}

function whyDisabled({ joined, mayRecord, servicesConnected, state }: Situation): string {
  if (!joined) return 'You are not in the session.';
  if (!mayRecord) return 'Your link does not allow you to record.';
  if (!servicesConnected) return 'The recording service is not connected.';
  return state.updatePending ? 'The server has not answered yet.' : '';
}

export class RecordingPanel {
  readonly element: HTMLElement;
  private readonly dot = make('span', { class: 'dot', attributes: { 'aria-hidden': 'true' } });
  private readonly text = make('span', { testId: 'record-state', attributes: { role: 'status' } });
  private readonly duration = make('output', { class: 'duration', testId: 'record-duration', attributes: { role: 'timer', 'aria-label': 'Total recorded' } });
  private readonly detail = make('p', { class: 'quiet', testId: 'record-changed-by' });
  private readonly error = make('p', { class: 'error', testId: 'record-error', attributes: { role: 'alert' } });
  private readonly warning = make('p', { class: 'warning', testId: 'record-warning', attributes: { role: 'status' } });
  private readonly feeds = make('ul', { class: 'recorded-feeds', testId: 'record-feeds', attributes: { 'aria-label': 'What is recorded' } });
  private readonly preRoll = make('p', { class: 'quiet', testId: 'record-pre-roll' });
  private readonly label = make('input', { testId: 'marker-label', attributes: { type: 'text', maxlength: '200', 'aria-label': 'Name of the marker', placeholder: 'What happens now' } }) as HTMLInputElement;
  private readonly markers = make('ol', { class: 'markers', testId: 'markers', attributes: { 'aria-label': 'Markers of this recording' } });
  private readonly marking = make('form', { class: 'marking' }, this.label, make('button', { testId: 'marker-add', attributes: { type: 'submit' } }, 'Mark'));
  private marked = '';
  private readonly why = make('p', { class: 'quiet', attributes: { id: 'record-why' } });
  private readonly button = makeButton('Start recording', () => this.toggle(), { testId: 'record-toggle', attributes: { 'aria-describedby': 'record-why' } });
  private session: MediaServerSession | undefined;
  private servicesLostAt: Date | undefined;
  private asked = false;
  private refusal: AmphiError | undefined;

  constructor() {
    this.element = make('section', { class: 'panel', attributes: { 'aria-label': 'Recording' } },
      make('h2', {}, 'Recording'), make('p', { class: 'state' }, this.dot, this.text), this.duration, this.detail, this.error,
      this.warning, this.feeds, this.button, this.why, this.preRoll, this.marking, this.markers);
    this.marking.addEventListener('submit', (event) => {
      event.preventDefault();
      this.mark();
    });
    this.draw();
    setInterval(() => this.drawDuration(), 100);
  }

  follow(session: MediaServerSession, onStopped: () => void): void {
    this.session = session;
    this.servicesLostAt = undefined;
    this.refusal = undefined;
    let wasOn = false;
    session.onSessionServicesConnected(() => {
      this.servicesLostAt = undefined;
      this.draw();
    });
    session.onSessionServicesDisconnected(() => {
      this.servicesLostAt = new Date();
      this.draw();
    });
    session.onRecordingStateChanged((_session, state) => {
      this.refusal = undefined;
      this.draw();
      if (wasOn && !state.on) onStopped();
      wasOn = state.on;
    });
    session.onConnectionStateChanged(() => this.draw());
    session.onRecordingMarkerAdded((_session, marker) => {
      if (marker.recordingId !== this.marked) this.markers.replaceChildren();
      this.marked = marker.recordingId;
      this.markers.append(make('li', {}, `${formatDuration(marker.atMs)}  ${marker.label}${marker.by === '' ? '' : ` (${marker.by})`}`));
    });
  }

  private mark(): void {
    const label = this.label.value.trim() || 'Marker';
    const result = this.session?.addRecordingMarker(label);
    if (result === undefined) return;
    this.refusal = result.ok ? undefined : result.error;
    if (result.ok) this.label.value = '';
    this.draw();
  }

  private toggle(): void {
    if (this.session === undefined || this.button.getAttribute('aria-disabled') === 'true') return;
    this.asked = !this.session.sessionRecordingState().on;
    const result = this.session.requestSessionRecording(this.asked);
    this.refusal = result.ok ? undefined : result.error;
    this.draw();
  }

  private draw(): void {
    const state = this.session?.sessionRecordingState();
    const connection = this.session?.connectionState;
    const shown = describe({
      joined: connection === 'connected' || connection === 'reconnecting',
      mayRecord: this.session?.grants.includes('record') ?? false,
      servicesConnected: this.session?.areSessionServicesConnected() ?? false,
      servicesLostAt: this.servicesLostAt,
      state: state ?? {
        on: false, updatePending: false, changedBy: '', error: undefined, revision: 0, waitingForMedia: false, preRollMs: 0,
        warnings: [], warningsNotListed: 0, feeds: [], feedsNotListed: 0,
      },
      asked: this.asked, refusal: this.refusal,
    });
    this.element.dataset['tone'] = shown.tone;
    setText(this.text, shown.text);
    setText(this.detail, shown.detail);
    setText(this.error, shown.error);
    setText(this.warning, shown.warning);
    this.drawFeeds(shown.feeds);
    setText(this.preRoll, shown.preRoll);
    this.marking.hidden = !(state?.on === true && shown.disabled === '');
    this.markers.hidden = state?.on !== true;
    setText(this.why, shown.disabled);
    setText(this.button, shown.button);
    this.button.classList.toggle('danger', !shown.request);
    // Not `disabled`: a button that keeps the focus can say why it does nothing.
    this.button.setAttribute('aria-disabled', String(shown.disabled !== ''));
    this.drawDuration();
  }

  private drawFeeds(feeds: readonly FeedLine[]): void {
    const text = JSON.stringify(feeds);
    if (this.feeds.dataset['shown'] === text) return;
    this.feeds.dataset['shown'] = text;
    this.feeds.replaceChildren(...feeds.map((feed) => make('li', feed.lost ? { class: 'warning' } : {}, feed.text)));
  }

  private drawDuration(): void {
    setText(this.duration, formatDuration(this.session?.sessionRecordingState().totalRunningDurationMs() ?? 0));
  }
}
