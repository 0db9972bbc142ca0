// The page of one session: joins, shows who is there and what they share, and keeps the parts of the page in step.
import { MediaServerSession, type AmphiError, type SessionAddress } from '@amphi/client';
import { Controls } from './controls';
import { make, setText } from './dom';
import { describeShare, peekIntoToken, type Link } from './link';
import { LocalSource } from './local_media';
import { RecordingPanel } from './recording_panel';
import { RecordingsList } from './recordings_list';
import { Tiles } from './tiles';
import { describeTrouble } from './trouble';

export class SessionPage {
  readonly element: HTMLElement;
  private readonly tiles = new Tiles();
  private readonly panel = new RecordingPanel();
  private readonly recordings: RecordingsList;
  private readonly controls: Controls;
  private readonly sources: readonly LocalSource[];
  private readonly state = make('span', { class: 'badge', testId: 'session-state', attributes: { role: 'status' } });
  private readonly services = make('span', { class: 'badge', testId: 'services-state', attributes: { role: 'status' } });
  private readonly people = make('ul', { class: 'people', testId: 'participants', attributes: { 'aria-label': 'In the session' } });
  private readonly ending = make('p', { class: 'ending', testId: 'ended', attributes: { role: 'alert' } });
  private readonly trouble = make('p', { class: 'ending', testId: 'trouble', attributes: { role: 'status' } });
  private session: MediaServerSession | undefined;
  /** Why the last attempt to join failed; undefined: joined since. */
  private reason: AmphiError | undefined;
  private readonly claimed: ReturnType<typeof peekIntoToken>;

  constructor(private readonly link: Link, address: SessionAddress) {
    this.claimed = peekIntoToken(link.token);
    this.sources = (['microphone', 'camera', 'screen'] as const).map(
      (name) => new LocalSource(name, () => this.liveSession(), (notice) => this.draw(notice)));
    this.controls = new Controls(this.sources, {
      join: () => this.join(), leave: () => this.session?.disconnect(), share: () => this.share(),
    });
    this.recordings = new RecordingsList(address, link.token,
      this.claimed.grants.some((grant) => ['recordings', 'record', 'admin'].includes(grant)));
    this.ending.hidden = true;
    this.element = make('div', { class: 'page' },
      make('header', {}, make('h1', {}, address.sessionId), this.state, this.services),
      make('main', {}, this.ending, this.trouble, this.tiles.element,
        make('aside', {}, this.panel.element,
          make('section', { class: 'panel', attributes: { 'aria-label': 'People' } }, make('h2', {}, 'People'), this.people))),
      this.controls.element, this.recordings.element);
    document.title = `${address.sessionId} · Amphi`;
    window.addEventListener('pagehide', () => this.session?.disconnect());
  }

  /** `autopublish`: the server allows a link to share devices without a click. */
  start(autopublish: boolean): void {
    this.draw();
    void this.recordings.refresh();
    if (this.link.publish === undefined) return;
    this.join();
    if (autopublish) this.share();
  }

  private share(): void {
    for (const source of this.sources) if (this.link.publish?.includes(source.name) === true) void source.start();
  }

  private liveSession(): MediaServerSession | undefined {
    return this.session?.connectionState === 'disconnected' ? undefined : this.session;
  }

  private join(): void {
    if (this.liveSession() !== undefined) return;
    this.ending.hidden = true;
    const session = MediaServerSession.create({ url: location.href, accessToken: this.link.token, videoCodec: this.link.codec });
    this.session = session;
    session.onFeedAdded((_session, feed) => this.tiles.add(feed));
    session.onFeedChanged((_session, feed) => this.tiles.change(feed));
    session.onFeedRemoved((_session, feed) => this.tiles.remove(feed));
    session.onConnectionStateChanged((_session, state) => {
      if (state === 'connected' || state === 'disconnected') this.reason = undefined;
      this.draw();
    });
    session.onReconnecting((_session, error) => {
      this.reason = error;
      this.draw();
    });
    session.onMediaUnreachable(() => this.draw());
    session.onMediaReachable(() => this.draw());
    session.onParticipantsChanged(() => this.draw());
    session.onSessionServicesConnected(() => this.draw());
    session.onSessionServicesDisconnected(() => this.draw());
    session.onDisconnected((_session, error) => this.onEnded(error));
    this.panel.follow(session, () => void this.recordings.refresh());
    for (const source of this.sources) source.publish();
    session.connect();
  }

  private onEnded(error: AmphiError | undefined): void {
    for (const source of this.sources) source.sessionEnded();
    setText(this.ending, explainEnd(error, this.session?.closingReason ?? ''));
    this.ending.hidden = false;
    this.draw();
    void this.recordings.refresh();
  }

  private draw(notice?: string): void {
    const { session } = this;
    const connection = session?.connectionState ?? 'idle';
    const inSession = connection !== 'idle' && connection !== 'disconnected';
    setText(this.state, stateTexts[connection]);
    this.state.dataset['state'] = connection;
    const servicesUp = session?.areSessionServicesConnected() ?? false;
    this.services.hidden = !inSession;
    setText(this.services, servicesUp ? 'Services connected' : 'Services not connected');
    this.services.dataset['state'] = servicesUp ? 'connected' : 'disconnected';
    const grants = session && session.grants.length > 0 ? session.grants : this.claimed.grants;
    const trouble = describeTrouble(connection, this.reason, session?.mediaError);
    this.trouble.hidden = trouble === '';
    setText(this.trouble, trouble);
    const on = this.sources.filter((source) => source.on).map(({ name }) => name);
    this.controls.draw(inSession, grants.includes('publish'), connection === 'disconnected', describeShare(this.link.publish, on), notice);
    for (const source of this.sources) if (source.name !== 'microphone') this.tiles.showOwn(source.name, source.label, source.track);
    const self = session?.identity || this.claimed.identity;
    const others = inSession ? session?.participants.map(({ identity }) => identity) ?? [] : [];
    this.people.replaceChildren(...[...(self === '' ? [] : [`${self} (you)`]), ...others].map((name) => make('li', {}, name)));
  }
}

const stateTexts = {
  idle: 'Not joined', connecting: 'Joining…', connected: 'Joined', reconnecting: 'Connection lost, reconnecting…', disconnected: 'Ended',
} as const;

/** What happened, and what one can do about it. */
export function explainEnd(error: AmphiError | undefined, reason: string): string {
  if (error === undefined) {
    return reason === '' ? 'You left the session.' : `The server ended the session: ${reason} You can join again when it is back.`;
  }
  const said = error.message || error.code;
  switch (error.code) {
    case 'unauthorized': return `Your link is not valid or has expired. Ask for a new one. (${said})`;
    case 'forbidden': return `Your link does not allow this. Ask for another one. (${said})`;
    case 'not_found': return `There is no such session any more. (${said})`;
    case 'limit_exceeded': return `The session is full, or asked too much of. Try again later. (${said})`;
    case 'disconnected':
    case 'timeout': return `The connection is lost. Check your network, then join again. (${said})`;
    default: return `The session ended with an error. Join again, and if that does not help, tell whoever runs the server. (${said})`;
  }
}
