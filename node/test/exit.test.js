'use strict';

/** When a process must end by itself, and when it must not, each in a process of its own. */

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { network, run, packageDir } = require('./network.js');

/** A program that has `x0x`, `options` of a network of its own, and `agent` made from them. */
async function program(body, { limit = 20_000, onLine, execArgv } = {}) {
  const options = network();
  const file = path.join(options.runtimeDir, 'program.js');
  fs.writeFileSync(
    file,
    `'use strict';
const x0x = require(${JSON.stringify(packageDir)});
const options = ${JSON.stringify(options)};
(async () => {
  const agent = new x0x.Agent(options);
  ${body}
})();
`,
  );
  const result = await run(file, [], { limit, onLine, execArgv });
  fs.rmSync(options.runtimeDir, { recursive: true, force: true });
  assert.equal(result.killed, false, `still running after ${limit} ms\n${result.stdout}${result.stderr}`);
  return result;
}

/** Traffic of the agent with itself that never ends. */
const TRAFFIC = `
  const sub = agent.subscribe('t', () => {});
  (async () => { for (;;) { await agent.sendDirect(agent.agentId, 'ping'); await agent.recvDirect(); } })().catch(() => {});
  (async () => { for (;;) await agent.publish('t', Buffer.alloc(100)); })().catch(() => {});
`;

test('a process ends by itself when nothing is under way', async (t) => {
  const cases = {
    'an agent, and nothing more': '',
    'joined, published, never closed (the quickstart)': `
      await agent.joinNetwork(); await agent.publish('topic', Buffer.from('hello'));`,
    'a subscription that nobody reads': `agent.subscribe('t'); await agent.joinNetwork();`,
    'status listeners': `agent.on('connected', () => {}); agent.on('error', () => {}); await agent.joinNetwork();`,
    'after close, whatever was under way': `
      agent.ref(); agent.subscribe('t', () => {}); agent.on('message', () => {}); agent.recvDirect().catch(() => {});
      await agent.joinNetwork(); await agent.close();`,
    'after unsubscribing the callback': `
      const sub = agent.subscribe('t', () => {}); await agent.publish('t', 'x'); await sub.unsubscribe();`,
    'a reader of an agent that is unref': `agent.unref(); agent.subscribe('t', () => {}); agent.recvDirect();`,
    'readers that were answered': `
      const sub = agent.subscribe('t'); await agent.publish('t', 'x'); await sub.next();
      await agent.sendDirect(agent.agentId, 'x'); await agent.recvDirect();`,
    'many calls on one signal, aborted': `
      const controller = new AbortController();
      const all = Array.from({ length: 40 }, () => agent.recvDirect({ signal: controller.signal }).catch(() => {}));
      setImmediate(() => controller.abort());
      await Promise.all(all);`,
    'a reader that timed out': `await agent.recvDirect({ timeout: 10 }).catch((error) => console.log(error.code));`,
  };
  for (const [name, body] of Object.entries(cases)) {
    await t.test(name, async () => {
      const { code, stderr } = await program(body);
      assert.equal(code, 0, stderr);
      assert.equal(stderr, '');
    });
  }
});

