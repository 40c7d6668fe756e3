'use strict';

const { X0XError, LaggedError, aborted } = require('./errors.js');
const { countOf, optionsOf, signalOf, waitOf } = require('./check.js');
const { X0X_E_TIMEOUT } = require('./abi.js');

/**
 * The read side of a subscription or inbox.
 *
 * Messages wait in the bounded queue of the library until somebody here asks: a feed gives
 * credit for what its readers want and some ahead, so that a program that does not read holds
 * its senders back (inbox) or loses by the documented policy (subscription), and does not fill
 * the JavaScript heap. "Ahead" matters because every call into the library waits for one of
 * its processors, tens of microseconds on a busy machine: it starts at nothing, doubles each
 * time readers have taken half of it, and ends at what the queue of the library may hold, or
 * AHEAD_BYTES at the recent mean size. Messages that grow beyond that mean are dealt with by Inbox (which closes
 * its window) and by `maxBytes` here (which drops, as the library would).
 */
/** What waits in the library unless an option says otherwise. */
const AHEAD = 1024;
const AHEAD_BYTES = 4 << 20;
/** Most that one batch read (drain, recvDirectMany) asks for at a time. */
const BATCH = 1024;

class Feed {
  #items = [];
  #head = 0;
  #waiters = [];
  #ahead = 1;
  #meanBytes = 0;
  #ended = false;
  #error;
  #give; // (n) => void: gives the library credit for n more
  #core; // kept alive, with the event loop, while a reader waits
  #throwLags;
  #maxBytes;
  #maxAhead;
  #dropNewest;
  /** Messages that the library may still send on the credit it has. */
  outstanding = 0;
  /** Of the payloads that are buffered here. */
  bytes = 0;
  lagged = 0;
  onEnd = undefined;

  /** `give` is undefined for a feed that is never read: its records go to a callback. */
  constructor(core, give, { throwLags = false, maxBytes = Infinity, maxMessages = AHEAD, dropNewest = false } = {}) {
    this.#core = core;
    this.#give = give;
    this.#throwLags = throwLags;
    this.#maxBytes = maxBytes;
    this.#maxAhead = Math.min(AHEAD, maxMessages);
    this.#dropNewest = dropNewest;
  }

