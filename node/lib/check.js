'use strict';

/** Arguments, checked before the library is asked: TypeError and RangeError that name them. */

const { setMaxListeners } = require('node:events');
const abi = require('./abi.js');
const { invalid } = require('./errors.js');

function topicOf(topic) {
  if (typeof topic !== 'string') throw invalid(TypeError, `topic must be a string, got ${kind(topic)}`);
  if (topic.length * 3 > abi.X0X_MAX_TOPIC_NAME && Buffer.byteLength(topic) > abi.X0X_MAX_TOPIC_NAME) {
    throw invalid(RangeError, `topic is over ${abi.X0X_MAX_TOPIC_NAME} bytes of UTF-8`);
  }
  if (topic.includes('\0')) throw invalid(RangeError, 'topic contains a NUL');
  return topic;
}

/** Bytes as they are; text as UTF-8. */
function payloadOf(payload) {
  if (payload instanceof Uint8Array) return payload;
  if (typeof payload === 'string') return Buffer.from(payload, 'utf8');
  if (ArrayBuffer.isView(payload)) return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (payload instanceof ArrayBuffer || payload instanceof SharedArrayBuffer) return Buffer.from(payload);
  throw invalid(TypeError, `payload must be a Buffer, a typed array, an ArrayBuffer or a string, got ${kind(payload)}`);
}

function optionsOf(options, what = 'options') {
  if (options === undefined) return {};
  if (options === null || typeof options !== 'object') throw invalid(TypeError, `${what} must be an object, got ${kind(options)}`);
  return options;
}

function signalOf({ signal }) {
  if (signal === undefined) return undefined;
  if (!(signal instanceof AbortSignal)) throw invalid(TypeError, `signal must be an AbortSignal, got ${kind(signal)}`);
  // One signal for many calls at a time is what signals are for, not a leak to be warned of:
  // every listener of ours goes when its call settles.
  setMaxListeners(0, signal);
  return signal;
}

/** Milliseconds for the ABI: undefined is the default (0 there), Infinity no limit. */
function timeoutOf({ timeout }) {
  if (timeout === undefined) return 0;
  if (typeof timeout !== 'number') throw invalid(TypeError, `timeout must be a number of milliseconds, got ${kind(timeout)}`);
  if (timeout === Infinity) return abi.X0X_NO_TIMEOUT;
  // The largest numbers have a meaning of their own.
  if (!(timeout > 0 && timeout <= abi.X0X_NO_WAIT - 1)) throw invalid(RangeError, `timeout must be over 0 milliseconds, got ${timeout}`);
  return Math.ceil(timeout);
}

/** The same for a publish: with `wait: false` it does not wait for room at all. */
function roomOf(options) {
  const { wait = true } = options;
  if (typeof wait !== 'boolean') throw invalid(TypeError, `wait must be true or false, got ${kind(wait)}`);
  const timeout = timeoutOf(options);
  if (wait) return timeout;
  if (timeout !== 0) throw invalid(RangeError, 'timeout is how long to wait: not with wait: false');
  return abi.X0X_NO_WAIT;
}

/** Milliseconds that a reader waits: undefined and Infinity for ever, 0 only looks. */
function waitOf({ timeout }) {
  if (timeout === undefined || timeout === Infinity) return undefined;
  if (typeof timeout !== 'number') throw invalid(TypeError, `timeout must be a number of milliseconds, got ${kind(timeout)}`);
  if (!(timeout >= 0 && timeout <= 0x7fffffff)) throw invalid(RangeError, `timeout must be 0 to 2147483647 milliseconds, got ${timeout}`);
  return timeout;
}

function countOf(n, what, max = 0xffffffff) {
  if (typeof n !== 'number') throw invalid(TypeError, `${what} must be a number, got ${kind(n)}`);
  if (!Number.isInteger(n) || n < 1 || n > max) throw invalid(RangeError, `${what} must be a whole number from 1 to ${max}, got ${n}`);
  return n;
}

/** One of the words of a table; its number. */
function wordOf(word, words, what) {
  if (typeof word !== 'string') throw invalid(TypeError, `${what} must be one of ${words.join(', ')}, got ${kind(word)}`);
  const at = words.indexOf(word);
  if (at < 0) throw invalid(RangeError, `${what} must be one of ${words.join(', ')}, got '${word}'`);
  return at;
}

/** A name of a contact or the like; the library knows how long it may be. */
function labelOf(label, what = 'label') {
  if (typeof label !== 'string') throw invalid(TypeError, `${what} must be a string, got ${kind(label)}`);
  return label;
}

function kind(value) {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
}

module.exports = { topicOf, payloadOf, optionsOf, signalOf, timeoutOf, roomOf, waitOf, countOf, wordOf, labelOf, kind };
