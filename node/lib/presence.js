'use strict';

const { AgentId, MachineId } = require('./ids.js');

/** By their numbers in x0x.h: to whom an agent says that it is online. */
const VISIBILITIES = Object.freeze(['network', 'social', 'hidden']);
/** How it is known that an agent is online; there is no 0. */
const SOURCES = Object.freeze([undefined, 'direct', 'foaf']);

/** A row of X0X_M_PRESENCE; a newer library may append to it. */
function presenceOf([agent, machine, addresses, lastSeen, source, online]) {
  return {
    agentId: new AgentId(agent),
    machineId: new MachineId(machine),
    addresses,
    lastSeen: lastSeen || undefined,
    source: SOURCES[source] ?? 'foaf',
    online,
  };
}

module.exports = { presenceOf, VISIBILITIES };
