'use strict';

const abi = require('./abi.js');

/** 'X0X_E_TIMEOUT' -> 'timeout' */
function kindOf(symbol) {
  return symbol.replace(/^X0X_(E_|S_)?/, '').toLowerCase();
}

/**
 * Every failure that the library reports. `code` is the C name and never changes its meaning;
 * branch on it (or on `kind`, the same in lower case), not on the text.
 */
class X0XError extends Error {
  constructor(status, message, { flags = 0, cause, details } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
    this.code = abi.STATUS_NAMES[status] ?? 'X0X_E_UNKNOWN';
    this.kind = kindOf(this.code);
    /** The same call may succeed later. */
    this.retryable = (flags & abi.X0X_ERRF_RETRYABLE) !== 0;
    /** The agent is no longer usable. */
    this.fatal = (flags & abi.X0X_ERRF_FATAL) !== 0;
    /** Of a failed send: 'no', 'unknown', or undefined where the question does not arise. */
    this.delivered =
      flags & abi.X0X_ERRF_NOT_DELIVERED ? 'no' : flags & abi.X0X_ERRF_DELIVERY_UNKNOWN ? 'unknown' : undefined;
    if (details !== undefined && details !== null) this.details = details;
  }
}
Object.defineProperty(X0XError.prototype, 'name', { value: 'X0XError', configurable: true, writable: true });

/** A reader that asked for it (`lagged: 'throw'`) missed messages at this position. */
class LaggedError extends X0XError {
  constructor(lag) {
    super(abi.X0X_E_LAGGED, `${lag.count} messages were dropped because this reader was slow`);
    this.count = lag.count;
    this.firstSequence = lag.firstSequence;
    this.lastSequence = lag.lastSequence;
  }
}
Object.defineProperty(LaggedError.prototype, 'name', { value: 'LaggedError', configurable: true, writable: true });

/** What an AbortSignal causes: `name` is 'AbortError' as everywhere in Node, `cause` the reason. */
function aborted(signal, flags = 0) {
  const error = new X0XError(abi.X0X_E_CANCELLED, 'The operation was aborted', { flags, cause: signal.reason });
  Object.defineProperty(error, 'name', { value: 'AbortError', configurable: true, writable: true });
  return error;
}

/** Arguments that can be refused before the library is asked. */
function invalid(Type, message) {
  const error = new Type(message);
  error.code = 'X0X_E_INVALID_ARGUMENT';
  error.kind = 'invalid_argument';
  return error;
}

module.exports = { X0XError, LaggedError, aborted, invalid };
