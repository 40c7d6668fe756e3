'use strict';

/**
 * What an Agent is inside: the handle, its listeners, and what keeps it alive. The runtime
 * knows cores, not Agents, so that an Agent nobody refers to can be collected, and is then
 * closed. While something of it is under way (a call, a waiting reader, a listener, a
 * subscription with a callback) the core holds the Agent too.
 */

const abi = require('./abi.js');
const runtime = require('./runtime.js');
const msgpack = require('./msgpack.js');
const { X0XError } = require('./errors.js');
const { EventEmitter } = require('./events.js');
const { AgentId, MachineId } = require('./ids.js');

const collected = new FinalizationRegistry((core) => core.abandon());

class Core {
  handle = 0;
  /** Level of the log records that the listeners of 'log' get; undefined without listeners. */
  logLevel = undefined;
  #agent; // WeakRef
  #held; // the Agent itself, while holds or listeners are there
  #holds = 0;
  #listening = new Set();
  #mode = 'auto';
  #counted = false;
  #closing;
  #closed = false;
  #resolveClosed;
  #wantedLevel;

  constructor(agent, options, { what, logLevel }) {
    this.addon = runtime.start();
    this.emitter = new EventEmitter((event) => this.#listenersChanged(event));
    this.#agent = new WeakRef(agent);
    this.#wantedLevel = logLevel;
    try {
      this.handle = runtime.check(this.addon.open(options), what);
    } catch (error) {
      runtime.closeQueueIfIdle();
      throw error;
    }
    runtime.cores.set(this.handle, this);
    collected.register(agent, this, this);
  }

  get isClosed() {
    return this.#closed;
  }

  get isClosing() {
    return this.#closing !== undefined;
  }

  // ---- operations

  /** Starts an asynchronous method; args are encoded with the timeout as their last element. */
  call(method, args, what, signal, decode) {
    const encoded = msgpack.encode(args);
    return runtime.operate(
      this,
      what,
      signal,
      (token, want) => this.addon.call(this.handle, method, encoded, token, want),
      decode,
    );
  }

  callNow(method, args = undefined, what = undefined) {
    return runtime.callNow(this.handle, method, args, what);
  }

  // ---- what keeps it alive

  hold() {
    if (this.#holds++ === 0) this.#update();
  }

  release() {
    if (--this.#holds === 0) this.#update();
  }

  /** 'auto': while something is under way; 'ref': while open; 'unref': never. */
  setMode(mode) {
    this.#mode = mode;
    this.#update();
  }

  #update() {
    const open = !this.#closed;
    this.#held = open && (this.#holds > 0 || this.#listening.size > 0 || this.#mode === 'ref') ? this.#agent.deref() : undefined;
    const counts =
      open && (this.#mode === 'ref' || (this.#mode === 'auto' && (this.#holds > 0 || this.#listening.has('message'))));
    if (counts !== this.#counted) {
      this.#counted = counts;
      runtime.keepAlive(counts ? 1 : -1);
    }
  }

  #listenersChanged(event) {
    const any = this.emitter.listenerCount(event) > 0;
    if (any) this.#listening.add(event);
    else this.#listening.delete(event);
    if (this.#closed) return;
    if (event === 'message') {
      const mask = abi.X0X_EVENTS_LIFECYCLE | (any ? abi.X0X_EVENTS_MESSAGE : 0);
      this.addon.callNow(this.handle, abi.X0X_M_SET_EVENTS, msgpack.encode([mask]));
    } else if (event === 'log') {
      this.logLevel = any ? this.#wantedLevel : undefined;
      runtime.updateLogging();
    }
    this.#update();
  }

  // ---- records

  event(kind, timestamp, meta) {
    const { emitter } = this;
    switch (kind) {
      case abi.X0X_R_CONNECTED: {
        const [agent, machine, address, path] = meta;
        return emitter.emit('connected', { ...peer(agent, machine), address, path, timestamp });
      }
      case abi.X0X_R_DISCONNECTED: {
        const [agent, machine, status, message] = meta;
        const code = abi.STATUS_NAMES[status] ?? 'X0X_E_UNKNOWN';
        return emitter.emit('disconnected', { ...peer(agent, machine), code, message, timestamp });
      }
      case abi.X0X_R_PEER_JOINED: {
        const [agent, machine, address] = meta;
        return emitter.emit('peerJoined', { ...peer(agent, machine), address, timestamp });
      }
      case abi.X0X_R_SESSION_RESET:
        return emitter.emit('sessionReset', { agentId: new AgentId(meta[0]), timestamp });
      case abi.X0X_R_CONTACT_CHANGED:
        return emitter.emit('contactChanged', { agentId: new AgentId(meta[0]), timestamp });
      case abi.X0X_R_IDENTITY_CONFLICT:
      case abi.X0X_R_AGENT_ONLINE: {
        const [agent, machine, address] = meta;
        const name = kind === abi.X0X_R_AGENT_ONLINE ? 'agentOnline' : 'identityConflict';
        return emitter.emit(name, { ...peer(agent, machine), address: address ?? undefined, timestamp });
      }
      case abi.X0X_R_AGENT_OFFLINE:
        return emitter.emit('agentOffline', { ...peer(meta[0], meta[1]), timestamp });
      case abi.X0X_R_LAGGED: {
        const [count, firstSequence, lastSequence] = meta;
        return emitter.emit('lagged', { source: 'events', topic: undefined, count, firstSequence, lastSequence });
      }
      case abi.X0X_R_ERROR:
      case abi.X0X_R_FATAL: {
        const [status, message, agent] = meta;
        const flags = kind === abi.X0X_R_FATAL ? abi.X0X_ERRF_FATAL : 0;
        const error = new X0XError(status, message, { flags });
        if (agent) error.agentId = new AgentId(agent);
        return emitter.emit('error', error);
      }
      default:
        return false; // a kind from a newer library
    }
  }

  // ---- the end

  close(grace) {
    if (this.#closing) return this.#closing;
    this.#closing = new Promise((resolve) => (this.#resolveClosed = resolve));
    this.hold();
    const status = this.addon.close(this.handle, grace);
    if (status < 0) this.closed(status); // gone already, and its last record with it
    return this.#closing;
  }

  /** The last record of this agent. */
  closed() {
    if (this.#closed) return;
    this.#closed = true;
    this.#closing ??= Promise.resolve();
    collected.unregister(this);
    runtime.cores.delete(this.handle);
    this.addon.forget(this.handle);
    this.#update();
    if (this.logLevel !== undefined) {
      this.logLevel = undefined;
      runtime.updateLogging();
    }
    this.#resolveClosed?.();
    this.emitter.emit('closed', undefined);
    this.emitter.clear();
  }

  /** The Agent was collected: nobody can wait for it any more. */
  abandon() {
    if (!this.#closed) this.addon.close(this.handle, 0);
  }
}

function peer(agent, machine) {
  const agentId = new AgentId(agent);
  const machineId = new MachineId(machine);
  const peerId = machineId.toString();
  return { agentId, machineId, peerId, peer_id: peerId };
}

module.exports = { Core };
