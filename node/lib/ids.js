'use strict';

const { inspect } = require('node:util');
const { invalid } = require('./errors.js');
const { X0X_ID_SIZE } = require('./abi.js');

/** 32 bytes that never change; subclasses give the role a type of its own. */
class Id {
  #bytes;
  #hex;

  constructor(bytes) {
    if (!(bytes instanceof Uint8Array)) throw invalid(TypeError, `${new.target.name} takes a Uint8Array of 32 bytes`);
    if (bytes.length !== X0X_ID_SIZE) throw invalid(RangeError, `${new.target.name} must be 32 bytes, got ${bytes.length}`);
    this.#bytes = Buffer.from(bytes);
  }

  /** 64 hex digits in either case. */
  static fromString(hex) {
    if (typeof hex !== 'string') throw invalid(TypeError, `Invalid hex: expected a string, got ${typeof hex}`);
    if (!/^(?:[0-9a-f]{2})*$/i.test(hex)) throw invalid(RangeError, 'Invalid hex: expected hex digits in pairs');
    const bytes = Buffer.from(hex, 'hex');
    if (bytes.length !== X0X_ID_SIZE) throw invalid(RangeError, `${this.name} must be 32 bytes, got ${bytes.length}`);
    return new this(bytes);
  }

  /** Accepts what every call that takes an id accepts: the id, 64 hex digits, or 32 bytes. */
  static from(value) {
    if (value instanceof this) return value;
    if (typeof value === 'string') return this.fromString(value);
    if (value instanceof Uint8Array) return new this(value);
    throw invalid(TypeError, `Expected ${this.name}, 64 hex digits or 32 bytes`);
  }

  toString() {
    return (this.#hex ??= this.#bytes.toString('hex'));
  }

  toJSON() {
    return this.toString();
  }

  /** A copy of the 32 bytes. */
  asBytes() {
    return Buffer.from(this.#bytes);
  }

  equals(other) {
    if (other instanceof Id) return other.constructor === this.constructor && this.#bytes.equals(other.#bytes);
    if (other instanceof Uint8Array) return this.#bytes.equals(other);
    return typeof other === 'string' && other.toLowerCase() === this.toString();
  }

  [inspect.custom]() {
    return `${this.constructor.name}('${this.toString().slice(0, 16)}')`;
  }

  /** The bytes themselves, for the addon alone. */
  static raw(id) {
    return id.#bytes;
  }
}

class AgentId extends Id {}
class MachineId extends Id {}
class UserId extends Id {}

/**
 * Ids that arrive again and again (the senders of messages), made once each: comparing 32
 * bytes costs less than building an object. Bounded, so that a crowd of senders costs misses
 * and not memory.
 */
class IdCache {
  #Type;
  #slots = new Array(IdCache.SLOTS).fill(undefined);
  #last;

  static SLOTS = 256;

  constructor(Type) {
    this.#Type = Type;
  }

  /** The id at bytes[at, at + 32). */
  get(bytes, at) {
    const last = this.#last;
    if (last !== undefined && same(Id.raw(last), bytes, at)) return last;
    const slot = bytes[at + 31];
    let id = this.#slots[slot];
    if (id === undefined || !same(Id.raw(id), bytes, at)) {
      id = new this.#Type(bytes.subarray(at, at + 32));
      this.#slots[slot] = id;
    }
    return (this.#last = id);
  }
}

function same(a, bytes, at) {
  for (let i = 0; i < 32; i++) if (a[i] !== bytes[at + i]) return false;
  return true;
}

module.exports = { Id, AgentId, MachineId, UserId, IdCache };
