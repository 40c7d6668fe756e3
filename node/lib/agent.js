'use strict';

const { inspect } = require('node:util');
const abi = require('./abi.js');
const runtime = require('./runtime.js');
const { Core } = require('./core.js');
const { BATCH } = require('./feed.js');
const { Inbox, DirectMessages } = require('./inbox.js');
const { Subscription, DROP_POLICIES } = require('./subscription.js');
const { AgentBuilder } = require('./builder.js');
const { agentOptions } = require('./options.js');
const { Id, AgentId, MachineId, UserId } = require('./ids.js');
const { X0XError, invalid } = require('./errors.js');
const { OUTCOMES, TRUST_LEVELS, TRUST_DECISIONS, IDENTITY_TYPES } = require('./message.js');
const { contactOf } = require('./contact.js');
const { cardArgs, importedOf, certificateOf } = require('./card.js');
const { presenceOf } = require('./presence.js');
const { TopicMesh, TOPIC_PRIORITIES } = require('./mesh.js');
const { topicOf, payloadOf, optionsOf, signalOf, timeoutOf, roomOf, countOf, wordOf, labelOf, kind } = require('./check.js');

const LOG_LEVELS = { debug: abi.X0X_LOG_DEBUG, info: abi.X0X_LOG_INFO, warn: abi.X0X_LOG_WARN, error: abi.X0X_LOG_ERROR };

/**
 * An agent on the network: an identity, topics, and private messages.
 *
 *     const agent = new Agent();
 *     await agent.joinNetwork();
 *     await agent.publish('topic', Buffer.from('hello'));
 *
 * Without options it has a fresh identity that lives in memory. Every method that waits takes
 * `{ timeout, signal }` (milliseconds, AbortSignal) and returns a promise that rejects with
 * X0XError, or TypeError and RangeError for arguments. A process ends by itself when nothing
 * is under way: no call, no waiting reader, no subscription with a callback; see ref().
 */
class Agent {
  #core;
  #identity;
  #inbox;
  #inboxMessages;

  constructor(options = undefined) {
    this.#open(options, 'Failed to create agent');
  }

  /** Builder's entry: the same with its own words for a failure. */
  static [AgentBuilder.build](options) {
    return new Agent({ ...options, [AgentBuilder.build]: true });
  }

  static async create(options = undefined) {
    return new Agent(options);
  }

  static builder() {
    return new AgentBuilder(Agent);
  }

  /** Folders from X0X_HOME and X0X_RUNTIME_DIR, where set; options given here win. */
  static fromEnv(options = undefined) {
    const { X0X_HOME: homeDir, X0X_RUNTIME_DIR: runtimeDir } = process.env;
    return new Agent({ homeDir: homeDir || undefined, runtimeDir: runtimeDir || undefined, ...optionsOf(options) });
  }

