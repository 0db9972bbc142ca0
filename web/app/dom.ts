// Makes elements in one expression.

export interface Options {
  readonly class?: string;
  readonly testId?: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly onClick?: () => void;
}

export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag, options: Options = {}, ...children: readonly (Node | string)[]): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  if (options.class !== undefined) element.className = options.class;
  if (options.testId !== undefined) element.dataset['testid'] = options.testId;
  for (const [name, value] of Object.entries(options.attributes ?? {})) element.setAttribute(name, value);
  if (options.onClick !== undefined) element.addEventListener('click', options.onClick);
  element.append(...children);
  return element;
}

export const makeButton = (text: string, onClick: () => void, options: Options = {}): HTMLButtonElement => {
  const button = make('button', { ...options, onClick }, text);
  button.type = 'button';
  return button;
};

/** Sets the text only when it differs, so that a live region is read out only when something is new. */
export const setText = (element: Element, text: string): void => {
  if (element.textContent !== text) element.textContent = text;
};
