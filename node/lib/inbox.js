'use strict';

const abi = require('./abi.js');
const runtime = require('./runtime.js');
const { Feed } = require('./feed.js');

/**
 * The private messages of an agent. The library's inbox is opened by the first reader: until
 * then messages wait there, within its bounds, and hold their senders back.
 *
 * Credit counts messages, and a message may be 16 MiB: a sender that grows its messages under a
 * reader that just stopped could fill the heap with what credit is left. Credit cannot be taken
 * back, but an inbox can be closed and opened again without losing anything, so that is what
 * happens beyond LIMIT_BYTES: the rest waits in the library until somebody reads here.
 */
const LIMIT_BYTES = 32 << 20;

class Inbox {
  topic = undefined;
  core;
  feed;
  #handle = 0;
  #state = 'idle'; // -> 'open' -> (over the limit) 'closing' -> 'idle'
  #owed = 0; // credit to give when it is open again

  constructor(core, maxMessages) {
    this.core = core;
    this.feed = new Feed(core, (n) => this.#give(n), { maxMessages });
    this.#open();
  }

  get pending() {
    let pending = this.feed.buffered;
    if (this.#state === 'open') pending += runtime.callNow(this.#handle, abi.X0X_M_INBOX_INFO)[0];
    return pending;
  }

  #give(n) {
    if (this.#state === 'open') {
      this.core.addon.creditAdd(this.#handle, n);
      return;
    }
    this.#owed += n;
    if (this.#state === 'idle') this.#reopen();
  }

  #open() {
    this.#handle = runtime.check(this.core.addon.inboxOpen(this.core.handle, abi.X0X_CREDIT_NONE), 'Failed to receive');
    runtime.feeds.set(this.#handle, this);
    this.#state = 'open';
  }

  #reopen() {
    try {
      this.#open();
    } catch (error) {
      this.feed.end(error);
      return;
    }
    if (this.#owed > 0) this.core.addon.creditAdd(this.#handle, this.#owed);
    this.#owed = 0;
  }

  // ---- written by the dispatcher

  push(message) {
    this.feed.push(message);
    if (this.#state === 'open' && this.feed.bytes > LIMIT_BYTES && this.feed.outstanding > 0) {
      this.#state = 'closing';
      this.feed.outstanding = 0;
      this.core.addon.handleClose(this.#handle);
    }
  }

  lag(lag) {
    this.feed.lag(lag);
  }

  flush() {
    this.feed.flush();
  }

  /** The last record of the handle: the order of messages allows to open the next one now. */
  end(error) {
    if (this.#state !== 'closing' || this.core.isClosing) {
      this.#state = 'closing';
      this.feed.end(error);
      return;
    }
    this.#state = 'idle';
    if (this.#owed > 0) this.#reopen();
  }
}

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

module.exports = { Inbox, DirectMessages };