  #open(given, what) {
    const options = optionsOf(given);
    const { logLevel = 'info' } = options;
    const level = Object.values(LOG_LEVELS)[wordOf(logLevel, Object.keys(LOG_LEVELS), 'logLevel')];
    this.#core = new Core(this, agentOptions(options, ['logLevel']), {
      what: options[AgentBuilder.build] ? 'Failed to build agent' : what,
      logLevel: level,
    });
    this.#inboxMessages = options.inboxMessages || undefined;
    const [agent, machine, user] = this.#core.callNow(abi.X0X_M_IDENTITY);
    this.#identity = Object.freeze({
      agentId: new AgentId(agent),
      machineId: new MachineId(machine),
      userId: user ? new UserId(user) : undefined,
    });
  }

  // ------------------------------------------------------------------ identity

  /** { agentId, machineId, userId } */
  identity() {
    return this.#identity;
  }

  get agentId() {
    return this.#identity.agentId;
  }

  get machineId() {
    return this.#identity.machineId;
  }

  get userId() {
    return this.#identity.userId;
  }

  /** The machine id as 64 hex digits. */
  peerId() {
    return this.#identity.machineId.toString();
  }

  /**
   * Four words by which two people can compare an id (this agent's) aloud. A check aid and no
   * name: never look anything up by them.
   */
  identityWords(id = this.agentId) {
    const bytes = id instanceof Id ? Id.raw(id) : idBytes(AgentId, id);
    return this.#core.callNow(abi.X0X_M_IDENTITY_WORDS, [bytes])[0];
  }

  /**
   * { userId, issuedAt, expiresAt, bytes }, by which the person behind this agent says that it
   * is theirs; undefined if there is none. With the option userKey it is issued when the agent
   * is made, and renewed in time.
   */
  certificate() {
    return certificateOf(this.#core.callNow(abi.X0X_M_CERTIFICATE));
  }

  /**
   * Signs in the name of this agent for a purpose of yours, which context names (1 to 255
   * bytes, such as 'example.org/vote/v1'). A signature under one context does not hold under
   * another. Payloads are somewhat under 1 MiB: sign the hash of what is longer.
   */
  sign(context, payload) {
    const args = [labelOf(context, 'context'), payloadOf(payload)];
    return Buffer.from(this.#core.callNow(abi.X0X_M_SIGN, args, 'Failed to sign')[0]);
  }

  /**
   * Returns if that agent has signed this under this context, and throws otherwise: X0X_E_AUTH,
   * or X0X_E_CORRUPT and X0X_E_UNSUPPORTED for what is no signature.
   */
  verify(agentId, context, payload, signature) {
    const args = [idBytes(AgentId, agentId), labelOf(context, 'context'), payloadOf(payload), payloadOf(signature)];
    this.#core.callNow(abi.X0X_M_VERIFY, args, 'Failed to verify');
  }

  /**
   * A link 'x0x://agent/…' in which this agent describes itself, signed, to pass on. Options:
   * displayName, addresses (where it listens now), groups [{ name, inviteLink }], stores
   * [{ name, topic }], lifetime (30 days), and includeUser, which shows the person behind the
   * agent to everybody who gets the link and throws without humanConsent: true.
   */
  card(options = undefined) {
    return this.#core.callNow(abi.X0X_M_CARD, cardArgs(optionsOf(options)), 'Failed to make a card')[0];
  }

  /**
   * Verifies a card, makes its agent a contact of this level and of the name on the card, and
   * remembers where to find it. Who is a contact already stays as it is.
   */
  importCard(link, trustLevel = 'known') {
    const args = [labelOf(link, 'link'), wordOf(trustLevel, TRUST_LEVELS, 'trustLevel')];
    return importedOf(this.#core.callNow(abi.X0X_M_IMPORT_CARD, args, 'Failed to import a card'));
  }

  // ------------------------------------------------------------------ network

  /** Listens, finds the others of this network, and returns after one pass, also if alone. */
  async joinNetwork(options = undefined) {
    await this.#call(abi.X0X_M_JOIN, [], 'Failed to join network', options);
  }

  /** Says goodbye to all peers and stops listening; joining again is possible. */
  async leaveNetwork(options = undefined) {
    await this.#call(abi.X0X_M_LEAVE, [], 'Failed to leave network', options);
  }

  /** At least one authenticated peer is there. */
  isConnected() {
    return this.#core.callNow(abi.X0X_M_IS_CONNECTED)[0];
  }

  isAgentConnected(agentId) {
    return this.#core.callNow(abi.X0X_M_IS_AGENT_CONNECTED, [idBytes(AgentId, agentId)])[0];
  }

  connectedAgents() {
    return this.peers().map((peer) => peer.agentId);
  }

  /** [{ agentId, machineId, address, path, rtt (ms), dialled, connectedAt (Unix ms) }] */
  peers() {
    return this.#core
      .callNow(abi.X0X_M_PEERS)
      .map(([agent, machine, address, path, rtt, dialled, connectedAt]) => ({
        agentId: new AgentId(agent),
        machineId: new MachineId(machine),
        address,
        path,
        rtt: rtt / 1000,
        dialled,
        connectedAt,
      }));
  }

  /** Every counter by name. */
  stats() {
    return { ...this.#core.callNow(abi.X0X_M_STATS) };
  }

  /** Addresses that others on this machine can dial; empty before joining. */
  localAddresses() {
    return this.#core.callNow(abi.X0X_M_LOCAL_ADDRESSES);
  }

  /** { outcome, address }: 'Direct', 'Coordinated', 'AlreadyConnected', 'Unreachable' or 'NotFound'. */
  async connectToAgent(agentId, options = undefined) {
    return this.#call(abi.X0X_M_CONNECT_AGENT, [idBytes(AgentId, agentId)], 'Failed to connect', options, outcomeOf);
  }

  async connectToMachine(machineId, options = undefined) {
    return this.#call(abi.X0X_M_CONNECT_MACHINE, [idBytes(MachineId, machineId)], 'Failed to connect', options, outcomeOf);
  }

  /** Dials 'host:port', whoever answers there: { agentId, machineId }. */
  async connectToAddress(address, options = undefined) {
    if (typeof address !== 'string') throw invalid(TypeError, `address must be a string, got ${kind(address)}`);
    return this.#call(abi.X0X_M_CONNECT_ADDRESS, [address], 'Failed to connect', options, ([agent, machine]) => ({
      agentId: new AgentId(agent),
      machineId: new MachineId(machine),
    }));
  }

  /** A hint where a machine listens. Hints are tried, never trusted. */
  addPeer(machineId, addresses, agentId = undefined) {
    const list = Array.isArray(addresses) ? addresses : [addresses];
    for (const address of list) if (typeof address !== 'string') throw invalid(TypeError, `addresses must be strings, got ${kind(address)}`);
    const args = [idBytes(MachineId, machineId), list];
    if (agentId !== undefined) args.push(idBytes(AgentId, agentId));
    this.#core.callNow(abi.X0X_M_ADD_PEER, args, 'Failed to add peer');
  }

  // ------------------------------------------------------------------ topics

  /**
   * Publishes bytes (or text) to a topic. Resolves when the message is signed and on its way.
   * While the publish queue is full it waits, so that who publishes feels it, up to `timeout`
   * (10,000); with `wait: false` it rejects with X0X_E_BUSY instead, and nothing was published.
   * Peers that subscribe a little later still get it.
   */
  async publish(topic, payload, options = undefined) {
    const given = optionsOf(options);
    const core = this.#core;
    const name = topicOf(topic);
    const bytes = payloadOf(payload);
    const timeout = roomOf(given);
    return runtime.operate(core, 'Failed to publish', signalOf(given), (token, want) =>
      core.addon.publish(core.handle, name, bytes, timeout, token, want),
    );
  }

  /**
   * subscribe(topic, options?) or subscribe(topic, callback, options?). Works before joining.
   * Options: replay (true), maxMessages (1,024), maxBytes (8 MiB), policy ('drop_oldest'),
   * lagged ('skip' or 'throw'), signal.
   */
  subscribe(topic, callback = undefined, options = undefined) {
    if (callback !== null && typeof callback === 'object') [callback, options] = [undefined, callback];
    if (callback !== undefined && typeof callback !== 'function') {
      throw invalid(TypeError, `callback must be a function, got ${kind(callback)}`);
    }
    const given = optionsOf(options);
    const { replay = true, maxMessages, maxBytes, policy = 'drop_oldest', lagged = 'skip' } = given;
    const signal = signalOf(given);
    signal?.throwIfAborted();
    return new Subscription(this, this.#core, topicOf(topic), callback, {
      replay: Boolean(replay),
      maxMessages: maxMessages === undefined ? undefined : countOf(maxMessages, 'maxMessages'),
      maxBytes: maxBytes === undefined ? undefined : countOf(maxBytes, 'maxBytes', Number.MAX_SAFE_INTEGER),
      policy: wordOf(policy, DROP_POLICIES, 'policy'),
      throwLags: wordOf(lagged, ['skip', 'throw'], 'lagged') === 1,
      signal,
    });
  }

  /**
   * 'high' topics are sent to each peer before all others and dropped last when memory is full,
   * 'low' ones after all others and first; 'normal' is the default. No peer is told.
   */
  setTopicPriority(topic, priority) {
    const args = [topicOf(topic), wordOf(priority, TOPIC_PRIORITIES, 'priority')];
    this.#core.callNow(abi.X0X_M_SET_TOPIC_PRIORITY, args, 'Failed to set topic priority');
  }

  /** The topics that flow through this agent, each with its neighbours: console.log() one. */
  topicMesh() {
    return this.#core.callNow(abi.X0X_M_TOPIC_MESH).map((row) => new TopicMesh(row));
  }

  /** The counters of topics: what stats() has as 'gossip.name'. */
  gossipStats() {
    const prefix = 'gossip.';
    const ours = Object.entries(this.stats()).filter(([name]) => name.startsWith(prefix));
    return Object.fromEntries(ours.map(([name, value]) => [name.slice(prefix.length), value]));
  }

  /** The connected agents that topics go through (option activePeers); [] before joining. */
  neighbors() {
    return this.#core.callNow(abi.X0X_M_NEIGHBORS).map((agent) => new AgentId(agent));
  }

  /** Who may take the place of a lost neighbour (option passivePeers): hearsay, to be proven. */
  knownPeers() {
    return this.#core.callNow(abi.X0X_M_KNOWN_PEERS).map(([agent, machine, addresses]) => ({
      agentId: new AgentId(agent),
      machineId: new MachineId(machine),
      addresses,
    }));
  }

  // ------------------------------------------------------------------ private messages

  /**
   * Sends bytes (or text) to one agent: acknowledged, in order, connecting if needed. Resolves
   * with { path, rtt, sequence } when the recipient's library has accepted it into the queue
   * that its application reads. Options: timeout, signal, ordered (true; false may overtake),
   * onDisconnect ('wait' until the timeout, or 'fail').
   */
  async sendDirect(agentId, payload, options = undefined) {
    const given = optionsOf(options);
    const core = this.#core;
    const id = idBytes(AgentId, agentId);
    const bytes = payloadOf(payload);
    const timeout = timeoutOf(given);
    let flags = 0;
    if (given.ordered === false) flags |= abi.X0X_SEND_UNORDERED;
    if (given.onDisconnect !== undefined && wordOf(given.onDisconnect, ['wait', 'fail'], 'onDisconnect') === 1) {
      flags |= abi.X0X_SEND_FAIL_ON_DISCONNECT;
    }
    return runtime.operate(
      core,
      'Failed to send',
      signalOf(given),
      (token, want) => core.addon.send(core.handle, id, bytes, flags, timeout, token, want),
      receiptOf,
    );
  }

  /** The next private message, oldest first; waits for one. */
  async recvDirect(options = undefined) {
    const message = await this.#feed().next(options);
    if (message === undefined) throw closedError();
    return message;
  }

  /** Up to `max` private messages, as many as are there, at least one. */
  async recvDirectMany(max = BATCH, options = undefined) {
    const messages = await this.#feed().many(countOf(max, 'max'), options);
    if (messages.length === 0) throw closedError();
    return messages;
  }

  /** `for await (const message of agent.directMessages())`, until the agent closes. */
  directMessages(options = undefined) {
    const given = optionsOf(options);
    return new DirectMessages(this, this.#feed(), signalOf(given));
  }

  /** { pending }: private messages that wait to be read. */
  inboxInfo() {
    this.#feed();
    return { pending: this.#inbox.pending };
  }

  #feed() {
    return (this.#inbox ??= new Inbox(this.#core, this.#inboxMessages)).feed;
  }

  // ------------------------------------------------------------------ contacts

  /** level: 'blocked', 'unknown', 'known' or 'trusted'. Takes effect at once. */
  setTrust(agentId, level) {
    this.#core.callNow(abi.X0X_M_SET_TRUST, [idBytes(AgentId, agentId), wordOf(level, TRUST_LEVELS, 'level')], 'Failed to set trust');
  }

  trust(agentId) {
    return TRUST_LEVELS[this.#core.callNow(abi.X0X_M_TRUST, [idBytes(AgentId, agentId)])[0]];
  }

  block(agentId) {
    this.setTrust(agentId, 'blocked');
  }

  /**
   * [{ agentId, level, label, addedAt, identityType, lastSeen, machines }] by id. Contacts
   * change by your calls alone, never by what the network says; each change takes effect at
   * once and is followed by a 'contactChanged' event.
   */
  contacts() {
    return this.#core.callNow(abi.X0X_M_CONTACTS).map(contactOf);
  }

  /** What is on record about an agent, or undefined. */
  contact(agentId) {
    const [row] = this.#core.callNow(abi.X0X_M_CONTACT, [idBytes(AgentId, agentId)]);
    return row && contactOf(row);
  }

  /** setTrust() with a name of at most 256 bytes; the empty one leaves what is there. */
  addContact(agentId, level = 'known', label = '') {
    const args = [idBytes(AgentId, agentId), wordOf(level, TRUST_LEVELS, 'level'), labelOf(label)];
    this.#core.callNow(abi.X0X_M_ADD_CONTACT, args, 'Failed to add contact');
  }

  /** Names a contact; throws X0X_E_NOT_FOUND, as all that follow, where there is none. */
  setLabel(agentId, label) {
    this.#core.callNow(abi.X0X_M_SET_LABEL, [idBytes(AgentId, agentId), labelOf(label)], 'Failed to set label');
  }

  /** How you know that it is who it is: 'anonymous', 'known', 'trusted' or 'pinned'. */
  setIdentityType(agentId, identityType) {
    const args = [idBytes(AgentId, agentId), wordOf(identityType, IDENTITY_TYPES, 'identityType')];
    this.#core.callNow(abi.X0X_M_SET_IDENTITY_TYPE, args, 'Failed to set identity type');
  }

  /** [{ machineId, label, firstSeen, lastSeen, pinned }]; [] without a contact. */
  machines(agentId) {
    return this.contact(agentId)?.machines ?? [];
  }

  /** Notes a machine on which you expect a contact, not pinned. */
  addMachine(agentId, machineId, label = '') {
    this.#onMachine(abi.X0X_M_ADD_MACHINE, agentId, machineId, 'Failed to add machine', labelOf(label));
  }

  /** Forgets a machine of a contact, after unpinning it. */
  removeMachine(agentId, machineId) {
    this.#onMachine(abi.X0X_M_REMOVE_MACHINE, agentId, machineId, 'Failed to remove machine');
  }

  /** From now on the contact is accepted from its pinned machines, and from no other. */
  pinMachine(agentId, machineId) {
    this.#onMachine(abi.X0X_M_PIN_MACHINE, agentId, machineId, 'Failed to pin machine');
  }

  /** Takes back pinMachine(). Without pinned machines left the level alone decides. */
  unpinMachine(agentId, machineId) {
    this.#onMachine(abi.X0X_M_UNPIN_MACHINE, agentId, machineId, 'Failed to unpin machine');
  }

  #onMachine(method, agentId, machineId, what, ...more) {
    this.#core.callNow(method, [idBytes(AgentId, agentId), idBytes(MachineId, machineId), ...more], what);
  }

  /**
   * What would become of a message of this agent from this machine. The first that holds: no
   * contact 'Unknown', blocked 'RejectBlocked', pinned to this machine 'Accept', pinned to
   * others 'RejectMachineMismatch', trusted 'Accept', known 'AcceptWithFlag', else 'Unknown'.
   */
  evaluateTrust(agentId, machineId = undefined) {
    const args = [idBytes(AgentId, agentId)];
    if (machineId !== undefined) args.push(idBytes(MachineId, machineId));
    return TRUST_DECISIONS[this.#core.callNow(abi.X0X_M_EVALUATE_TRUST, args)[0]] ?? 'Unknown';
  }

  /** Whether it existed. */
  removeContact(agentId) {
    return this.#core.callNow(abi.X0X_M_REMOVE_CONTACT, [idBytes(AgentId, agentId)])[0];
  }

  // ------------------------------------------------------------------ presence

  /**
   * [{ agentId, machineId, addresses, lastSeen, source, online }] by id: who is online, as far
   * as this agent has heard; [] before joining. These are its neighbours, its contacts, whom it
   * watches, and whom presenceFoaf() found, unless they hide or are blocked. 'agentOnline' and
   * 'agentOffline' tell of changes.
   */
  presence() {
    return this.#core.callNow(abi.X0X_M_PRESENCE).map(presenceOf);
  }

  /** What is known of one agent, also of a contact that is offline; undefined if nothing is. */
  presenceStatus(agentId) {
    const row = this.#core.callNow(abi.X0X_M_PRESENCE_STATUS, [idBytes(AgentId, agentId)]);
    return row ? presenceOf(row) : undefined;
  }

  /** Events of an agent that is no contact, until unwatchPresence() or leaveNetwork(). */
  watchPresence(agentId) {
    this.#core.callNow(abi.X0X_M_WATCH_PRESENCE, [idBytes(AgentId, agentId)], 'Failed to watch presence');
  }

  /** Takes back watchPresence(). */
  unwatchPresence(agentId) {
    this.#core.callNow(abi.X0X_M_UNWATCH_PRESENCE, [idBytes(AgentId, agentId)], 'Failed to unwatch presence');
  }

  /**
   * Asks friends of friends who is online within `ttl` hops (2; 1 to 5). Resolves when all have
   * answered, or after `timeout` ms (5,000; at most 60,000) with what has come.
   */
  async presenceFoaf(options = undefined) {
    const { ttl = 2 } = optionsOf(options);
    const found = (rows) => rows.map(presenceOf);
    return this.#call(abi.X0X_M_PRESENCE_FOAF, [countOf(ttl, 'ttl', 255)], 'Failed to ask who is online', options, found);
  }

  /** Looks for one agent as presenceFoaf() does; undefined if nobody knew of it. */
  async findPresence(agentId, options = undefined) {
    const wanted = AgentId.from(agentId);
    return (await this.presenceFoaf(options)).find((entry) => entry.agentId.equals(wanted));
  }

  // ------------------------------------------------------------------ events

  /**
   * 'connected', 'disconnected', 'peerJoined', 'sessionReset', 'contactChanged',
   * 'identityConflict', 'agentOnline', 'agentOffline', 'message', 'lagged', 'log', 'error',
   * 'closed'; other names are accepted and never fire. Returns an EventListener with stop(),
   * on(), once() and off().
   */
  on(event, callback) {
    return this.#core.emitter.on(event, callback);
  }

  once(event, callback) {
    return this.#core.emitter.once(event, callback);
  }

  /** off(event) removes all listeners of the event, off(event, callback) the first such one. */
  off(event, callback = undefined) {
    this.#core.emitter.off(event, callback);
    return this;
  }

  listenerCount(event) {
    return this.#core.emitter.listenerCount(event);
  }

  // ------------------------------------------------------------------ life

  get closed() {
    return this.#core.isClosed;
  }

  /** Keeps the process running while this agent is open, whether something is under way or not. */
  ref() {
    this.#core.setMode('ref');
    return this;
  }

  /** Lets the process end although something of this agent is under way. */
  unref() {
    this.#core.setMode('unref');
    return this;
  }

  /**
   * Says goodbye, waits up to `grace` ms (default: the option closeGrace, 2,000) for sends
   * under way, and ends everything of this agent. Idempotent, and bounded by the grace.
   */
  async close(options = undefined) {
    const { grace = 0 } = optionsOf(options);
    if (typeof grace !== 'number') throw invalid(TypeError, `grace must be a number of milliseconds, got ${kind(grace)}`);
    if (!(grace >= 0 && grace < abi.X0X_NO_TIMEOUT)) throw invalid(RangeError, `grace must be 0 or more milliseconds, got ${grace}`);
    await this.#core.close(Math.ceil(grace));
  }

  async [Symbol.asyncDispose]() {
    await this.close();
  }

  [inspect.custom]() {
    return `Agent('${this.agentId.toString().slice(0, 16)}'${this.closed ? ', closed' : ''})`;
  }

  async #call(method, args, what, options, decode = undefined) {
    const given = optionsOf(options);
    return this.#core.call(method, [...args, timeoutOf(given)], what, signalOf(given), decode);
  }
}

function idBytes(Type, value) {
  return Id.raw(Type.from(value));
}

function outcomeOf([outcome, address]) {
  return { outcome: OUTCOMES[outcome] ?? 'Unreachable', address: address ?? undefined };
}

function receiptOf([path, rtt, sequence]) {
  return { path, rtt: rtt / 1000, sequence };
}

function closedError() {
  return new X0XError(abi.X0X_E_CLOSED, 'Failed to receive: the agent is closed');
}

module.exports = { Agent };
