'use strict';

const abi = require('./abi.js');
const { invalid } = require('./errors.js');
const { kind, wordOf } = require('./check.js');
const { TRUST_LEVELS } = require('./message.js');
const { VISIBILITIES } = require('./presence.js');

/**
 * Agent options: camelCase here, the fields of x0x_options for the addon. One row each: the
 * field and how a value gets there. An unknown name is an error, so that a misspelt option is
 * not silently the default.
 */
const text = (value, name) => {
  if (typeof value !== 'string') throw invalid(TypeError, `${name} must be a string, got ${kind(value)}`);
  if (value.includes('\0')) throw invalid(RangeError, `${name} contains a NUL`);
  return value;
};
const whole = (low, high) => (value, name) => {
  if (typeof value !== 'number') throw invalid(TypeError, `${name} must be a number, got ${kind(value)}`);
  if (!Number.isInteger(value) || value < low || value > high) {
    throw invalid(RangeError, `${name} must be a whole number from ${low} to ${high}, got ${value}`);
  }
  return value;
};
const u32 = whole(0, 0xffffffff);
const u64 = whole(0, Number.MAX_SAFE_INTEGER);
const i32 = whole(-0x80000000, 0x7fffffff);

/** A key file image of 6,000 bytes, a seed of 32, public and secret joined, or [public, secret]. */
function key(value, name) {
  if (Array.isArray(value) && value.length === 2 && value.every((part) => part instanceof Uint8Array)) return Buffer.concat(value);
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw invalid(TypeError, `${name} must be a Buffer or [publicKey, secretKey], got ${kind(value)}`);
}

function hosts(value, name) {
  const list = Array.isArray(value) ? value : [value];
  return list.map((host) => text(host, name)).join(',');
}

/** By name, or by its number. */
function visibility(value, name) {
  return wordOf(typeof value === 'number' ? (VISIBILITIES[value] ?? String(value)) : value, VISIBILITIES, name);
}

const ROWS = {
  name: ['name', text],
  homeDir: ['home_dir', text],
  identityDir: ['identity_dir', text],
  runtimeDir: ['runtime_dir', text],
  networkId: ['network_id', text],
  bind: ['bind', text],
  bootstrap: ['bootstrap', hosts],
  machineKeyPath: ['machine_key_path', text],
  agentKeyPath: ['agent_key_path', text],
  machineKey: ['machine_key', key],
  agentKey: ['agent_key', key],
  contactsPath: ['contacts_path', text],
  userKeyPath: ['user_key_path', text],
  userKey: ['user_key', key],
  dialTimeout: ['dial_timeout_ms', u32],
  sendTimeout: ['send_timeout_ms', u32],
  peerTimeout: ['peer_timeout_ms', u32],
  sessionTtl: ['session_ttl_ms', u32],
  closeGrace: ['close_grace_ms', u32],
  acceptFrom: ['accept_from', (value, name) => wordOf(value, TRUST_LEVELS, name)],
  inboxMessages: ['inbox_messages', u32],
  inboxBytes: ['inbox_bytes', u64],
  maxOperations: ['max_operations', u32],
  maxPeers: ['max_peers', u32],
  activePeers: ['active_peers', u32],
  passivePeers: ['passive_peers', u32],
  maxPeersPerAddress: ['max_peers_per_address', i32],
  visibility: ['visibility', visibility],
  presenceInterval: ['presence_interval_ms', u32],
  presenceTimeout: ['presence_timeout_ms', u32],
  goMaxProcs: ['go_max_procs', u32],
  goGcPercent: ['go_gc_percent', i32],
  goMemoryLimit: ['go_memory_limit', u64],
};

/** Switches that are on by default here and a flag when off (or the other way round). */
const FLAGS = {
  localDiscovery: [abi.X0X_OPEN_NO_LOCAL_DISCOVERY, false],
  relay: [abi.X0X_OPEN_NO_RELAY, false],
  keepNofile: [abi.X0X_OPEN_KEEP_NOFILE, true],
};

/** The object that the addon reads; options of this layer alone are left to the caller. */
function agentOptions(options, own = []) {
  const out = { flags: 0 };
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || own.includes(name)) continue;
    if (Object.hasOwn(ROWS, name)) {
      const [field, convert] = ROWS[name];
      out[field] = convert(value, name);
    } else if (Object.hasOwn(FLAGS, name)) {
      if (typeof value !== 'boolean') throw invalid(TypeError, `${name} must be true or false, got ${kind(value)}`);
      const [flag, when] = FLAGS[name];
      if (value === when) out.flags |= flag;
    } else {
      throw invalid(TypeError, `unknown option: ${name}`);
    }
  }
  return out;
}

module.exports = { agentOptions };
