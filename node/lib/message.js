'use strict';

const { inspect } = require('node:util');

/**
 * Messages are built by the thousand, so they hold the chunk that they were drained into and
 * cut their payload out of it when it is first asked for: a view, no copy. One chunk holds one
 * batch (up to 256 KiB) or one large message; keep `Buffer.from(message.payload)` where a
 * single small payload is to outlive its batch for long.
 */
class Received {
  #chunk;
  #at;
  #length;
  #payload;

  constructor(sender, sequence, chunk, at, length) {
    /** AgentId of the author, proven by signature or by the connection. */
    this.sender = sender;
    /** Counts from 1 per sender (and topic), without gaps unless messages were dropped. */
    this.sequence = sequence;
    this.#chunk = chunk;
    this.#at = at;
    this.#length = length;
  }

  /** Buffer. */
  get payload() {
    return (this.#payload ??= this.#chunk.subarray(this.#at, this.#at + this.#length));
  }

  /** The payload's length in bytes, known without cutting it out. */
  get size() {
    return this.#length;
  }

  /** The sender as hex. */
  get origin() {
    return this.sender.toString();
  }

  /** Always true: what cannot be verified is never delivered. */
  get verified() {
    return true;
  }

  /** The payload read as UTF-8. */
  payloadStr() {
    return this.payload.toString('utf8');
  }
}

/** A message of a topic. */
class Message extends Received {
  #level;

  constructor(topic, sender, sequence, timestampMs, epoch, level, chunk, at, length) {
    super(sender, sequence, chunk, at, length);
    this.topic = topic;
    /** The sender's clock, Unix milliseconds. */
    this.timestampMs = timestampMs;
    /** When the sender's process began to publish: a restart has a higher epoch. */
    this.epoch = epoch;
    this.#level = level;
  }

  /** The sender's clock, Unix seconds. */
  get timestamp() {
    return Math.floor(this.timestampMs / 1000);
  }

  /** What you think of the sender: 'blocked', 'unknown', 'known' or 'trusted'. */
  get trustLevel() {
    return TRUST_LEVELS[this.#level] ?? 'unknown';
  }

  toJSON() {
    const { topic, origin, sequence, timestamp, timestampMs, trustLevel, verified, payload } = this;
    return { topic, sender: origin, sequence, timestamp, timestampMs, trustLevel, verified, payload };
  }

  [inspect.custom](depth, options) {
    return `Message ${inspect({ topic: this.topic, sender: this.sender, sequence: this.sequence, payload: this.payload }, options)}`;
  }
}

/** A private message: it came over a connection on which both sides proved who they are. */
class DirectMessage extends Received {
  #decision;

  constructor(sender, machineId, sequence, receivedAt, decision, chunk, at, length) {
    super(sender, sequence, chunk, at, length);
    this.machineId = machineId;
    /** This machine's clock, Unix milliseconds. */
    this.receivedAt = receivedAt;
    this.#decision = decision;
  }

  /** What your contacts say about the sender, see TrustDecision. */
  get trustDecision() {
    return TRUST_DECISIONS[this.#decision] ?? 'Unknown';
  }

  toJSON() {
    const { origin, machineId, sequence, receivedAt, trustDecision, verified, payload } = this;
    return { sender: origin, machineId: machineId.toString(), sequence, receivedAt, trustDecision, verified, payload };
  }

  [inspect.custom](depth, options) {
    return `DirectMessage ${inspect({ sender: this.sender, sequence: this.sequence, payload: this.payload }, options)}`;
  }
}

/** By their numbers in x0x.h. */
const TRUST_LEVELS = Object.freeze(['blocked', 'unknown', 'known', 'trusted']);
const TRUST_DECISIONS = Object.freeze([
  'Unknown',
  'Accept',
  'AcceptWithFlag',
  'RejectBlocked',
  'RejectMachineMismatch',
]);
const IDENTITY_TYPES = Object.freeze(['anonymous', 'known', 'trusted', 'pinned']);
/** As users of the daemon's POST /agents/connect know them. */
const OUTCOMES = Object.freeze(['Direct', 'Coordinated', 'AlreadyConnected', 'Unreachable', 'NotFound']);

module.exports = { Message, DirectMessage, TRUST_LEVELS, TRUST_DECISIONS, IDENTITY_TYPES, OUTCOMES };
