'use strict';

/**
 * Iterates over an agent's private messages. Several iterators and recvDirect() take turns:
 * each message goes to one of them. Leaving a loop ends that iterator alone; what it did not
 * take waits for the next reader.
 */
class DirectMessages {
  #agent; // an iterator in use keeps its agent
  #feed;
  #stop = new AbortController();
  #returned = false;

  constructor(agent, feed, signal) {
    this.#agent = agent;
    this.#feed = feed;
    if (signal?.aborted) this.#stop.abort(signal.reason);
    else signal?.addEventListener('abort', () => this.#stop.abort(signal.reason), { once: true, signal: this.#stop.signal });
  }

  next() {
    if (this.#returned) return Promise.resolve({ value: undefined, done: true });
    if (this.#feed.ready && !this.#stop.signal.aborted) return this.#feed.nextResult();
    return this.#wait();
  }

  async #wait() {
    try {
      return await this.#feed.nextResult({ signal: this.#stop.signal });
    } catch (error) {
      if (this.#returned) return { value: undefined, done: true };
      throw error;
    }
  }

  async return(value = undefined) {
    this.#returned = true;
    this.#stop.abort();
    this.#agent = undefined;
    return { value, done: true };
  }

  async throw(error) {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async [Symbol.asyncDispose]() {
    await this.return();
  }
}

module.exports = { DirectMessages };
