'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { inspect } = require('node:util');
const { x0x, inNetwork, inPair, event, until } = require('./network.js');

const { Subscription, LaggedError } = x0x;

test('a topic message has what the surface promises', async () => {
  await inPair(async (a, b) => {
    const sub = b.subscribe('news');
    const before = Date.now();
    await a.publish('news', Buffer.from('hello'));
    const { value: m, done } = await sub.next();
    assert.equal(done, false);
    assert.equal(m.topic, 'news');
    assert.ok(Buffer.isBuffer(m.payload) && m.payload === m.payload);
    assert.equal(m.payloadStr(), 'hello');
    assert.equal(m.size, 5);
    assert.ok(m.sender.equals(a.agentId));
    assert.equal(m.origin, a.agentId.toString());
    assert.equal(m.sequence, 1);
    assert.equal(m.verified, true);
    assert.equal(m.trustLevel, 'unknown');
    assert.ok(Math.abs(m.timestampMs - before) < 60_000);
    assert.equal(m.timestamp, Math.floor(m.timestampMs / 1000));
    assert.ok(m.epoch > 0);
    assert.match(inspect(m), /^Message \{\s+topic: 'news',\s+sender: AgentId/);
    assert.equal(JSON.parse(JSON.stringify(m)).sender, a.agentId.toString());
  });
});

test('a private message has what the surface promises', async () => {
  await inPair(async (a, b) => {
    const payloads = ['text', Buffer.from([0, 255]), new Uint16Array([258]), new Uint8Array([7]).buffer, new DataView(new ArrayBuffer(2)), ''];
    for (const payload of payloads) await a.sendDirect(b.agentId, payload);
    const got = [];
    while (got.length < payloads.length) got.push(...(await b.recvDirectMany()));
    assert.deepEqual(
      got.map((m) => m.payload.toString('hex')),
      ['74657874', '00ff', '0201', '07', '0000', ''],
    );
    const [m] = got;
    assert.ok(m.sender.equals(a.agentId) && m.machineId.equals(a.machineId));
    assert.deepEqual(got.map((each) => each.sequence), [1, 2, 3, 4, 5, 6]);
    assert.ok(Math.abs(m.receivedAt - Date.now()) < 60_000);
    assert.equal(m.verified, true);
    assert.equal(m.trustDecision, 'Unknown');
    assert.match(inspect(m), /^DirectMessage \{\s+sender: AgentId/);
  });
});

test('a subscription is one plain object: awaited it is itself, iterated it ends with the agent', async () => {
  await inNetwork(async (open) => {
    const a = open();
    const sub = a.subscribe('t');
    assert.ok(sub instanceof Subscription);
    assert.equal(await sub, sub);
    assert.equal(sub[Symbol.asyncIterator](), sub);
    for (let i = 0; i < 5; i++) await a.publish('t', `${i}`);
    const got = [];
    for await (const message of sub) {
      got.push(message.payloadStr());
      if (got.length === 5) a.close(); // not awaited: the loop ends by itself
    }
    assert.deepEqual(got, ['0', '1', '2', '3', '4']);
    assert.equal(sub.closed, true);
  });
});

test('leaving a loop closes the subscription, by break and by throw', async () => {
  await inNetwork(async (open) => {
    const a = open();
    const first = a.subscribe('t');
    await a.publish('t', 'x');
    for await (const message of first) {
      assert.equal(message.payloadStr(), 'x');
      break;
    }
    assert.equal(first.closed, true);
    assert.deepEqual(await first.next(), { value: undefined, done: true });

    const second = a.subscribe('t');
    await assert.rejects(async () => {
      for await (const message of second) throw new Error(message.payloadStr());
    }, { message: 'x' });
    assert.equal(second.closed, true);

    const third = a.subscribe('t');
    const error = new Error('given');
    await assert.rejects(third.throw(error), error);
    assert.equal(third.closed, true);
    const fourth = a.subscribe('t');
    assert.deepEqual(await fourth.return(7), { value: 7, done: true });
    fourth.close();
    await fourth.unsubscribe();
    await fourth[Symbol.asyncDispose]();
  });
});

test('parallel next() calls are answered in order, and all end at close', async () => {
  await inNetwork(async (open) => {
    const a = open();
    const sub = a.subscribe('t');
    const reads = Array.from({ length: 5 }, () => sub.next());
    for (let i = 0; i < 3; i++) await a.publish('t', `${i}`);
    const [x, y, z] = await Promise.all(reads.slice(0, 3));
    assert.deepEqual([x, y, z].map((r) => r.value.payloadStr()), ['0', '1', '2']);
    sub.close();
    assert.deepEqual((await Promise.all(reads.slice(3))).map((r) => r.done), [true, true]);
  });
});

test('a callback gets every message until it is unsubscribed', async () => {
  await inNetwork(async (open) => {
    const a = open();
    const got = [];
    let enough;
    const three = new Promise((resolve) => (enough = resolve));
    const sub = a.subscribe('t', (message) => {
      got.push(message.payloadStr());
      if (got.length === 3) enough();
    });
    for (let i = 0; i < 3; i++) await a.publish('t', `${i}`);
    await three;
    await assert.rejects(sub.next(), { name: 'TypeError' });
    await assert.rejects(sub.drain(), { name: 'TypeError' });
    await sub.unsubscribe();
    const witness = a.subscribe('t', { replay: false });
    await a.publish('t', 'later');
    await witness.next();
    assert.deepEqual(got, ['0', '1', '2']);
  });
});

test('drain() takes batches', async () => {
  await inNetwork(async (open) => {
    const a = open();
    const sub = a.subscribe('t');
    await Promise.all(Array.from({ length: 300 }, (_, i) => a.publish('t', `${i}`)));
    const got = [];
    while (got.length < 300) {
      const batch = await sub.drain(100);
      assert.ok(batch.length > 0 && batch.length <= 100);
      got.push(...batch);
    }
    assert.deepEqual(got.map((m) => Number(m.payloadStr())), Array.from({ length: 300 }, (_, i) => i));
    await assert.rejects(sub.drain(5, { timeout: 0 }), { code: 'X0X_E_TIMEOUT' });
    const waiting = sub.drain();
    sub.close();
    assert.deepEqual(await waiting, []);
    assert.deepEqual(await sub.drain(), []);
  });
});

test('timeouts and aborts of readers take no message with them', async () => {
  await inNetwork(async (open) => {
    const a = open();
    const sub = a.subscribe('t');
    await assert.rejects(sub.next({ timeout: 0 }), { code: 'X0X_E_TIMEOUT' });
    await assert.rejects(sub.next({ timeout: 5 }), { code: 'X0X_E_TIMEOUT' });
    await assert.rejects(a.recvDirect({ timeout: 5 }), { code: 'X0X_E_TIMEOUT' });
    const controller = new AbortController();
    const reads = [sub.next({ signal: controller.signal }), a.recvDirect({ signal: controller.signal })];
    const cause = new Error('why');
    controller.abort(cause);
    for (const read of reads) await assert.rejects(read, { name: 'AbortError', code: 'X0X_E_CANCELLED', cause });
    await assert.rejects(sub.next({ signal: controller.signal }), { name: 'AbortError' });
    await a.publish('t', 'still');
    await a.sendDirect(a.agentId, 'here');
    assert.equal((await sub.next()).value.payloadStr(), 'still');
    assert.equal((await a.recvDirect()).payloadStr(), 'here');
  });
});

test('the signal of a subscription closes it', async () => {
  await inNetwork(async (open) => {
    const a = open();
    const controller = new AbortController();
    const sub = a.subscribe('t', { signal: controller.signal });
    const loop = (async () => {
      for await (const message of sub) assert.fail(message.payloadStr());
    })();
    controller.abort();
    await assert.rejects(loop, { name: 'AbortError' });
    assert.equal(sub.closed, true);
    assert.throws(() => a.subscribe('t', { signal: controller.signal }), { name: 'AbortError' });
    const called = a.subscribe('t', () => {}, { signal: AbortSignal.any?.([]) });
    called.close();
  });
});

test('aborting calls: before, during and after, each settles once', async () => {
  await inPair(async (a, b) => {
    const cause = new Error('no more');
    for (const call of [
      (o) => a.publish('t', 'x', o),
      (o) => a.sendDirect(b.agentId, 'x', o),
      (o) => a.joinNetwork(o),
      (o) => a.leaveNetwork(o),
      (o) => a.connectToAgent(b.agentId, o),
      (o) => a.connectToMachine(b.machineId, o),
      (o) => a.connectToAddress(b.localAddresses()[0], o),
    ]) {
      await assert.rejects(call({ signal: AbortSignal.abort(cause) }), { name: 'AbortError', code: 'X0X_E_CANCELLED', cause }, call.toString());
    }
    assert.equal(a.isConnected(), true, 'nothing was begun');

    // Under way: b does not read and has room for one message.
    const controller = new AbortController();
    b.setTrust(a.agentId, 'blocked');
    const send = a.sendDirect(b.agentId, 'never', { signal: controller.signal });
    setImmediate(() => controller.abort(cause));
    await assert.rejects(send, (error) => error.name === 'AbortError' && error.cause === cause && error.delivered !== undefined);
    b.setTrust(a.agentId, 'unknown');

    // A race: whoever wins, the promise settles, and the pair still works.
    let won = 0;
    let lost = 0;
    for (let i = 0; i < 200; i++) {
      const race = new AbortController();
      const sending = a.sendDirect(b.agentId, `${i}`, { signal: race.signal });
      if (i % 3 === 0) race.abort();
      else if (i % 3 === 1) setImmediate(() => race.abort());
      else queueMicrotask(() => race.abort());
      await sending.then(() => won++, (error) => (assert.equal(error.name, 'AbortError'), lost++));
    }
    assert.equal(won + lost, 200);
    await a.sendDirect(b.agentId, 'last');
    let last;
    do last = await b.recvDirect();
    while (last.payloadStr() !== 'last');
    const after = new AbortController();
    await a.publish('t', 'x', { signal: after.signal });
    after.abort(); // of a call that is over: nothing happens
  });
});

test('a send that nobody answers times out and says what is known', async () => {
  await inPair(async (a, b) => {
    b.setTrust(a.agentId, 'blocked');
    await assert.rejects(a.sendDirect(b.agentId, 'x', { timeout: 200 }), (error) => {
      assert.equal(error.code, 'X0X_E_TIMEOUT');
      assert.ok(['no', 'unknown'].includes(error.delivered), `delivered: ${error.delivered}`);
      return true;
    });
  });
});

test('directMessages() iterators share the inbox; leaving one leaves the rest', async () => {
  await inPair(async (a, b) => {
    for (let i = 0; i < 6; i++) await a.sendDirect(b.agentId, `${i}`);
    const got = [];
    for await (const message of b.directMessages()) {
      got.push(message.payloadStr());
      if (got.length === 3) break;
    }
    got.push((await b.recvDirect()).payloadStr());
    const rest = b.directMessages();
    got.push((await rest.next()).value.payloadStr(), (await rest.next()).value.payloadStr());
    assert.deepEqual(got, ['0', '1', '2', '3', '4', '5']);
    const waiting = rest.next();
    await rest.return();
    assert.deepEqual(await waiting, { value: undefined, done: true });
    const controller = new AbortController();
    const aborted = b.directMessages({ signal: controller.signal }).next();
    controller.abort();
    await assert.rejects(aborted, { name: 'AbortError' });
    const loop = (async () => {
      for await (const message of b.directMessages()) assert.fail(message.payloadStr());
    })();
    await b.close();
    await loop;
  });
});

test('a slow subscriber loses the oldest, exactly, and is told in three ways', async () => {
  await inNetwork(async (open) => {
    const a = open();
    const lagged = event(a, 'lagged');
    const strict = a.subscribe('t', { maxMessages: 10, lagged: 'throw' });
    const lenient = a.subscribe('t', { maxMessages: 10 });
    const newest = a.subscribe('t', { maxMessages: 10, policy: 'drop_newest' });
    for (let i = 0; i < 25; i++) await a.publish('t', `${i}`);
    assert.deepEqual(strict.info(), { topic: 't', pending: 10, dropped: 15, delivered: strict.info().delivered });
    await assert.rejects(strict.next(), (error) => error instanceof LaggedError && error.count === 15 && error.code === 'X0X_E_LAGGED');
    assert.equal((await strict.next()).value.payloadStr(), '15', 'and reading goes on');
    assert.equal((await lenient.next()).value.payloadStr(), '15');
    assert.equal(lenient.lagged, 15);
    assert.equal((await newest.next()).value.payloadStr(), '0');
    const told = await lagged;
    assert.deepEqual([told.source, told.topic, told.count], ['subscription', 't', 15]);
  });
});

test('a full inbox holds the sender back and loses nothing', async () => {
  await inPair(
    async (a, b) => {
      let accepted = 0;
      const sends = Array.from({ length: 40 }, (_, i) => a.sendDirect(b.agentId, `${i}`, { timeout: 60_000 }).then(() => accepted++));
      await until(() => b.inboxInfo().pending === 4, 'the inbox is full');
      assert.ok(accepted <= 4);
      for (let i = 0; i < 40; i++) assert.equal((await b.recvDirect({ timeout: 20_000 })).payloadStr(), `${i}`);
      await Promise.all(sends);
    },
    {},
    { inboxMessages: 4 },
  );
});

test('large messages that come under a reader that stopped wait in the library', async () => {
  await inPair(async (a, b) => {
    // The reader teaches the feed to read far ahead of small messages, then stops.
    const first = Array.from({ length: 400 }, () => a.sendDirect(b.agentId, 'small'));
    let small = 0;
    while (small < 400) small += (await b.recvDirectMany(50)).length;
    await Promise.all(first);
    // 32 MiB wait here and as many in the library; then the window of the sender is closed.
    const body = Buffer.alloc(8 << 20, 1);
    let accepted = 0;
    const full = async () => {
      for (; accepted < 40; accepted++) {
        body.writeUInt32LE(accepted);
        await a.sendDirect(b.agentId, body, { timeout: 2000 });
      }
    };
    await assert.rejects(full, { code: 'X0X_E_TIMEOUT' });
    assert.ok(accepted >= 4 && accepted <= 12, `${accepted} bodies of 8 MiB were accepted`);
    for (let i = 0; i < accepted; i++) {
      const m = await b.recvDirect({ timeout: 30_000 });
      assert.equal(m.size, body.length);
      assert.equal(m.payload.readUInt32LE(0), i);
    }
    await a.sendDirect(b.agentId, 'after');
    let last; // the one that timed out may have been under way all the same
    do last = await b.recvDirect({ timeout: 20_000 });
    while (last.size === body.length);
    assert.equal(last.payloadStr(), 'after');
  });
});

test('payloads stay what they were when the drain buffer is used again', async () => {
  await inPair(async (a, b) => {
    const kept = [];
    const reading = (async () => {
      while (kept.length < 3000) kept.push(...(await b.recvDirectMany(256)));
    })();
    for (let i = 0; i < 3000; i += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, k) => a.sendDirect(b.agentId, Buffer.alloc(64 + ((i + k) % 700), (i + k) & 255), { timeout: 60_000 })));
    }
    await reading;
    for (const [i, m] of kept.entries()) assert.ok(m.payload.equals(Buffer.alloc(64 + (i % 700), i & 255)), `message ${i}`);
  });
});

test('too many calls at a time are refused, retryably, and the rest completes', async () => {
  await inNetwork(async (open) => {
    const a = open({ maxOperations: 10 });
    const results = await Promise.allSettled(Array.from({ length: 100 }, (_, i) => a.publish('t', `${i}`)));
    const refused = results.filter((r) => r.status === 'rejected');
    assert.ok(refused.every((r) => r.reason.code === 'X0X_E_BUSY' && r.reason.retryable));
    assert.ok(refused.length < 100);
    await a.publish('t', 'again');
  });
});
