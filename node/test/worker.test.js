'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { Worker } = require('node:worker_threads');
const { x0x, inNetwork, noHandles, run, packageDir } = require('./network.js');

/** Agents of its own, with traffic that never ends. */
const SOURCE = `
const { parentPort, workerData } = require('node:worker_threads');
const { Agent } = require(workerData.packageDir);
(async () => {
  const agent = new Agent(workerData.options);
  if (workerData.join) await agent.joinNetwork();
  agent.subscribe('t', () => {});
  agent.on('message', () => {});
  (async () => { for await (const m of agent.directMessages()); })().catch(() => {});
  const send = async () => { for (;;) await agent.sendDirect(agent.agentId, Buffer.alloc(200)); };
  send().catch(() => {}); send().catch(() => {});
  for (let i = 0; ; i++) {
    await agent.publish('t', Buffer.alloc(100));
    if (i === workerData.rounds) parentPort.postMessage('ready');
    if (workerData.end && i === workerData.rounds + 5) { await agent.close(); parentPort.postMessage('closed'); return; }
  }
})().catch((error) => parentPort.postMessage(String(error)));
`;

function start(data) {
  const worker = new Worker(SOURCE, { eval: true, workerData: { packageDir, ...data } });
  const said = (text) =>
    new Promise((resolve, reject) => {
      worker.on('message', (message) => {
        if (message === text) resolve();
        else if (!['ready', 'closed'].includes(message)) reject(new Error(message));
      });
      worker.on('error', reject);
    });
  const ready = said('ready');
  const closed = said('closed'); // listened for from the start, so that it cannot be missed
  return { worker, ready, closed };
}

test('forty workers terminated in the midst of traffic, beside an agent that goes on', async () => {
  await inNetwork(async (open, options) => {
    const agent = open();
    await agent.joinNetwork();
    let received = 0;
    agent.subscribe('main', () => received++);
    for (let i = 0; i < 40; i++) {
      const { worker, ready } = start({ options, join: i % 4 === 0, rounds: i % 5 });
      await ready;
      assert.equal(await worker.terminate(), 1);
      await agent.publish('main', `${i}`);
    }
    const sub = agent.subscribe('main', { replay: false });
    await agent.publish('main', 'end');
    assert.equal((await sub.next()).value.payloadStr(), 'end');
    assert.ok(received >= 40);
  });
  await noHandles();
});

test('several workers at a time, ended from outside and from inside', async () => {
  await inNetwork(async (open, options) => {
    const workers = Array.from({ length: 6 }, (_, i) => start({ options, join: true, rounds: 3, end: i % 2 === 0 }));
    await Promise.all(workers.map(({ ready }) => ready));
    await Promise.all(workers.map(({ worker, closed }, i) => (i % 2 === 0 ? closed : worker.terminate())));
  });
  await noHandles();
});

test('a worker that calls process.exit() in the midst of traffic', async () => {
  await inNetwork(async (open, options) => {
    const worker = new Worker(SOURCE.replace("parentPort.postMessage('ready')", 'process.exit(5)'), {
      eval: true,
      workerData: { packageDir, options, join: true, rounds: 2 },
    });
    assert.equal(await new Promise((resolve) => worker.on('exit', resolve)), 5);
  });
  await noHandles();
});

test('the main thread can end the process while workers have traffic', async () => {
  const file = path.join(__dirname, 'data', 'exit-with-workers.js');
  for (let i = 0; i < 5; i++) {
    const { code, signal, stderr, killed } = await run(file, [packageDir, SOURCE]);
    assert.deepEqual([code, signal, stderr, killed], [4, null, '', false]);
  }
});
