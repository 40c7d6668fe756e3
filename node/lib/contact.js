'use strict';

const { AgentId, MachineId } = require('./ids.js');
const { TRUST_LEVELS, IDENTITY_TYPES } = require('./message.js');

/** A row of X0X_M_CONTACTS; a newer library may append to it. */
function contactOf([agent, level, label, addedAt, identityType, lastSeen, machines]) {
  return {
    agentId: new AgentId(agent),
    level: TRUST_LEVELS[level] ?? 'unknown',
    label,
    addedAt,
    identityType: IDENTITY_TYPES[identityType] ?? 'anonymous',
    lastSeen: lastSeen || undefined,
    machines: machines.map(machineOf),
  };
}

function machineOf([machine, label, firstSeen, lastSeen, pinned]) {
  return { machineId: new MachineId(machine), label, firstSeen, lastSeen: lastSeen || undefined, pinned };
}

module.exports = { contactOf };
