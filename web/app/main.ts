// The page's entry: which session, with which token; without them, says what is missing.
import { parseSessionAddress } from '@amphi/client';
import { make } from './dom';
import { readLink } from './link';
import { fetchPageOptions } from './page_options';
import { SessionPage } from './session_page';
import './style.css';

function show(title: string, text: string): HTMLElement {
  return make('div', { class: 'page' }, make('header', {}, make('h1', {}, title)), make('p', { testId: 'no-session' }, text));
}

function open(): HTMLElement {
  const address = parseSessionAddress(location.href);
  const link = readLink(location.href);
  if (address === undefined) return show('Amphi', 'Open the link of a session. It looks like https://HOST/s/SESSION#token=…');
  if (link.token === '') return show(address.sessionId, 'This link has no access token, so it cannot be joined. Ask for the whole link, with what comes after the #.');
  const page = new SessionPage(link, address);
  void fetchPageOptions().then(({ allowAutopublish }) => page.start(allowAutopublish));
  return page.element;
}

document.getElementById('page')?.replaceChildren(open());
// Another token in the same address is another link; without this the browser would only scroll.
window.addEventListener('hashchange', () => location.reload());
