'use strict';

/**
 * Signals that land on threads of the library. libuv's handlers run on the stack that they
 * find, and a goroutine's is small: async signals are blocked on those threads, and SIGCHLD,
 * which cannot be, gets an alternate stack.
 */

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const { network, packageDir } = require('./network.js');

const tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'x0x-node-storm-'));
const storm = path.join(tmp, 'storm');
execFileSync(process.env.CC ?? 'gcc', ['-O2', '-o', storm, path.join(__dirname, 'data', 'storm.c')]);
test.after(() => fs.rmSync(tmp, { recursive: true, force: true }));

/** Runs the talking pair, calls attack(pid) when it talks; what it reports at the end. */
async function underFire(attack, mode = '') {
  const options = network();
  const child = spawn(process.execPath, [path.join(__dirname, 'data', 'under-fire.js'), packageDir, JSON.stringify(options), mode]);
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (data) => (stderr += data));
  const closed = once(child, 'close');
  await Promise.race([
    new Promise((resolve) => child.stdout.on('data', (data) => (stdout += data).includes('ready') && resolve())),
    closed.then(([code, signal]) => assert.fail(`ended early: ${code} ${signal} ${stderr}`)),
  ]);
  const sent = await attack(child.pid);
  child.stdin.on('error', () => {}); // it died: the code tells
  child.stdin.end('stop');
  const [code, signal] = await closed;
  fs.rmSync(options.runtimeDir, { recursive: true, force: true });
  assert.deepEqual([code, signal], [0, null], stderr.slice(0, 2000));
  return { ...JSON.parse(stdout.trim().split('\n').at(-1)), sent };
}

async function run(file, args) {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.on('data', (data) => (stdout += data));
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
  return Number(stdout);
}

for (const name of ['SIGUSR2', 'SIGWINCH', 'SIGCHLD', 'SIGURG', 'SIGPIPE']) {
  test(`a storm of ${name} at every thread`, async () => {
    const result = await underFire((pid) => run(storm, [pid, os.constants.signals[name], 1000]));
    assert.ok(result.sent > 5000, `${result.sent} signals`);
    assert.ok(result.rounds > 20);
    assert.equal(result.handles, 0);
    if (name === 'SIGUSR2' || name === 'SIGWINCH') assert.ok(result.signals > 0, 'the handler of the program ran');
  });
}

test('a storm of SIGCHLD while children come and go', async () => {
  const result = await underFire((pid) => run(storm, [pid, os.constants.signals.SIGCHLD, 1000]), 'spawn');
  assert.ok(result.children > 20, `${result.children} children`);
  assert.equal(result.handles, 0);
});
