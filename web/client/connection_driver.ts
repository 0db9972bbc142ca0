// Runs a ConnectionMachine on a WebSocket and a timer: feeds it what happens, does what it says, and hands the rest of its
// outputs on, one after the other. The machine may be used by anyone who calls `pump()` afterwards, also from inside an output.
import { makeError } from './errors';
import type { ConnectionMachine, ConnectionOutput } from './machine';
import type { Platform, Socket } from './platform';

export class ConnectionDriver<Output extends { readonly kind: string }> {
  private socket: Socket | undefined;
  private cancelTimer: (() => void) | undefined;
  private pumping = false;
  private readonly afterwards: Array<() => void> = [];

  constructor(private readonly machine: ConnectionMachine<Output>, private readonly url: string,
              private readonly platform: Platform, private readonly onOutput: (output: Output) => void) {}

  pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    try {
      for (let output = this.machine.pollOutput(); output !== undefined; output = this.machine.pollOutput()) this.act(output);
    } finally {
      this.pumping = false;
    }
    this.schedule();
    for (let callback = this.afterwards.shift(); callback !== undefined; callback = this.afterwards.shift()) callback();
  }

  /** Calls back once all outputs that there are were acted on: now, unless this is called from inside one. */
  afterOutputs(callback: () => void): void {
    this.afterwards.push(callback);
    this.pump();
  }

  private act(output: ConnectionOutput | Output): void {
    if (isKind(output, 'openConnection')) this.open();
    else if (isKind(output, 'sendText')) this.socket?.send(output.text);
    else if (isKind(output, 'closeConnection')) this.close();
    else this.onOutput(output as Output);
  }

  private open(): void {
    this.close();
    let opened = false;
    try {
      this.socket = this.platform.openSocket(this.url, {
        opened: () => {
          opened = true;
          this.machine.connectionOpened(this.platform.now());
          this.pump();
        },
        message: (data) => {
          // A binary message means nothing in these protocols; the machine counts it as one that it cannot read.
          this.machine.handleMessage(typeof data === 'string' ? data : '', this.platform.now());
          this.pump();
        },
        closed: (orderly) => this.closed(opened, orderly),
      });
    } catch {
      this.machine.connectionFailed(makeError('invalid_argument', `${this.url} cannot be connected to.`), this.platform.now());
    }
  }

  private closed(opened: boolean, orderly: boolean): void {
    this.socket = undefined;
    const now = this.platform.now();
    if (!opened) this.machine.connectionFailed(makeError('disconnected', 'The server cannot be reached.'), now);
    else this.machine.connectionClosed(orderly ? undefined : makeError('disconnected', 'The connection to the server was lost.'), now);
    this.pump();
  }

  private close(): void {
    if (this.socket === undefined) return;
    this.socket.close();
    this.socket = undefined;
  }

  private schedule(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    const at = this.machine.nextTimeout();
    if (at === Infinity) return;
    this.cancelTimer = this.platform.schedule(() => {
      this.machine.handleTimeout(this.platform.now());
      this.pump();
    }, Math.max(0, Math.ceil(at - this.platform.now())));
  }
}

const isKind = <Kind extends ConnectionOutput['kind']>(
  output: { readonly kind: string }, kind: Kind): output is Extract<ConnectionOutput, { kind: Kind }> => output.kind === kind;
