// What the tests read from protocol/: the examples and schemas of the messages, and the scenarios.
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../protocol/', import.meta.url));

export const readJson = (path: string): unknown => JSON.parse(readFileSync(root + path, 'utf8'));
export const listFiles = (folder: string, ending: string): string[] =>
  readdirSync(root + folder).filter((name) => name.endsWith(ending)).sort();
