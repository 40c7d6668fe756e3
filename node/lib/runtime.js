'use strict';

/**
 * One queue per JavaScript environment: starts operations, drains records, hands each to its
 * operation, reader or agent. The addon calls wake() from the event loop while records wait,
 * at most once a turn.
 *
 * A record (x0x.h, x0x_record), little-endian, 8-byte aligned:
 *
 *   word 0      1           2     4    6        8         9            40 bytes
 *   | bytes | kind, flags | id | seq | unix_ms | meta_len | payload_len | meta | payload | pad
 */

const abi = require('./abi.js');
const native = require('./native.js');
const msgpack = require('./msgpack.js');
const { X0XError, aborted } = require('./errors.js');
const { Message, DirectMessage } = require('./message.js');
const { Lag } = require('./feed.js');
const { AgentId, MachineId, IdCache } = require('./ids.js');

const { X0X_R_COMPLETION, X0X_R_MESSAGE, X0X_R_DIRECT, X0X_R_LAGGED, X0X_R_CLOSED, X0X_R_LOG } = abi;
const HEADER = 40;
const HIGH = 0x1_0000_0000;
const NOT_DELIVERED = abi.X0X_ERRF_NOT_DELIVERED;
/** How long the end of a process waits for agents that were left open: goodbyes and last sends. */
const EXIT_GRACE_MS = 500;

let addon;
let buffer;
let words;
let queueOpen = false;
let lastToken = 0;
let alive = 0; // agents that keep the event loop running
let logLevel = abi.X0X_LOG_OFF;

const cores = new Map(); // agent handle -> Core
const feeds = new Map(); // subscription or inbox handle -> Feed or Callback
const operations = new Map(); // token -> operation
const senders = new IdCache(AgentId);
const machines = new IdCache(MachineId);

function start() {
  if (!addon) {
    addon = native.load();
    buffer = Buffer.allocUnsafeSlow(abi.X0X_DRAIN_HINT);
    words = new Uint32Array(buffer.buffer, 0, buffer.length >>> 2);
    addon.start(wake);
    // process.exit() does not run the addon's own clean-up.
    process.on('exit', () => addon.closeAgents(EXIT_GRACE_MS));
  }
  if (!queueOpen) {
    check(addon.queueOpen({}), 'Failed to create agent');
    queueOpen = true;
    addon.keepAlive(alive > 0);
  }
  return addon;
}

/** The error of the addon call that just returned `status`. */
function failure(status, what, moreFlags = 0) {
  const { code, flags, message } = addon.lastError();
  const text = code === status && message ? message : describe(status);
  return new X0XError(status, what ? `${what}: ${text}` : text, { flags: (code === status ? flags : 0) | moreFlags });
}

function describe(status) {
  return (abi.STATUS_NAMES[status] ?? `status ${status}`).replace(/^X0X_E_/, '').toLowerCase().replaceAll('_', ' ');
}

function check(result, what) {
  if (result < 0) throw failure(result, what);
  return result;
}

// ------------------------------------------------------------------ operations

/**
 * Starts an operation and returns its promise. begin(token, wantHandle) calls the addon;
 * decode(result) makes the value of the promise. An abort asks the library to stop; the
 * completion, which always comes, tells which of the two was first.
 */
function operate(core, what, signal, begin, decode) {
  // What does not start was certainly not delivered; of other calls nobody asks.
  if (signal?.aborted) return Promise.reject(aborted(signal, NOT_DELIVERED));
  return new Promise((resolve, reject) => {
    const token = ++lastToken;
    const handle = begin(token, signal !== undefined);
    if (handle < 0) {
      reject(failure(handle, what, NOT_DELIVERED));
      return;
    }
    const operation = { core, what, signal, decode, resolve, reject, onAbort: undefined };
    if (signal) {
      operation.onAbort = () => addon.opCancel(handle);
      signal.addEventListener('abort', operation.onAbort, { once: true });
    }
    operations.set(token, operation);
    core.hold();
  });
}

