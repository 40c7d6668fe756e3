'use strict';

const { invalid } = require('./errors.js');
const { optionsOf, kind } = require('./check.js');

const build = Symbol('build');

/** Collects options under the names that users of earlier versions know. Used once. */
class AgentBuilder {
  #Agent;
  #options = {};
  #consumed = false;

  /** How the builder asks Agent for an instance with its own error text. */
  static build = build;

  constructor(Agent) {
    this.#Agent = Agent;
  }

  #with(name, value) {
    if (this.#consumed) throw invalid(TypeError, 'Builder already consumed by build()');
    this.#options[name] = value;
    return this;
  }

  /** A key file that exists. */
  withMachineKey(path) {
    return this.#with('machineKeyPath', path);
  }

  withMachineKeypair(keypair) {
    return this.#with('machineKey', keypair);
  }

  /** withAgentKey(keypair), or withAgentKey(publicKey, secretKey). */
  withAgentKey(keyOrPublic, secret = undefined) {
    return this.#with('agentKey', secret === undefined ? keyOrPublic : [keyOrPublic, secret]);
  }

  withAgentKeypair(keypair) {
    return this.#with('agentKey', keypair);
  }

  withAgentKeyPath(path) {
    return this.#with('agentKeyPath', path);
  }

  /** The key of the person behind the agent, as withAgentKey. */
  withUserKey(keyOrPublic, secret = undefined) {
    return this.#with('userKey', secret === undefined ? keyOrPublic : [keyOrPublic, secret]);
  }

  withUserKeyPath(path) {
    return this.#with('userKeyPath', path);
  }

  /** The file of contacts. */
  withContactStorePath(path) {
    return this.#with('contactsPath', path);
  }

  /** A persistent identity: 'alice' is ~/.x0x-alice, 'default' is ~/.x0x. */
  withName(name) {
    return this.#with('name', name);
  }

  withIdentityDir(path) {
    return this.#with('identityDir', path);
  }

  withHomeDir(path) {
    return this.#with('homeDir', path);
  }

  withRuntimeDir(path) {
    return this.#with('runtimeDir', path);
  }

  withNetworkId(id) {
    return this.#with('networkId', id);
  }

  withBind(address) {
    return this.#with('bind', address);
  }

  withBootstrap(addresses) {
    return this.#with('bootstrap', addresses);
  }

  /** To whom this agent says that it is online: 'network', 'social' or 'hidden'. */
  withVisibility(visibility) {
    return this.#with('visibility', visibility);
  }

  /** How often it says so: the option presenceInterval, but in seconds. */
  withPresenceBeaconInterval(seconds) {
    return this.#with('presenceInterval', milliseconds(seconds));
  }

  /** When another agent is offline at the latest: the option presenceTimeout, but in seconds. */
  withPresenceOfflineTimeout(seconds) {
    return this.#with('presenceTimeout', milliseconds(seconds));
  }

  /** Any options of Agent. */
  withOptions(options) {
    for (const [name, value] of Object.entries(optionsOf(options))) this.#with(name, value);
    return this;
  }

  async build() {
    if (this.#consumed) throw invalid(TypeError, 'Builder already consumed - create a new builder with Agent.builder()');
    this.#consumed = true;
    return this.#Agent[build](this.#options);
  }
}

function milliseconds(seconds) {
  if (typeof seconds !== 'number') throw invalid(TypeError, `seconds must be a number, got ${kind(seconds)}`);
  return Math.round(seconds * 1000);
}

module.exports = { AgentBuilder };
