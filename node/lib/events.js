'use strict';

const { invalid } = require('./errors.js');

/** 'peer_joined' is the same event as 'peerJoined'. */
function canonical(event) {
  if (typeof event !== 'string') throw invalid(TypeError, 'The event name must be a string');
  return event.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
}

/**
 * Status events: on, once, off, listenerCount. Not Node's EventEmitter: on() returns a handle
 * that can be stopped, and an 'error' nobody listens to is not thrown, since what it reports
 * was caused by somebody else's machine. Data does not travel through events: they have no
 * back-pressure (see Agent.subscribe for what has).
 */
class EventEmitter {
  #listeners = new Map();
  #changed;

  /** `changed(event)` is told when the first listener of an event comes or the last goes. */
  constructor(changed = undefined) {
    this.#changed = changed;
  }

  on(event, callback) {
    return this.#add(event, callback, false);
  }

  once(event, callback) {
    return this.#add(event, callback, true);
  }

  #add(event, callback, once) {
    const name = canonical(event);
    if (typeof callback !== 'function') throw invalid(TypeError, 'The listener must be a function');
    const entry = { callback, once };
    const list = this.#listeners.get(name);
    // Lists are replaced, never changed, so that a listener may add and remove during emit.
    this.#listeners.set(name, list ? [...list, entry] : [entry]);
    if (!list) this.#changed?.(name);
    return new EventListener(this, name, entry);
  }

  /** Removes every listener of the event, or the first one with this callback. */
  off(event, callback = undefined) {
    const name = canonical(event);
    const list = this.#listeners.get(name);
    if (!list) return this;
    if (callback === undefined) this.#set(name, []);
    else {
      const at = list.findIndex((entry) => entry.callback === callback || entry === callback);
      if (at >= 0) this.#set(name, list.toSpliced ? list.toSpliced(at, 1) : list.filter((_, i) => i !== at));
    }
    return this;
  }

  #set(name, list) {
    if (list.length > 0) {
      this.#listeners.set(name, list);
    } else if (this.#listeners.delete(name)) {
      this.#changed?.(name);
    }
  }

  listenerCount(event) {
    return this.#listeners.get(canonical(event))?.length ?? 0;
  }

  /** Removes every listener of every event. */
  clear() {
    for (const name of [...this.#listeners.keys()]) this.off(name);
  }

  /**
   * Calls the listeners in order; true if there was one. A listener that throws does not keep
   * the others from being called: its error becomes an uncaught exception, as it would be from
   * any callback of Node.
   */
  emit(event, payload) {
    const name = canonical(event);
    const list = this.#listeners.get(name);
    if (!list) return false;
    for (const entry of list) {
      if (entry.once) this.off(name, entry);
      guard(entry.callback, payload);
    }
    return true;
  }
}

function guard(callback, payload) {
  try {
    callback(payload);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

/** What on() and once() return: stop() removes this one listener; the rest goes on chaining. */
class EventListener {
  #emitter;
  #event;
  #entry;

  constructor(emitter, event, entry) {
    this.#emitter = emitter;
    this.#event = event;
    this.#entry = entry;
  }

  /** Idempotent. */
  stop() {
    this.#emitter.off(this.#event, this.#entry);
  }

  on(event, callback) {
    return this.#emitter.on(event, callback);
  }

  once(event, callback) {
    return this.#emitter.once(event, callback);
  }

  off(event, callback = undefined) {
    this.#emitter.off(event, callback);
    return this;
  }
}

module.exports = { EventEmitter, EventListener, guard };
