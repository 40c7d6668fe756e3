'use strict';

const { Agent } = require('./agent.js');
const { AgentBuilder } = require('./builder.js');
const { Subscription } = require('./subscription.js');
const { Message, DirectMessage } = require('./message.js');
const { AgentId, MachineId, UserId } = require('./ids.js');
const { X0XError, LaggedError } = require('./errors.js');
const { EventEmitter, EventListener } = require('./events.js');
const native = require('./native.js');
const abi = require('./abi.js');
const { version } = require('../package.json');

/** { version, build, abi, features } of the library; loads it. */
function libraryInfo() {
  return native.load().version();
}

/** How many handles are open in this process; 0 when every agent is closed. Kinds as in x0x.h. */
function liveHandles(kind = abi.X0X_KIND_ANY) {
  return native.load().liveHandles(kind);
}

module.exports = {
  Agent,
  AgentBuilder,
  AgentId,
  MachineId,
  UserId,
  Message,
  DirectMessage,
  Subscription,
  X0XError,
  LaggedError,
  EventEmitter,
  EventListener,
  EventListenerRef: EventListener,
  VERSION: version,
  NAME: 'x0x',
  libraryInfo,
  liveHandles,
  __platform__: Object.freeze({
    getPlatformId: () => native.platformId(),
    getLibc: () => native.libc(),
    detected: native.platformId(),
  }),
};
