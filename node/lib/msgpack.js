'use strict';

/**
 * MessagePack as the ABI uses it: nil, bool, integers, float64, str, bin, array, map. No ext.
 *
 * The reader trusts nothing that stands in the bytes: a declared length is compared with the
 * bytes that are left before anything is allocated (5 bytes may claim 4 G elements), nesting
 * ends at 16, strings must be UTF-8, and nothing may follow the value. Integers beyond 2^53
 * become BigInt. Maps must have string keys and become objects without a prototype.
 */

const MAX_DEPTH = 16;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const EMPTY = Buffer.alloc(0);

class MsgpackError extends Error {}
Object.defineProperty(MsgpackError.prototype, 'name', { value: 'MsgpackError', configurable: true, writable: true });

class Reader {
  constructor(bytes, start = 0, end = bytes.length) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = start;
    this.end = end;
  }

  value(depth = 0) {
    if (depth > MAX_DEPTH) throw new MsgpackError('nested too deeply');
    const b = this.take(1);
    const tag = this.bytes[b];
    if (tag < 0x80) return tag;
    if (tag >= 0xe0) return tag - 0x100;
    if (tag < 0x90) return this.map(tag & 0x0f, depth);
    if (tag < 0xa0) return this.array(tag & 0x0f, depth);
    if (tag < 0xc0) return this.string(tag & 0x1f);
    const { bytes } = this;
    switch (tag) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return this.binary(bytes[this.take(1)]);
      case 0xc5: return this.binary(bytes.readUInt16BE(this.take(2)));
      case 0xc6: return this.binary(bytes.readUInt32BE(this.take(4)));
      case 0xca: return bytes.readFloatBE(this.take(4));
      case 0xcb: return bytes.readDoubleBE(this.take(8));
      case 0xcc: return bytes[this.take(1)];
      case 0xcd: return bytes.readUInt16BE(this.take(2));
      case 0xce: return bytes.readUInt32BE(this.take(4));
      case 0xcf: return narrow(bytes.readBigUInt64BE(this.take(8)));
      case 0xd0: return bytes.readInt8(this.take(1));
      case 0xd1: return bytes.readInt16BE(this.take(2));
      case 0xd2: return bytes.readInt32BE(this.take(4));
      case 0xd3: return narrow(bytes.readBigInt64BE(this.take(8)));
      case 0xd9: return this.string(bytes[this.take(1)]);
      case 0xda: return this.string(bytes.readUInt16BE(this.take(2)));
      case 0xdb: return this.string(bytes.readUInt32BE(this.take(4)));
      case 0xdc: return this.array(bytes.readUInt16BE(this.take(2)), depth);
      case 0xdd: return this.array(bytes.readUInt32BE(this.take(4)), depth);
      case 0xde: return this.map(bytes.readUInt16BE(this.take(2)), depth);
      case 0xdf: return this.map(bytes.readUInt32BE(this.take(4)), depth);
      default: throw new MsgpackError(`type 0x${tag.toString(16)} is not part of this format`);
    }
  }

  /** Reserves n bytes and returns where they start. */
  take(n) {
    const at = this.at;
    if (n > this.end - at) throw new MsgpackError('truncated');
    this.at = at + n;
    return at;
  }

  /** A copy: the drain buffer is used again. */
  binary(n) {
    const at = this.take(n);
    return Buffer.from(this.bytes.subarray(at, at + n));
  }

  string(n) {
    const at = this.take(n);
    try {
      return utf8.decode(this.bytes.subarray(at, at + n));
    } catch {
      throw new MsgpackError('text is not UTF-8');
    }
  }

  array(n, depth) {
    if (n > this.end - this.at) throw new MsgpackError('truncated');
    const out = [];
    for (let i = 0; i < n; i++) out.push(this.value(depth + 1));
    return out;
  }

  map(n, depth) {
    if (2 * n > this.end - this.at) throw new MsgpackError('truncated');
    const out = Object.create(null);
    for (let i = 0; i < n; i++) {
      const key = this.value(depth + 1);
      if (typeof key !== 'string') throw new MsgpackError('a map key is not text');
      out[key] = this.value(depth + 1);
    }
    return out;
  }
}

