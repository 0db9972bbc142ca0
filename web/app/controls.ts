// The bar by which one joins, leaves, and shares camera, microphone and screen.
import { make, makeButton, setText } from './dom';
import type { SourceName } from './link';
import type { LocalSource } from './local_media';

export interface ControlActions {
  join(): void;
  leave(): void;
  /** Switches on what the link proposes. */
  share(): void;
}

export class Controls {
  readonly element = make('nav', { class: 'controls', attributes: { 'aria-label': 'Your feeds' } });
  private readonly join: HTMLButtonElement;
  private readonly leave: HTMLButtonElement;
  private readonly share: HTMLButtonElement;
  private readonly notice = make('p', { class: 'error', testId: 'notice', attributes: { role: 'alert' } });
  private readonly switches = new Map<SourceName, HTMLButtonElement>();
  private readonly choices = new Map<SourceName, HTMLSelectElement>();

  constructor(private readonly sources: readonly LocalSource[], actions: ControlActions) {
    this.join = makeButton('Join', () => actions.join(), { class: 'primary', testId: 'join' });
    this.leave = makeButton('Leave', () => actions.leave(), { class: 'danger', testId: 'leave' });
    this.share = makeButton('Share', () => actions.share(), { class: 'primary', testId: 'share' });
    this.element.append(this.join, this.leave, this.share);
    for (const source of sources) this.addSource(source);
    this.element.append(this.notice);
    const devices = navigator.mediaDevices as MediaDevices | undefined;
    devices?.addEventListener('devicechange', () => void this.listDevices());
    void this.listDevices();
  }

  /** `share`: what the button says that shares what the link proposes; empty: no button. */
  draw(inSession: boolean, mayPublish: boolean, ended: boolean, share: string, notice: string | undefined): void {
    this.join.hidden = inSession;
    this.leave.hidden = !inSession;
    setText(this.join, ended ? 'Join again' : 'Join');
    this.share.hidden = !mayPublish || !inSession || share === '';
    this.share.disabled = this.sources.some(({ working }) => working);
    setText(this.share, share);
    for (const source of this.sources) {
      const button = this.switches.get(source.name);
      if (button === undefined) continue;
      button.hidden = !mayPublish || (source.name === 'screen' && !inSession);
      button.disabled = source.working;
      button.setAttribute('aria-pressed', String(source.on));
      setText(button, `${source.label} ${source.on ? 'on' : 'off'}`);
    }
    if (notice !== undefined) setText(this.notice, notice);
    void this.listDevices();
  }

  private addSource(source: LocalSource): void {
    const button = makeButton('', () => (source.on ? source.stop() : void source.start()), { class: 'switch', testId: `${source.name}-toggle` });
    this.switches.set(source.name, button);
    this.element.append(button);
    if (source.name === 'screen') return;
    const choice = make('select', { testId: `${source.name}-device`, attributes: { 'aria-label': `Which ${source.label.toLowerCase()}` } });
    choice.hidden = true;
    choice.addEventListener('change', () => void source.useDevice(choice.value));
    this.choices.set(source.name, choice);
    this.element.append(choice);
  }

  /** Names are only told once a device was allowed; a choice of one is none. */
  private async listDevices(): Promise<void> {
    const devices = navigator.mediaDevices as MediaDevices | undefined;
    const all = await devices?.enumerateDevices().catch(() => []) ?? [];
    for (const source of this.sources) {
      const choice = this.choices.get(source.name);
      if (choice === undefined) continue;
      const kind = source.name === 'camera' ? 'videoinput' : 'audioinput';
      const named = all.filter((device) => device.kind === kind && device.deviceId !== '' && device.label !== '');
      choice.hidden = !source.on || named.length < 2;
      if (choice.hidden) continue;
      choice.replaceChildren(...named.map(({ deviceId, label }) => make('option', { attributes: { value: deviceId } }, label)));
      choice.value = source.device;
    }
  }
}
