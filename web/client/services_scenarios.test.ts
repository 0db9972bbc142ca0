// Runs protocol/scenarios/services against our machine: the same stories that the C++ machine is held to.
import { describe, expect, test } from 'vitest';
import { makeError, type ErrorCode } from './errors';
import type { ConnectionOutput } from './machine';
import { listFiles, readJson } from './protocol_files_for_tests';
import type { RecordingState } from './recording_state';
import { ServicesClient, totalRunningDurationMs, type ServicesOutput } from './services_client';

type Fields = Record<string, unknown>;
interface Step extends Fields { at?: number; do?: string; expect?: string }
interface Scenario { name: string; mayRecord?: boolean; token?: string; random?: number; steps: Step[] }
interface Stamped { at: number; output: ConnectionOutput | ServicesOutput }

class Runner {
  private readonly machine: ServicesClient;
  private readonly queue: Stamped[] = [];
  private readonly variables = new Map<string, unknown>();
  private now = 0;
  private pings = 0;

  constructor(scenario: Scenario) {
    this.machine = new ServicesClient({
      token: scenario.token ?? 'token-1', mayRecord: scenario.mayRecord ?? true, requestPrefix: 'req_scenario',
      random: () => scenario.random ?? 0.5,
    });
  }

  run(steps: readonly Step[]): void {
    steps.forEach((step, index) => {
      const where = `step ${index + 1}: ${JSON.stringify(step)}`;
      if (step.at !== undefined) this.moveTo(step.at);
      if (step.do !== undefined) {
        expect(this.queue, `unexpected before ${where}`).toEqual([]);
        this.perform(step, where);
        this.drain();
      } else {
        this.check(step, where);
      }
    });
    expect(this.queue, 'unexpected at the end').toEqual([]);
  }

  private moveTo(time: number): void {
    for (let deadline = this.machine.nextTimeout(); deadline <= time; deadline = this.machine.nextTimeout()) {
      this.now = Math.max(this.now, deadline);
      this.machine.handleTimeout(this.now);
      this.drain();
    }
    this.now = time;
  }

  private drain(): void {
    for (let output = this.machine.pollOutput(); output !== undefined; output = this.machine.pollOutput()) {
      if (output.kind === 'sendText' && (JSON.parse(output.text) as Fields)['type'] === 'ping') this.pings += 1;
      else this.queue.push({ at: this.now, output });
    }
  }

  private perform(step: Step, where: string): void {
    const { machine, now } = this;
    switch (step.do) {
      case 'sessionConnected': return machine.sessionConnected(step['participantId'] as string, now);
      case 'sessionClosed': return machine.sessionClosed();
      case 'wake':
        this.now = step['until'] as number;
        return machine.handleTimeout(this.now);
      case 'setToken': return machine.setToken(step['token'] as string);
      case 'connectionOpened': return machine.connectionOpened(now);
      case 'connectionFailed': return machine.connectionFailed(makeError('disconnected', 'refused'), now);
      case 'connectionClosed': {
        const code = step['error'] as ErrorCode | undefined;
        return machine.connectionClosed(code && makeError(code, 'lost'), now);
      }
      case 'receive': return machine.handleMessage(JSON.stringify(this.substitute(step['message'])), now);
      case 'receiveText': return machine.handleMessage(step['text'] as string, now);
      case 'requestRecording':
      case 'addMarker': {
        const result = step.do === 'addMarker'
          ? machine.addMarker(step['label'] as string, now) : machine.requestRecording(step['on'] as boolean, now);
        expect(result.ok ? 'ok' : result.error.code, where).toBe(step['result']);
        return;
      }
      default: throw new Error(`unknown input in ${where}`);
    }
  }

  private check(step: Step, where: string): void {
    switch (step.expect) {
      case 'nothing': return expect(this.queue, where).toEqual([]);
      case 'connected': return expect(this.machine.connected(), where).toBe(step['value']);
      case 'state': {
        const { at: _at, expect: _expect, ...wanted } = step;
        return this.matchState(this.machine.state(), (step['state'] as Fields | undefined) ?? wanted, where);
      }
      case 'pings':
        expect(this.pings, where).toBe(step['count']);
        this.pings = 0;
        return;
      case 'drops': return expect(this.machine.drops.unexpected, where).toBe(step['unexpected']);
      default: return this.checkOutput(step, where);
    }
  }

  private checkOutput(step: Step, where: string): void {
    const first = this.queue.shift();
    if (first === undefined) throw new Error(`nothing came for ${where}`);
    const { output } = first;
    expect(first.at, `${where} got ${JSON.stringify(output)}`).toBe(this.now);
    switch (step.expect) {
      case 'openConnection':
      case 'closeConnection': return expect(output.kind, where).toBe(step.expect);
      case 'send':
        if (output.kind !== 'sendText') throw new Error(`${where} got ${JSON.stringify(output)}`);
        return this.match(JSON.parse(output.text), step['message'], where);
      case 'event':
        expect(output.kind, where).toBe(step['event']);
        if (output.kind === 'servicesDisconnected' && step['error'] !== undefined) {
          expect(output.error?.code ?? null, where).toBe(step['error']);
        }
        if (output.kind === 'recordingStateChanged' && step['state'] !== undefined) {
          this.matchState(output.state, step['state'] as Fields, where);
        }
        if (output.kind === 'markerAdded') this.match(output.marker, step['marker'], where);
        return;
      default: throw new Error(`unknown check in ${where}`);
    }
  }

  private matchState(state: RecordingState, wanted: Fields, where: string): void {
    const { duration: _duration, error, warning, warnings, feeds, ...plain } = state;
    this.match({ ...plain, error: error?.code ?? null, warning: warning?.code ?? null, warnings: warnings.map((each) => each.code),
      feeds: feeds.map((feed) => `${feed.feedId}:${feed.recorded ? 'recorded' : feed.reason}`), totalMs: totalRunningDurationMs(state, this.now) }, wanted, where);
  }

  private match(actual: unknown, wanted: unknown, where: string): void {
    if (typeof wanted === 'string' && wanted.startsWith('$')) {
      if (!this.variables.has(wanted)) {
        expect([...this.variables.values()], `${where}: ${wanted} is not new`).not.toContainEqual(actual);
        this.variables.set(wanted, actual);
      }
      expect(actual, where).toEqual(this.variables.get(wanted));
    } else if (typeof wanted === 'object' && wanted !== null && !Array.isArray(wanted)) {
      for (const [name, value] of Object.entries(wanted)) this.match((actual as Fields)[name], value, `${where} .${name}`);
    } else {
      expect(actual, where).toEqual(wanted);
    }
  }

  private substitute(value: unknown): unknown {
    if (typeof value === 'string') return this.variables.has(value) ? this.variables.get(value) : value;
    if (Array.isArray(value)) return value.map((entry) => this.substitute(entry));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, this.substitute(entry)]));
  }
}

const files = listFiles('scenarios/services', '.json');

test('there are scenarios', () => expect(files).not.toEqual([]));

for (const file of files) {
  describe(file, () => {
    for (const scenario of readJson(`scenarios/services/${file}`) as Scenario[]) {
      test(scenario.name, () => new Runner(scenario).run(scenario.steps));
    }
  });
}
