// The schemas in protocol/, their examples and our guards agree about every message.
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import type { Check } from './guards';
import { listFiles, readJson } from './protocol_files_for_tests';
import { parseServices, servicesGuards } from './services_messages';
import { parseSignalling, signallingGuards } from './signalling_messages';

interface Examples { valid: unknown[]; invalid: unknown[] }

const protocols = [
  { folder: 'services', parse: parseServices, guards: servicesGuards as Readonly<Record<string, Check>> },
  { folder: 'signalling', parse: parseSignalling, guards: signallingGuards as Readonly<Record<string, Check>> },
];

describe('rest', () => {
  test.each(listFiles('rest', '.schema.json').map((file) => file.replace('.schema.json', '')))('%s: schema and examples agree', (name) => {
    const validate = new Ajv2020({ allErrors: true }).compile(readJson(`rest/${name}.schema.json`) as object);
    const examples = readJson(`rest/${name}.examples.json`) as Examples;
    expect(examples.valid.length * examples.invalid.length).toBeGreaterThan(0);
    for (const body of examples.valid) expect(validate(body), JSON.stringify(validate.errors)).toBe(true);
    for (const body of examples.invalid) expect(validate(body), JSON.stringify(body)).toBe(false);
  });
});

for (const { folder, parse, guards } of protocols) {
  describe(folder, () => {
    const names = listFiles(folder, '.schema.json').map((file) => file.replace('.schema.json', ''));

    test('every message that we understand has a schema', () => {
      expect(names).toEqual(expect.arrayContaining(Object.keys(guards)));
    });

    test.each(names)('%s: schema and examples agree', (name) => {
      const validate = new Ajv2020({ allErrors: true }).compile(readJson(`${folder}/${name}.schema.json`) as object);
      const examples = readJson(`${folder}/${name}.examples.json`) as Examples;
      for (const message of examples.valid) expect(validate(message), JSON.stringify(message)).toBe(true);
      for (const message of examples.invalid) expect(validate(message), JSON.stringify(message)).toBe(false);
    });

    test.each(Object.keys(guards))('%s: guard and examples agree', (name) => {
      const examples = readJson(`${folder}/${name}.examples.json`) as Examples;
      for (const message of examples.valid) {
        expect(parse(JSON.stringify(message)), JSON.stringify(message)).toEqual({ kind: 'message', message });
      }
      for (const message of examples.invalid) {
        expect(parse(JSON.stringify(message)).kind, JSON.stringify(message)).not.toBe('message');
      }
    });

    test.each(Object.keys(guards))('%s: cut off or with a field replaced, it is refused or still fits its schema', (name) => {
      const validate = new Ajv2020().compile(readJson(`${folder}/${name}.schema.json`) as object);
      for (const message of (readJson(`${folder}/${name}.examples.json`) as Examples).valid as object[]) {
        const text = JSON.stringify(message);
        for (let length = 0; length < text.length; length += 1) expect(parse(text.slice(0, length)).kind).toBe('malformed');
        for (const field of Object.keys(message)) {
          for (const value of [null, -1, 1.5, '', 'x'.repeat(300_000), [], {}, true, 2 ** 53]) {
            const changed = { ...message, [field]: value };
            const parsed = parse(JSON.stringify(changed));
            if (parsed.kind === 'message') expect(validate(changed), JSON.stringify(changed).slice(0, 300)).toBe(true);
          }
        }
      }
    });

    test('text that is no message is malformed, and a type of tomorrow is unknown', () => {
      for (const text of ['', '{', '[]', 'null', '7', '"ping"', '{"type":7}', '{}']) expect(parse(text).kind).toBe('malformed');
      for (const type of ['tomorrow', 'constructor', '__proto__', 'toString']) {
        expect(parse(JSON.stringify({ type })).kind).toBe('unknown_type');
      }
    });
  });
}
