'use strict';

const abi = require('./abi.js');
const runtime = require('./runtime.js');
const { Feed, BATCH } = require('./feed.js');
const { guard } = require('./events.js');
const { aborted, invalid } = require('./errors.js');

/** What may wait here and, as much again, in the library: its own default of max_bytes. */
const MAX_BYTES = 8 << 20;

const DROP_POLICIES = ['drop_oldest', 'drop_newest'];

const collected = new FinalizationRegistry(({ core, handle }) => close(core, handle));

/** Closes a handle whose agent may be gone already. */
function close(core, handle) {
  runtime.feeds.delete(handle);
  core.addon.handleClose(handle);
}

/**
 * The messages of one topic: iterate with `for await`, take batches with drain(), or give a
 * callback to Agent.subscribe. Not thenable: `await agent.subscribe(t)` is the same object.
 *
 * Leaving a `for await` loop closes the subscription. A slow reader loses the oldest messages
 * (or newest, see `policy`) and never slows others: `lagged` counts them, the agent emits
 * 'lagged', and with `lagged: 'throw'` next() rejects with LaggedError at that position.
 */
class Subscription {
  #agent; // a subscription in use keeps its agent
  #core;
  #feed;
  #handle;
  #topic;
  #callback;

  // The feed outlives an abandoned Subscription, so no closure in here may capture `this`.
  constructor(agent, core, topic, callback, { replay, maxMessages, maxBytes, policy, throwLags, signal }) {
    this.#agent = agent;
    this.#core = core;
    this.#topic = topic;
    this.#callback = callback;
    const fields = {
      flags: replay ? 0 : abi.X0X_SUB_NO_REPLAY,
      max_messages: maxMessages,
      max_bytes: maxBytes,
      policy,
      credit: callback ? abi.X0X_CREDIT_UNLIMITED : abi.X0X_CREDIT_NONE,
    };
    const handle = runtime.check(core.addon.subscribe(core.handle, topic, fields), 'Failed to subscribe');
    this.#handle = handle;
    this.#feed = callback
      ? new CallbackFeed(core, callback)
      : new Feed(core, (n) => core.addon.creditAdd(handle, n), {
          throwLags,
          maxMessages,
          maxBytes: maxBytes ?? MAX_BYTES,
          dropNewest: policy === 1,
        });
    this.#feed.onDrop = (lag) => core.emitter.emit('lagged', { source: 'subscription', topic, ...lag });
    this.#feed.topic = topic;
    this.#feed.core = core;
    runtime.feeds.set(handle, this.#feed);
    if (!callback) collected.register(this, { core, handle }, this.#feed);
    if (signal) {
      const feed = this.#feed;
      const onAbort = () => {
        // The reader that waits learns why; the next one finds a closed subscription.
        feed.end(aborted(signal), true);
        collected.unregister(feed);
        close(core, handle);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      feed.onEnd = () => signal.removeEventListener('abort', onAbort);
    }
  }

  get topic() {
    return this.#topic;
  }

  get closed() {
    return this.#feed.ended;
  }

  /** Messages that were dropped because this reader was slow. */
  get lagged() {
    return this.#feed.lagged;
  }

  /** Messages that wait to be read, here and in the library. */
  get pending() {
    return this.info().pending;
  }

  /** { topic, pending, dropped, delivered } */
  info() {
    const [topic, pending, dropped, delivered] = runtime.callNow(this.#handle, abi.X0X_M_SUBSCRIPTION_INFO);
    return { topic, pending: pending + this.#feed.buffered, dropped, delivered };
  }

  /** Resolves with { value, done }; options: { timeout, signal }. Several may wait at a time. */
  next(options = undefined) {
    if (this.#callback) return Promise.reject(unreadable());
    return this.#feed.nextResult(options, this);
  }

  /** Up to `max` messages, as many as are there, at least one; [] when the subscription ended. */
  drain(max = BATCH, options = undefined) {
    if (this.#callback) return Promise.reject(unreadable());
    return this.#feed.many(max, options, this);
  }

  async return(value = undefined) {
    this.close();
    return { value, done: true };
  }

  async throw(error) {
    this.close();
    throw error;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** Ends delivery at once; what is buffered is dropped. Idempotent. */
  close() {
    if (this.#feed.ended) return;
    collected.unregister(this.#feed);
    this.#feed.end(undefined, true);
    close(this.#core, this.#handle);
    this.#agent = undefined;
  }

  async unsubscribe() {
    this.close();
  }

  async [Symbol.asyncDispose]() {
    this.close();
  }
}

function unreadable() {
  return invalid(TypeError, 'This subscription delivers to its callback and cannot be read as well');
}

/** Delivers to a function instead of a reader, and keeps the process alive until it ends. */
class CallbackFeed {
  lagged = 0;
  ended = false;
  buffered = 0;
  onEnd = undefined;
  #callback;
  #core;

  constructor(core, callback) {
    this.#core = core;
    this.#callback = callback;
    core.hold();
  }

  push(message) {
    if (!this.ended) guard(this.#callback, message);
  }

  lag(lag) {
    this.lagged += lag.count;
  }

  flush() {}

  end() {
    if (this.ended) return;
    this.ended = true;
    this.onEnd?.();
    this.#core.release();
  }
}

module.exports = { Subscription, DROP_POLICIES };
