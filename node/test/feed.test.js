'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { Feed, Lag } = require('../lib/feed.js');
const { LaggedError } = require('../lib/errors.js');

/** A feed over a library that counts the credit it is given. */
function feed(options) {
  const core = { holds: 0, hold() { this.holds++; }, release() { this.holds--; } };
  const given = [];
  const f = new Feed(core, (n) => given.push(n), options);
  let sequence = 0;
  const arrive = (n, size = 10) => {
    for (let i = 0; i < n; i++) f.push({ sequence: ++sequence, size });
    f.flush();
  };
  return { f, core, given, arrive, total: () => given.reduce((a, b) => a + b, 0) };
}

test('no credit without a reader', () => {
  const { f, given } = feed();
  assert.deepEqual(given, []);
  assert.equal(f.ready, false);
});

test('a reader asks for one, and later readers for more ahead', async () => {
  const { f, core, given, arrive, total } = feed();
  const first = f.next();
  assert.deepEqual(given, [1]);
  assert.equal(core.holds, 1);
  arrive(1);
  assert.equal((await first).sequence, 1);
  assert.equal(core.holds, 0);
  let read = 1;
  while (read < 5000) {
    const next = f.next();
    if (f.outstanding > 0 && !f.ready) arrive(Math.min(f.outstanding, 7));
    await next;
    read++;
  }
  assert.ok(total() - read <= 1024, `${total() - read} ahead`);
  assert.ok(given.length < 100, `${given.length} calls for ${read} messages`);
});

test('what is read ahead shrinks with the size of messages', async () => {
  const { f, arrive } = feed();
  for (let i = 0; i < 50; i++) {
    const next = f.next();
    if (!f.ready) arrive(1, 1 << 20);
    await next;
  }
  assert.ok(f.outstanding <= 8, `${f.outstanding} of 1 MiB on their way`);
});

test('parallel readers are served in order', async () => {
  const { f, arrive } = feed();
  const reads = [f.next(), f.next(), f.many(5), f.next()];
  arrive(3);
  arrive(2);
  const [a, b, c, d] = await Promise.all(reads);
  assert.deepEqual([a.sequence, b.sequence, c.map((m) => m.sequence), d.sequence], [1, 2, [3], 4]);
});

test('a batch never exceeds what was asked', async () => {
  const { f, arrive } = feed();
  const batch = f.many(3);
  arrive(5);
  assert.equal((await batch).length, 3);
  assert.deepEqual((await f.many(100)).map((m) => m.sequence), [4, 5]);
});

test('a reader that gives up takes nothing with it', async () => {
  const { f, core, arrive } = feed();
  const controller = new AbortController();
  const aborted = f.next({ signal: controller.signal });
  const stays = f.next();
  const cause = new Error('enough');
  controller.abort(cause);
  await assert.rejects(aborted, { name: 'AbortError', code: 'X0X_E_CANCELLED', cause });
  await assert.rejects(f.next({ signal: controller.signal }), { name: 'AbortError' });
  await assert.rejects(f.next({ timeout: 0 }), { code: 'X0X_E_TIMEOUT', retryable: true });
  await assert.rejects(f.next({ timeout: 5 }), { code: 'X0X_E_TIMEOUT' });
  arrive(1);
  assert.equal((await stays).sequence, 1);
  assert.equal(core.holds, 0);
});

test('the end lets what is buffered be read first, unless it is discarded', async () => {
  const { f, arrive } = feed();
  const first = f.next();
  arrive(3);
  await first;
  f.end();
  assert.equal((await f.next()).sequence, 2);
  assert.equal((await f.next()).sequence, 3);
  assert.equal(await f.next(), undefined);
  assert.deepEqual(await f.many(3), []);

  const other = feed();
  const waiting = other.f.next();
  other.arrive(2);
  await waiting;
  other.f.end(undefined, true);
  assert.equal(await other.f.next(), undefined);
});

test('an end with an error reaches the readers that wait and those that come', async () => {
  const { f } = feed();
  const waiting = f.next();
  const error = new Error('poisoned');
  f.end(error);
  await assert.rejects(waiting, error);
  await assert.rejects(f.next(), error);
});

test('lags stand at their position for those who ask, and are counted for all', async () => {
  const strict = feed({ throwLags: true }).f;
  strict.push({ sequence: 1, size: 1 });
  strict.lag(new Lag(3, 2, 4));
  strict.push({ sequence: 5, size: 1 });
  assert.deepEqual((await strict.many(10)).map((m) => m.sequence), [1]);
  await assert.rejects(strict.next(), (error) => {
    assert.ok(error instanceof LaggedError);
    assert.deepEqual([error.code, error.count, error.firstSequence, error.lastSequence], ['X0X_E_LAGGED', 3, 2, 4]);
    return true;
  });
  assert.equal((await strict.next()).sequence, 5);
  assert.equal(strict.lagged, 3);

  const lenient = feed().f;
  lenient.lag(new Lag(3, 2, 4));
  lenient.push({ sequence: 5, size: 1 });
  assert.equal((await lenient.next()).sequence, 5);
  assert.equal(lenient.lagged, 3);
});

test('over its bytes a feed drops by the policy, and says so', async (t) => {
  await t.test('the oldest', async () => {
    const { f, arrive } = feed({ maxBytes: 100, throwLags: true });
    const told = [];
    f.onDrop = (lag) => told.push(lag);
    arrive(10, 10);
    arrive(2, 45);
    assert.ok(f.bytes <= 100);
    await assert.rejects(f.next(), { count: 9, firstSequence: 1, lastSequence: 9 });
    assert.deepEqual((await f.many(10)).map((m) => m.sequence), [10, 11, 12]);
    assert.equal(f.lagged, told.reduce((n, lag) => n + lag.count, 0));
    assert.equal(f.bytes, 0);
  });
  await t.test('the newest', async () => {
    const { f, arrive } = feed({ maxBytes: 100, dropNewest: true });
    arrive(12, 10);
    assert.equal(f.lagged, 2);
    assert.equal((await f.many(100)).at(-1).sequence, 10);
  });
  await t.test('never the only one', async () => {
    const { f, arrive } = feed({ maxBytes: 100 });
    arrive(1, 1000);
    assert.equal((await f.next()).sequence, 1);
  });
});