function complete(token, failed, meta, end, bytes) {
  const operation = operations.get(token);
  if (!operation) return;
  operations.delete(token);
  operation.core.release();
  if (operation.onAbort) operation.signal.removeEventListener('abort', operation.onAbort);
  try {
    if (failed) {
      const [status, flags, message, details] = msgpack.decode(bytes, meta, end);
      if (status === abi.X0X_E_CANCELLED && operation.signal?.aborted) operation.reject(aborted(operation.signal, flags));
      else operation.reject(new X0XError(status, `${operation.what}: ${message || describe(status)}`, { flags, details }));
    } else {
      operation.resolve(operation.decode?.(msgpack.decode(bytes, meta, end)[1]));
    }
  } catch (error) {
    operation.reject(error);
  }
}

/** Runs an immediate method and returns its decoded result. */
function callNow(handle, method, args, what) {
  const result = addon.callNow(handle, method, args === undefined ? null : msgpack.encode(args));
  if (typeof result === 'number') throw failure(result, what);
  return msgpack.decode(result);
}

// ------------------------------------------------------------------ records

function wake() {
  if (!queueOpen) return;
  let bytes = addon.drain(buffer);
  if (bytes >= 0) {
    dispatch(buffer, words, bytes, false);
  } else if (bytes === abi.X0X_E_TOO_SMALL) {
    // One record is larger than the buffer: it gets memory of its own, which becomes the payload.
    const large = Buffer.allocUnsafeSlow((addon.lastError().flags + 7) & ~7);
    bytes = addon.drain(large);
    if (bytes > 0) dispatch(large, new Uint32Array(large.buffer, 0, large.length >>> 2), bytes, true);
  }
  closeQueueIfIdle();
}

function dispatch(source, u32, bytes, owned) {
  // Messages outlive the drain buffer: the batch is copied once, in its exact size.
  let chunk = owned ? source : undefined;
  let touched;
  let feed;
  let feedId = 0;
  for (let at = 0; at + HEADER <= bytes; ) {
    const w = at >>> 2;
    const size = u32[w];
    if (size < HEADER || at + size > bytes) break; // cannot happen; never loop on it
    const kind = u32[w + 1] & 0xffff;
    const id = u32[w + 2] + u32[w + 3] * HIGH;
    const meta = at + HEADER;
    const payload = meta + u32[w + 8];
    if (kind === X0X_R_DIRECT || kind === X0X_R_MESSAGE) {
      if (id !== feedId) {
        feed = feeds.get((feedId = id));
        if (feed) (touched ??= new Set()).add(feed);
      }
      if (feed) {
        chunk ??= Buffer.from(source.subarray(0, bytes));
        const seq = u32[w + 4] + u32[w + 5] * HIGH;
        const time = u32[w + 6] + u32[w + 7] * HIGH;
        feed.push(
          kind === X0X_R_DIRECT
            ? direct(source, meta, payload, seq, time, chunk, u32[w + 9])
            : message(source, meta, payload, seq, time, chunk, u32[w + 9], feed.topic),
        );
      }
    } else if (kind === X0X_R_COMPLETION) {
      complete(id, ((u32[w + 1] >>> 16) & abi.X0X_RF_ERROR) !== 0, meta, payload, source);
    } else if (kind === X0X_R_LAGGED && feeds.has(id)) {
      feed = feeds.get((feedId = id));
      (touched ??= new Set()).add(feed);
      const lag = new Lag(...msgpack.decode(source, meta, payload));
      feed.lag(lag);
      feed.core.emitter.emit('lagged', { source: feed.topic === undefined ? 'inbox' : 'subscription', topic: feed.topic, ...lag });
    } else if (kind === X0X_R_CLOSED && feeds.has(id)) {
      const [status] = msgpack.decode(source, meta, payload);
      feeds.get(id).end(status < 0 ? new X0XError(status, `The subscription ended: ${describe(status)}`) : undefined);
      feeds.delete(id);
      feedId = 0;
    } else {
      chunk = other(kind, id, u32[w + 6] + u32[w + 7] * HIGH, u32[w + 4] + u32[w + 5] * HIGH, source, meta, payload, u32[w + 9], chunk, bytes);
    }
    at += size;
  }
  if (touched) for (const each of touched) each.flush();
}

