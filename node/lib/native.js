'use strict';

/**
 * Finds and loads the addon, once per JavaScript environment and not before the first agent:
 * requiring this package starts no thread. ESM and CommonJS both end here, so a program that
 * mixes them still has one instance.
 */

const fs = require('node:fs');
const path = require('node:path');
const abi = require('./abi.js');
const { X0XError } = require('./errors.js');

/**
 * 'gnu' or 'musl' on Linux, else undefined. A program names its dynamic loader within the first
 * kilobyte; process.report would tell too, but takes tens of milliseconds.
 */
function libc(executable = process.execPath) {
  if (process.platform !== 'linux') return undefined;
  const head = Buffer.alloc(1024);
  try {
    const fd = fs.openSync(executable, 'r');
    try {
      fs.readSync(fd, head, 0, head.length, 0);
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    return 'gnu'; // loading says what is wrong, if anything is
  }
  return head.includes('/ld-musl-') ? 'musl' : 'gnu';
}

function platformId(platform = process.platform, arch = process.arch, c = libc()) {
  return c ? `${platform}-${arch}-${c}` : `${platform}-${arch}`;
}

const PREBUILDS = { 'linux-x64-gnu': 'linux-x64' };

function unsupported(id, cause) {
  const supported = Object.keys(PREBUILDS).join(', ');
  const why = id.endsWith('-musl') ? ' (the Go runtime cannot be loaded as a library on musl; use a glibc image)' : '';
  return new X0XError(abi.X0X_E_UNSUPPORTED, `x0x: ${id} is not supported yet${why}; supported: ${supported}`, { cause });
}

/** The folder of the addon for a platform id, or an error that says what is supported. */
function locate(id = platformId()) {
  const folder = PREBUILDS[id];
  if (!folder) throw unsupported(id);
  return path.join(__dirname, '..', 'prebuilds', folder, 'x0x.node');
}

let loaded;

function load() {
  if (loaded) return loaded;
  const file = locate();
  let addon;
  try {
    addon = require(file);
  } catch (cause) {
    throw new X0XError(
      abi.X0X_E_UNSUPPORTED,
      `x0x: the addon could not be loaded: ${cause.message.split('\n')[0]}. ` +
        'Reinstall the package, or run `npm run build` in a source checkout.',
      { cause },
    );
  }
  // A library of the same major and an equal or higher minor version serves this package.
  const have = addon.version().abi;
  if (have >>> 16 !== abi.X0X_ABI_MAJOR || (have & 0xffff) < abi.X0X_ABI_MINOR) {
    throw new X0XError(
      abi.X0X_E_UNSUPPORTED,
      `x0x: libx0x.so speaks ABI ${have >>> 16}.${have & 0xffff}, this package needs ${abi.X0X_ABI_MAJOR}.${abi.X0X_ABI_MINOR}`,
    );
  }
  return (loaded = addon);
}

module.exports = { load, locate, libc, platformId };