  /** Messages that have come this far and are not read. */
  get buffered() {
    let n = 0;
    for (let i = this.#head; i < this.#items.length; i++) if (!(this.#items[i] instanceof Lag)) n++;
    return n;
  }

  /** A reader would not wait. */
  get ready() {
    return this.#head < this.#items.length;
  }

  get ended() {
    return this.#ended;
  }

  // ---- written by the dispatcher; flush() follows each batch

  push(message) {
    if (this.outstanding > 0) this.outstanding--;
    this.#meanBytes += (message.size - this.#meanBytes) / 8;
    if (this.#ended) return;
    this.#items.push(message);
    this.bytes += message.size;
    if (this.bytes > this.#maxBytes) this.#drop();
  }

  /** The buffer is over its bytes: loses by the policy of the subscription, but never all. */
  #drop() {
    const items = this.#items;
    if (this.#dropNewest && items.length - this.#head > 1) {
      const { size, sequence } = items.pop();
      this.bytes -= size;
      const lag = new Lag(1, sequence, sequence);
      this.lag(lag);
      this.onDrop?.(lag);
      return;
    }
    let lag;
    let earlier; // what readers will be told about this position already
    while (this.bytes > this.#maxBytes && items.length - this.#head > 1) {
      const item = items[this.#head];
      items[this.#head++] = undefined;
      if (item instanceof Lag) {
        earlier = item;
        continue;
      }
      this.bytes -= item.size;
      lag ??= new Lag(0, item.sequence, item.sequence);
      lag.count++;
      lag.lastSequence = item.sequence;
    }
    if (lag === undefined) return;
    this.lagged += lag.count;
    this.onDrop?.(lag);
    if (!this.#throwLags) return;
    items[--this.#head] = earlier ? new Lag(earlier.count + lag.count, earlier.firstSequence, lag.lastSequence) : lag;
  }

  lag(lag) {
    this.lagged += lag.count;
    if (this.#throwLags && !this.#ended) this.#items.push(lag);
  }

  /** No more will come. What is buffered can still be read unless `discard`. */
  end(error = undefined, discard = false) {
    if (discard) this.#items.length = this.#head = this.bytes = 0;
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.onEnd?.();
    this.flush();
  }

  flush() {
    const waiters = this.#waiters;
    while (waiters.length > 0) {
      if (this.#head < this.#items.length) waiters.shift().serve();
      else if (this.#ended) waiters.shift().finish(this.#error);
      else break;
    }
    if (waiters.length > 0) this.#demand();
  }

  // ---- read

  /** The next message; undefined at the end. */
  next(options) {
    if (options === undefined && this.#head < this.#items.length) return this.#settle(() => this.#take());
    return this.#wait(options, 1, () => this.#take());
  }

  /** The same as the result of an iterator. */
  nextResult(options, owner = undefined) {
    const take = () => ({ value: this.#take(), done: false });
    if (options === undefined && this.#head < this.#items.length) return this.#settle(take);
    return this.#wait(options, 1, take, { value: undefined, done: true }, owner);
  }

  /** One to max messages, as many as are there; [] at the end. */
  many(max, options, owner = undefined) {
    if (options === undefined && this.#head < this.#items.length && max > 0) return this.#settle(() => this.#takeMany(max));
    return this.#wait(options, max, () => this.#takeMany(max), [], owner);
  }

  #settle(take) {
    try {
      return Promise.resolve(take());
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #take() {
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) this.#items.length = this.#head = 0;
    if (item instanceof Lag) throw new LaggedError(item);
    this.bytes -= item.size;
    this.#refill();
    return item;
  }

  #takeMany(max) {
    const items = this.#items;
    let end = this.#head;
    const stop = Math.min(items.length, this.#head + max);
    while (end < stop && !(items[end] instanceof Lag)) end++;
    if (end === this.#head) return [this.#take()]; // throws the lag
    let taken;
    if (this.#head === 0 && end === items.length) {
      taken = items;
      this.#items = [];
      this.bytes = 0;
    } else {
      taken = items.slice(this.#head, end);
      this.#head = end;
      if (end === items.length) items.length = this.#head = 0;
      for (const item of taken) this.bytes -= item.size;
    }
    this.#refill();
    return taken;
  }

  async #wait(given, want, take, atEnd = undefined, owner = undefined) {
    const options = optionsOf(given);
    countOf(want, 'max');
    const signal = signalOf(options);
    const timeout = waitOf(options);
    if (signal?.aborted) throw aborted(signal);
    if (this.#head < this.#items.length && this.#waiters.length === 0) return take();
    if (this.#ended && this.#waiters.length === 0) {
      if (this.#error) throw this.#error;
      return atEnd;
    }
    let clean = () => {};
    const waiter = { want, owner }; // a Subscription is not collected while it is read
    this.#core.hold();
    try {
      return await new Promise((resolve, reject) => {
        waiter.serve = () => {
          try {
            resolve(take());
          } catch (error) {
            reject(error);
          }
        };
        waiter.finish = (error) => (error ? reject(error) : resolve(atEnd));
        this.#waiters.push(waiter);
        const drop = (error) => {
          const at = this.#waiters.indexOf(waiter);
          if (at < 0) return;
          this.#waiters.splice(at, 1);
          reject(error);
        };
        clean = deadline(signal, timeout, drop);
        this.#demand();
      });
    } finally {
      clean();
      this.#core.release();
    }
  }

  /** Readers wait and nothing is buffered. */
  #demand() {
    let want = 0;
    for (const waiter of this.#waiters) want += waiter.want;
    want = Math.min(want, BATCH);
    if (this.outstanding >= want) return;
    this.#grant(Math.max(want, this.#limit()) - this.outstanding);
  }

  /** A reader took something: keep half of what is read ahead on its way. */
  #refill() {
    const have = this.#items.length - this.#head + this.outstanding;
    const limit = this.#limit();
    if (limit > 1 && 2 * have < limit && !this.#ended) this.#grant(limit - have);
  }

  #limit() {
    return Math.max(1, Math.min(this.#ahead, Math.floor(AHEAD_BYTES / (this.#meanBytes + 1))));
  }

  #grant(n) {
    this.outstanding += n;
    this.#ahead = Math.min(2 * this.#ahead, this.#maxAhead);
    this.#give(n);
  }
}

/** Messages dropped at this position. */
class Lag {
  constructor(count, firstSequence, lastSequence) {
    this.count = count;
    this.firstSequence = firstSequence;
    this.lastSequence = lastSequence;
  }
}

/**
 * Calls drop(error) at an abort or when the time is over; returns what undoes both. A timeout
 * of 0 is over after one full turn of the event loop: two immediates have a poll between them.
 */
function deadline(signal, timeout, drop) {
  const expired = () => drop(new X0XError(X0X_E_TIMEOUT, 'No message arrived in time', { flags: 1 }));
  const onAbort = () => drop(aborted(signal));
  signal?.addEventListener('abort', onAbort, { once: true });
  let timer;
  let immediate;
  if (timeout === 0) {
    immediate = setImmediate(() => {
      immediate = setImmediate(expired);
    });
  } else if (timeout !== undefined) {
    timer = setTimeout(expired, timeout);
  }
  return () => {
    signal?.removeEventListener('abort', onAbort);
    clearTimeout(timer);
    clearImmediate(immediate);
  };
}

module.exports = { Feed, Lag, BATCH };
