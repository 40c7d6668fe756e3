'use strict';

/** The programs that people copy do what they say. */

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { network, run, packageDir } = require('./network.js');

const example = (name) => path.join(packageDir, 'examples', name);

/**
 * The examples take no options, so their default agents are kept apart from those of others by
 * a preloaded module that gives every Agent a network of the test.
 */
async function inNetwork(name, args = []) {
  const options = network();
  const preload = path.join(options.runtimeDir, 'preload.js');
  fs.writeFileSync(
    preload,
    `const file = require.resolve(${JSON.stringify(path.join(packageDir, 'lib/options.js'))});
     const module_ = require(file);
     const { agentOptions } = module_;
     module_.agentOptions = (options, own) => agentOptions({ ...${JSON.stringify(options)}, ...options }, own);`,
  );
  const result = await run(example(name), args, { execArgv: ['--require', preload] });
  fs.rmSync(options.runtimeDir, { recursive: true, force: true });
  assert.deepEqual([result.code, result.stderr, result.killed], [0, '', false], `${name}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

test('quickstart.js', async () => {
  const { runtimeDir, networkId } = network();
  const { code, stdout, stderr } = await run(example('quickstart.js'), ['--runtime-dir', runtimeDir, '--network', networkId]);
  fs.rmSync(runtimeDir, { recursive: true, force: true });
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^connected: (Direct|AlreadyConnected)$/m);
  assert.match(stdout, /says 'hello, second process'/);
  assert.match(stdout, /says 'hello, first process'/);
});

test('quickstart.mjs', async () => {
  assert.equal(await inNetwork('quickstart.mjs'), '');
});

test('basic-agent.js', async () => {
  assert.match(await inNetwork('basic-agent.js'), /^agent {3}[0-9a-f]{64}\nmachine [0-9a-f]{64}\nlistening at .+\npeers 0\n$/);
});

test('pubsub.js', async () => {
  const lines = (await inNetwork('pubsub.js')).trim().split('\n');
  assert.deepEqual(lines.map((line) => line.replace(/^[0-9a-f]{8} /, '')), [1, 2, 3, 4, 5].map((n) => `#${n}: hello ${n}`));
});

test('multi-agent.mjs', async () => {
  const sums = (await inNetwork('multi-agent.mjs')).match(/sum: \d+/g).sort();
  assert.deepEqual(sums, ['sum: 3', 'sum: 6', 'sum: 9']);
});

test('topic-mesh.mjs', async () => {
  const lines = (await inNetwork('topic-mesh.mjs')).trimEnd().split('\n');
  assert.equal(lines.length, 5, lines.join('\n'));
  assert.match(lines[0], /^'examples\/mesh': high priority, 0 subscriptions, \d+ retained, 0 missing$/);
  for (const line of lines.slice(1, 3)) assert.match(line, /^  [0-9a-f]{16}  (eager|lazy ) {2}subscribes {12} +(\?|[\d.]+) ms  \d+ first, \d+ duplicate$/);
  assert.match(lines.join(), /  eager  /); // of three that all know each other one link may rest
  assert.match(lines[3], /^neighbours: \[ AgentId\('[0-9a-f]{16}'\), AgentId\('[0-9a-f]{16}'\) \]$/);
  assert.match(lines[4], /^published 1, forwarded \d+$/);
});

test('presence.mjs', async () => {
  assert.match(await inNetwork('presence.mjs'), /^online {2}[0-9a-f]{16} on machine [0-9a-f]{16}\nlisted {2}1\nfound {3}yes, (direct|foaf)\noffline [0-9a-f]{16}\n$/);
});

test('demo_peer.js: two of them, and one that is told to go', async () => {
  const options = network();
  const args = (name) => [name, '--network', options.networkId, '--runtime-dir', options.runtimeDir, '--peers', '1', '--timeout', '20'];
  const onLine = (line, child) => {
    const { event } = JSON.parse(line);
    if (event === 'open') child.stdin.write('start\n');
    if (event === 'done') child.stdin.end();
  };
  const [a, b] = await Promise.all(['ann', 'ben'].map((name) => run(example('demo_peer.js'), args(name), { onLine })));
  for (const [result, other] of [[a, b], [b, a]]) {
    assert.deepEqual([result.code, result.stderr], [0, '']);
    const events = result.stdout.trim().split('\n').map((line) => JSON.parse(line));
    const theirs = JSON.parse(other.stdout.split('\n')[0]);
    assert.deepEqual(events.map((event) => event.event).sort(), ['done', 'greeting', 'open', 'received', 'sent']);
    const by = Object.fromEntries(events.map((event) => [event.event, event]));
    assert.deepEqual([by.greeting.from, by.greeting.name, by.sent.to, by.received.from], [theirs.id, theirs.name, theirs.id, theirs.id]);
    assert.equal(by.received.text, `hello ${by.open.name}, this is ${theirs.name}`);
    assert.ok(by.sent.path === 'direct' && by.sent.rtt_us > 0);
  }
  const gone = await run(example('demo_peer.js'), args('carl'), { input: '' });
  assert.equal(gone.code, 3);
  const alone = await run(example('demo_peer.js'), ['dora', '--network', `${options.networkId}-alone`, '--runtime-dir', options.runtimeDir, '--timeout', '0.2'], { onLine });
  assert.equal(alone.code, 2);
  assert.match(alone.stderr, /dora: of 3 each there are only/);
  assert.equal((await run(example('demo_peer.js'), [])).code, 1);
  fs.rmSync(options.runtimeDir, { recursive: true, force: true });
});
