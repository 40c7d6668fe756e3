'use strict';

/** What the tests share: a network of their own for each, closed and checked for leaks after it. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawn } = require('node:child_process');
const x0x = require('..');

let networks = 0;

/** Agent options of a network that nobody else is in. */
function network() {
  const runtimeDir = fs.mkdtempSync(path.join(os.tmpdir(), 'x0x-node-test-'));
  return { runtimeDir, networkId: `node-test-${process.pid}-${++networks}` };
}

/** Runs body(network, open), then closes what open() made and asserts that no handle is left. */
async function inNetwork(body) {
  const options = network();
  const agents = [];
  const open = (more = {}) => {
    const agent = new x0x.Agent({ ...options, ...more });
    agents.push(agent);
    return agent;
  };
  try {
    await body(open, options);
  } finally {
    await Promise.all(agents.map((agent) => agent.close({ grace: 1000 })));
    fs.rmSync(options.runtimeDir, { recursive: true, force: true });
  }
  await noHandles();
}

/** Two agents that see each other. */
async function inPair(body, optionsA = {}, optionsB = {}) {
  await inNetwork(async (open, options) => {
    const a = open(optionsA);
    const b = open(optionsB);
    await Promise.all([a.joinNetwork(), b.joinNetwork()]);
    await a.connectToAgent(b.agentId, { timeout: 10_000 });
    await until(() => a.isAgentConnected(b.agentId) && b.isAgentConnected(a.agentId), 'the pair is connected');
    await body(a, b, open, options);
  });
}

/** The queue goes with the last agent, at the latest a few turns of the loop later. */
async function noHandles() {
  await until(() => x0x.liveHandles() === 0, () => `${x0x.liveHandles()} handles are open`);
}

/** Waits for a condition that no promise tells about, turn by turn of the event loop. */
async function until(condition, what, limit = 20_000) {
  const deadline = Date.now() + limit;
  while (!condition()) {
    assert.ok(Date.now() < deadline, typeof what === 'function' ? what() : `waited for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The next event of this name. */
function event(agent, name, limit = 20_000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no '${name}' event`)), limit);
    agent.once(name, (payload) => {
      clearTimeout(timer);
      resolve(payload);
    });
  });
}

/** Runs a program; { code, signal, stdout, stderr, ms }. Killed, which fails the caller, at the limit. */
function run(file, args = [], { limit = 30_000, execArgv = [], env = {}, onLine, input } = {}) {
  return new Promise((resolve, reject) => {
    const began = Date.now();
    const child = spawn(process.execPath, [...execArgv, file, ...args], { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    let killed = false;
    const timer = setTimeout(() => {
      killed = true;
      child.kill('SIGKILL');
    }, limit);
    let rest = '';
    child.stdout.on('data', (data) => {
      stdout += data;
      rest += data;
      const lines = rest.split('\n');
      rest = lines.pop();
      if (onLine) for (const line of lines) onLine(line, child);
    });
    child.stderr.on('data', (data) => (stderr += data));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr, killed, ms: Date.now() - began });
    });
    if (input !== undefined) child.stdin.end(input);
  });
}

/** The package's directory, for programs in other processes. */
const packageDir = path.join(__dirname, '..');

module.exports = { x0x, network, inNetwork, inPair, noHandles, until, event, run, packageDir };
