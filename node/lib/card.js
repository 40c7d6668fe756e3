'use strict';

const { AgentId, MachineId, UserId } = require('./ids.js');
const { TRUST_LEVELS } = require('./message.js');
const { invalid } = require('./errors.js');
const { kind, labelOf, countOf } = require('./check.js');

/** The arguments of X0X_M_CARD. */
function cardArgs({ displayName = '', addresses, groups = [], stores = [], lifetime, includeUser = false, humanConsent = false }) {
  return [
    labelOf(displayName, 'displayName'),
    addresses === undefined ? null : listOf(addresses, 'addresses').map((address) => labelOf(address, 'address')),
    listOf(groups, 'groups').map((group) => pairOf(group, 'name', 'inviteLink')),
    listOf(stores, 'stores').map((store) => pairOf(store, 'name', 'topic')),
    lifetime === undefined ? 0 : Math.ceil(countOf(Math.ceil(lifetime), 'lifetime', Number.MAX_SAFE_INTEGER) / 1000),
    flagOf(includeUser, 'includeUser'),
    flagOf(humanConsent, 'humanConsent'),
  ];
}

function listOf(value, name) {
  if (!Array.isArray(value)) throw invalid(TypeError, `${name} must be an array, got ${kind(value)}`);
  return value;
}

function pairOf(value, first, second) {
  if (value === null || typeof value !== 'object') throw invalid(TypeError, `expected { ${first}, ${second} }, got ${kind(value)}`);
  return [labelOf(value[first], first), labelOf(value[second], second)];
}

function flagOf(value, name) {
  if (typeof value !== 'boolean') throw invalid(TypeError, `${name} must be true or false, got ${kind(value)}`);
  return value;
}

/** The result of X0X_M_IMPORT_CARD; a newer library may append to it. */
function importedOf([agent, added, level, displayName, machine, user, addresses, groups, stores, created, expires]) {
  return {
    agentId: new AgentId(agent),
    added,
    level: TRUST_LEVELS[level] ?? 'unknown',
    displayName,
    machineId: machine ? new MachineId(machine) : undefined,
    userId: user ? new UserId(user) : undefined,
    addresses,
    groups: groups.map(([name, inviteLink]) => ({ name, inviteLink })),
    stores: stores.map(([name, topic]) => ({ name, topic })),
    createdAt: created * 1000,
    expiresAt: expires * 1000,
  };
}

/** The result of X0X_M_CERTIFICATE. */
function certificateOf([bytes, user, issuedAt, expiresAt]) {
  return bytes ? { userId: new UserId(user), issuedAt, expiresAt, bytes: Buffer.from(bytes) } : undefined;
}

module.exports = { cardArgs, importedOf, certificateOf };