function narrow(big) {
  const n = Number(big);
  return Number.isSafeInteger(n) ? n : big;
}

/** Reads exactly one value from bytes[start, end). */
function decode(bytes, start = 0, end = bytes.length) {
  const reader = new Reader(bytes, start, end);
  const value = reader.value();
  if (reader.at !== end) throw new MsgpackError('bytes follow the value');
  return value;
}

/** Writes one value in its shortest form. undefined counts as nil. */
function encode(value) {
  const parts = [];
  write(parts, value, 0);
  return parts.length === 1 ? parts[0] : Buffer.concat(parts);
}

function write(parts, value, depth) {
  if (depth > MAX_DEPTH) throw new MsgpackError('nested too deeply');
  switch (typeof value) {
    case 'undefined': return parts.push(Buffer.of(0xc0));
    case 'boolean': return parts.push(Buffer.of(value ? 0xc3 : 0xc2));
    case 'number': return parts.push(Number.isSafeInteger(value) ? integer(value) : float(value));
    case 'bigint': return parts.push(bigInteger(value));
    case 'string': {
      const text = Buffer.from(value, 'utf8');
      return parts.push(head(text.length, 0xa0, 31, 0xd9, 0xda, 0xdb), text);
    }
    case 'object': break;
    default: throw new TypeError(`cannot write a ${typeof value}`);
  }
  if (value === null) return parts.push(Buffer.of(0xc0));
  if (value instanceof Uint8Array) return parts.push(head(value.length, 0, -1, 0xc4, 0xc5, 0xc6), value);
  if (Array.isArray(value)) {
    parts.push(head(value.length, 0x90, 15, 0, 0xdc, 0xdd));
    for (const item of value) write(parts, item, depth + 1);
    return parts.length;
  }
  const entries = Object.entries(value);
  parts.push(head(entries.length, 0x80, 15, 0, 0xde, 0xdf));
  for (const [key, item] of entries) {
    write(parts, key, depth + 1);
    write(parts, item, depth + 1);
  }
  return parts.length;
}

/** The length prefix: `fix | n` up to fixMax, then 1 (if the type has it), 2 or 4 bytes. */
function head(n, fix, fixMax, one, two, four) {
  if (n <= fixMax) return Buffer.of(fix | n);
  if (one && n < 0x100) return Buffer.of(one, n);
  if (n < 0x10000) return Buffer.of(two, n >> 8, n & 0xff);
  const out = Buffer.of(four, 0, 0, 0, 0);
  out.writeUInt32BE(n, 1);
  return out;
}

function integer(n) {
  if (n >= 0) {
    if (n < 0x80) return Buffer.of(n);
    if (n < 0x100) return Buffer.of(0xcc, n);
    if (n < 0x10000) return Buffer.of(0xcd, n >> 8, n & 0xff);
    if (n < 0x100000000) {
      const out = Buffer.of(0xce, 0, 0, 0, 0);
      out.writeUInt32BE(n, 1);
      return out;
    }
    return bigInteger(BigInt(n));
  }
  if (n >= -32) return Buffer.of(n & 0xff);
  if (n >= -0x80) return Buffer.of(0xd0, n & 0xff);
  if (n >= -0x8000) return Buffer.of(0xd1, (n >> 8) & 0xff, n & 0xff);
  if (n >= -0x80000000) {
    const out = Buffer.of(0xd2, 0, 0, 0, 0);
    out.writeInt32BE(n, 1);
    return out;
  }
  return bigInteger(BigInt(n));
}

function bigInteger(n) {
  const out = Buffer.alloc(9);
  if (n >= 0n) {
    if (n > 0xffffffffffffffffn) throw new RangeError('integer over 64 bits');
    out[0] = 0xcf;
    out.writeBigUInt64BE(n, 1);
  } else {
    if (n < -0x8000000000000000n) throw new RangeError('integer over 64 bits');
    out[0] = 0xd3;
    out.writeBigInt64BE(n, 1);
  }
  return out;
}

function float(n) {
  const out = Buffer.alloc(9);
  out[0] = 0xcb;
  out.writeDoubleBE(n, 1);
  return out;
}

module.exports = { encode, decode, MsgpackError, EMPTY };
