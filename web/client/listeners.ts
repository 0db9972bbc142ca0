// The functions that want to hear of one event. One that throws is reported and keeps nobody else from hearing.

export class Listeners<Arguments extends unknown[]> {
  private readonly functions = new Set<(...args: Arguments) => void>();

  /** Gives what removes the listener again. */
  add(listener: (...args: Arguments) => void): () => void {
    this.functions.add(listener);
    return () => this.functions.delete(listener);
  }

  emit(...args: Arguments): void {
    for (const listener of [...this.functions]) {
      try {
        listener(...args);
      } catch (error) {
        console.error('A listener of the session threw:', error);
      }
    }
  }
}