test('a process does not end while something is under way', async (t) => {
  // The timer does not keep the process alive: it only fires if something else does.
  const stays = `setTimeout(() => { console.log('alive'); process.exit(7); }, 300).unref();`;
  const cases = {
    'a reader of private messages': `agent.recvDirect();`,
    'an iterator of private messages': `(async () => { for await (const m of agent.directMessages()); })();`,
    'a reader of a topic': `(async () => { for await (const m of agent.subscribe('t')); })();`,
    'a batch reader': `agent.subscribe('t').drain();`,
    'a subscription with a callback': `agent.subscribe('t', () => {});`,
    "a 'message' listener": `agent.on('message', () => {});`,
    'ref()': `agent.ref();`,
    'ref() after unref()': `agent.unref(); agent.ref();`,
    'a call': `agent.sendDirect('11'.repeat(32), 'x', { timeout: 5000 }).catch(() => {}); agent.recvDirect();`,
  };
  for (const [name, body] of Object.entries(cases)) {
    await t.test(name, async () => {
      const { code, stdout, stderr } = await program(`${body}\n${stays}`);
      assert.equal(stdout, 'alive\n', stderr);
      assert.equal(code, 7);
    });
  }
  await t.test('and a collected agent is not needed for it', async () => {
    const { stdout, code } = await program(
      `await agent.close();
       (() => { new x0x.Agent(options).subscribe('t', (m) => console.log(m.payloadStr())); })();
       for (let i = 0; i < 5; i++) { gc(); await new Promise(setImmediate); }
       const other = new x0x.Agent(options);
       await other.joinNetwork();
       setTimeout(() => { console.log('alive'); process.exit(7); }, 200).unref();`,
      { execArgv: ['--expose-gc'] },
    );
    assert.equal(stdout, 'alive\n');
    assert.equal(code, 7);
  });
});

test('process.exit() in the midst of traffic, ten times', async () => {
  for (let i = 0; i < 10; i++) {
    const { code, signal, stderr } = await program(`${TRAFFIC} await agent.publish('u', 'x'); setTimeout(() => process.exit(3), ${i * 5});`);
    assert.deepEqual([code, signal, stderr], [3, null, '']);
  }
});

test('an uncaught exception in the midst of traffic ends the process as usual', async () => {
  const { code, signal, stderr } = await program(`${TRAFFIC} await agent.publish('u', 'x'); setTimeout(() => { throw new Error('on purpose'); }, 5);`);
  assert.deepEqual([code, signal], [1, null]);
  assert.match(stderr, /on purpose/);
});

test('a callback that throws is an uncaught exception and stops nobody else', async () => {
  const { code, stdout, stderr } = await program(`
    process.once('uncaughtException', (error) => console.log('caught', error.message));
    agent.subscribe('t', () => { throw new Error('from the callback'); });
    agent.on('closed', () => { throw new Error('never seen'); }).stop();
    const second = new Promise((resolve) => agent.subscribe('t', resolve));
    await agent.publish('t', 'x');
    console.log('second', (await second).payloadStr());
    await agent.close();`);
  assert.deepEqual(stdout.split('\n').sort(), ['', 'caught from the callback', 'second x']);
  assert.equal(code, 0, stderr);
  const fatal = await program(`agent.subscribe('t', () => { throw new Error('on purpose'); }); await agent.publish('t', 'x');`);
  assert.equal(fatal.code, 1);
  assert.match(fatal.stderr, /on purpose/);
});

test('SIGINT and SIGTERM do what they do in any Node program', async (t) => {
  for (const name of ['SIGINT', 'SIGTERM']) {
    await t.test(`${name} without a handler ends it at once`, async () => {
      let sent;
      const { signal } = await program(`${TRAFFIC} await agent.publish('u', 'x'); console.log('ready');`, {
        onLine: (line, child) => {
          sent = Date.now();
          child.kill(name);
        },
      });
      assert.equal(signal, name);
      assert.ok(Date.now() - sent < 5000);
    });
    await t.test(`${name} with a handler that closes`, async () => {
      const { code, stdout } = await program(
        `process.on('${name}', async () => { await agent.close(); console.log('closed', x0x.liveHandles()); process.exit(0); });
         ${TRAFFIC} await agent.publish('u', 'x'); console.log('ready');`,
        { onLine: (line, child) => line === 'ready' && child.kill(name) },
      );
      assert.equal(code, 0);
      assert.match(stdout, /closed/);
    });
  }
});

test('requiring the package loads nothing', async () => {
  const { stdout } = await run('-e', [
    `require(${JSON.stringify(packageDir)}); console.log(require('fs').readFileSync('/proc/self/maps', 'utf8').includes('libx0x'));`,
  ]);
  assert.equal(stdout, 'false\n');
});