/** meta(sender:id, machine_id:id, trust_decision:u8): 0x93, twice 0xc4 32 and 32 bytes, one number. */
function direct(bytes, meta, end, seq, time, chunk, length) {
  if (end - meta === 70 && bytes[meta] === 0x93) {
    return new DirectMessage(senders.get(bytes, meta + 3), machines.get(bytes, meta + 37), seq, time, bytes[meta + 69], chunk, end, length);
  }
  const [sender, machine, decision] = msgpack.decode(bytes, meta, end);
  return new DirectMessage(new AgentId(sender), new MachineId(machine), seq, time, decision, chunk, end, length);
}

/** meta(sender:id, epoch:u64, trust_level:u8, topic:str); the topic is that of the subscription. */
function message(bytes, meta, end, seq, time, chunk, length, topic) {
  // 0x94, 0xc4 32 and 32 bytes, 0xcf and 8 bytes, one small number.
  if (topic !== undefined && bytes[meta] === 0x94 && bytes[meta + 35] === 0xcf && bytes[meta + 44] < 0x80) {
    const epoch = bytes.readUInt32BE(meta + 36) * HIGH + bytes.readUInt32BE(meta + 40);
    return new Message(topic, senders.get(bytes, meta + 3), seq, time, epoch, bytes[meta + 44], chunk, end, length);
  }
  const [sender, epoch, level, name] = msgpack.decode(bytes, meta, end);
  return new Message(name, new AgentId(sender), seq, time, Number(epoch), level, chunk, end, length);
}

/** Records of agents and of the queue itself. Returns the chunk, made if it was needed. */
function other(kind, id, time, seq, source, meta, payload, length, chunk, bytes) {
  const core = cores.get(id);
  if (kind === X0X_R_LOG || (kind === X0X_R_LAGGED && !core)) {
    const decoded = msgpack.decode(source, meta, payload);
    const name = kind === X0X_R_LOG ? 'log' : 'lagged';
    const event =
      kind === X0X_R_LOG
        ? { level: decoded[0], levelName: levelName(decoded[0]), message: decoded[1], attributes: decoded[2] ?? {}, timestamp: time }
        : { source: 'log', topic: undefined, count: decoded[0], firstSequence: decoded[1], lastSequence: decoded[2] };
    for (const each of [...cores.values()]) if (each.logLevel !== undefined) each.emitter.emit(name, event);
    return chunk;
  }
  if (!core) return chunk;
  if (kind === X0X_R_CLOSED) {
    core.closed(msgpack.decode(source, meta, payload)[0]);
    return chunk;
  }
  if (kind === abi.X0X_R_EVENT_MESSAGE) {
    if (core.emitter.listenerCount('message') === 0) return chunk;
    chunk ??= Buffer.from(source.subarray(0, bytes));
    core.emitter.emit('message', message(source, meta, payload, seq, time, chunk, length, undefined));
    return chunk;
  }
  core.event(kind, time, msgpack.decode(source, meta, payload));
  return chunk;
}

// ------------------------------------------------------------------ life

/** The queue goes with the last agent, so that a program at rest holds nothing. */
function closeQueueIfIdle() {
  if (!queueOpen || cores.size > 0) return;
  // The last record of an agent may be read a moment before the agent lets go of the queue.
  if (addon.queueClose() === abi.X0X_E_BUSY) return void setImmediate(closeQueueIfIdle);
  queueOpen = false;
  logLevel = abi.X0X_LOG_OFF;
}

/** One more (+1) or one fewer (-1) agent that keeps the event loop running. */
function keepAlive(change) {
  const before = alive;
  alive += change;
  if (queueOpen && before > 0 !== alive > 0) addon.keepAlive(alive > 0);
}

/** The most talkative level that any agent's listeners asked for; the setting is the process's. */
function updateLogging() {
  let level = abi.X0X_LOG_OFF;
  for (const core of cores.values()) if (core.logLevel !== undefined) level = Math.min(level, core.logLevel);
  if (level === logLevel || !queueOpen) return;
  if (addon.logToQueue(level) >= 0) logLevel = level;
}

function levelName(level) {
  if (level < abi.X0X_LOG_INFO) return 'debug';
  if (level < abi.X0X_LOG_WARN) return 'info';
  return level < abi.X0X_LOG_ERROR ? 'warn' : 'error';
}

module.exports = { start, failure, check, operate, callNow, keepAlive, updateLogging, closeQueueIfIdle, cores, feeds };
