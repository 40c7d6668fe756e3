'use strict';

/** What nobody refers to is collected and closed in the library too. Needs --expose-gc. */

const test = require('node:test');
const assert = require('node:assert/strict');
const { x0x, inNetwork, noHandles, until } = require('./network.js');

const KIND_AGENT = 2;
const KIND_SUBSCRIPTION = 3;

/** Collects, turn by turn, until the condition holds. */
async function collect(condition, what) {
  assert.equal(typeof gc, 'function', 'run with --expose-gc');
  await until(() => {
    gc();
    return condition();
  }, what);
}

test('agents and subscriptions that nobody holds are closed', async () => {
  await inNetwork(async (open, options) => {
    const keep = open();
    (() => {
      for (let i = 0; i < 5; i++) new x0x.Agent(options).subscribe('t');
      for (let i = 0; i < 5; i++) keep.subscribe('t');
    })();
    await collect(() => x0x.liveHandles(KIND_AGENT) === 1, 'the agents are gone');
    await collect(() => x0x.liveHandles(KIND_SUBSCRIPTION) === 0, 'the subscriptions are gone');
    await keep.publish('t', 'x');
  });
  await noHandles();
});

test('a joined agent that nobody holds leaves the network', async () => {
  await inNetwork(async (open, options) => {
    const witness = open();
    await witness.joinNetwork();
    await (async () => {
      const agent = new x0x.Agent(options);
      await agent.joinNetwork();
      await agent.connectToAgent(witness.agentId);
      await agent.sendDirect(witness.agentId, 'bye');
    })();
    assert.equal((await witness.recvDirect()).payloadStr(), 'bye');
    await collect(() => witness.peers().length === 0, 'the peer is gone');
  });
});

test('what is in use is kept: readers, callbacks, listeners, calls', async () => {
  await inNetwork(async (open, options) => {
    const uses = [
      (agent, seen) => void agent.subscribe('t', (m) => seen(m.payloadStr())),
      (agent, seen) => void agent.on('message', (m) => seen(m.payloadStr())) ?? agent.subscribe('t', () => {}),
      (agent, seen) => void (async () => { for await (const m of agent.subscribe('t')) seen(m.payloadStr()); })(),
      (agent, seen) => void agent.subscribe('t').next().then(({ value }) => seen(value.payloadStr())),
    ];
    for (const use of uses) {
      let resolve;
      const seen = new Promise((r) => (resolve = r));
      let publish;
      (() => {
        const agent = new x0x.Agent(options);
        use(agent, resolve);
        const weak = new WeakRef(agent);
        publish = () => weak.deref()?.publish('t', 'kept');
      })();
      for (let i = 0; i < 3; i++) {
        await new Promise(setImmediate);
        gc();
      }
      assert.equal(x0x.liveHandles(KIND_AGENT), 1);
      await publish();
      assert.equal(await seen, 'kept');
      await x0xCloseAll();
    }
  });
});

/** Ends the agents that a use above keeps: the runtime knows them. */
async function x0xCloseAll() {
  const { cores } = require('../lib/runtime.js');
  await Promise.all([...cores.values()].map((core) => core.close(0)));
  await noHandles();
}

test('messages, ids and subscriptions do not pile up', async () => {
  await inNetwork(async (open) => {
    const agent = open();
    const round = async () => {
      for (let i = 0; i < 200; i++) {
        const sub = agent.subscribe('t', { replay: false, maxMessages: 4 });
        const next = sub.next();
        await agent.publish('t', Buffer.alloc(1000));
        await next;
        sub.close();
      }
      await new Promise(setImmediate);
      gc();
      return process.memoryUsage();
    };
    await round();
    const before = await round();
    for (let i = 0; i < 3; i++) await round();
    const after = await round();
    assert.ok(after.heapUsed - before.heapUsed < 4 << 20, `${after.heapUsed - before.heapUsed} bytes of heap`);
    assert.ok(after.external - before.external < 4 << 20, `${after.external - before.external} bytes of buffers`);
  });
});
