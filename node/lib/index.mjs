// The same single instance as require('x0x'), with names to import.
import x0x from './index.js';

export const {
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
  EventListenerRef,
  VERSION,
  NAME,
  libraryInfo,
  liveHandles,
  __platform__,
} = x0x;
export default x0x;
