'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { encode, decode, MsgpackError } = require('../lib/msgpack.js');

/** What the Go encoder wrote, see data/vectors.go. */
const vectors = require('./data/msgpack.json');

function revive(shown) {
  if (Array.isArray(shown)) return shown.map(revive);
  if (shown === null || typeof shown !== 'object') return shown;
  if ('bigint' in shown) return BigInt(shown.bigint);
  if ('bytes' in shown) return Buffer.from(shown.bytes, 'hex');
  if ('repeat' in shown) return shown.repeat.repeat(shown.times);
  return Object.assign(Object.create(null), Object.fromEntries(Object.entries(shown).map(([k, v]) => [k, revive(v)])));
}

test('the vectors of the Go encoder', async (t) => {
  assert.ok(vectors.length > 50);
  for (const { name, value, hex } of vectors) {
    await t.test(`${name}: ${JSON.stringify(value).slice(0, 40)}`, () => {
      const wanted = revive(value);
      assert.deepStrictEqual(decode(Buffer.from(hex, 'hex')), wanted);
      // The same bytes again, except that Go writes every float as one, also 1.0.
      assert.equal(encode(wanted).toString('hex'), hex);
    });
  }
});

test('every truncation of every vector is refused', () => {
  for (const { hex } of vectors) {
    const whole = Buffer.from(hex, 'hex');
    const step = Math.max(1, Math.floor(whole.length / 50));
    for (let n = 0; n < whole.length; n += step) assert.throws(() => decode(whole.subarray(0, n)), MsgpackError);
  }
});

test('hostile bytes are refused without allocating what they claim', async (t) => {
  const cases = {
    'array of 4 G elements': 'ddffffffff',
    'map of 4 G pairs': 'dfffffffff',
    'text of 4 GB': 'dbffffffff',
    'bytes of 4 GB': 'c6ffffffff',
    'array longer than the input': 'dc001001',
    'extension': 'd40100',
    'reserved': 'c1',
    'text that is not UTF-8': 'a2c328',
    'a byte after the value': '0100',
    'a number as a map key': '810101',
    'nested 17 deep': '91'.repeat(17) + '90',
  };
  for (const [name, hex] of Object.entries(cases)) {
    await t.test(name, () => assert.throws(() => decode(Buffer.from(hex, 'hex')), MsgpackError));
  }
  decode(Buffer.from('91'.repeat(16) + '90', 'hex')); // 16 are allowed
  await t.test('many containers that claim all that is left', () => {
    const before = process.memoryUsage().heapUsed;
    const bomb = Buffer.concat([...Array(15)].map(() => Buffer.from('dd000fffff', 'hex')).concat(Buffer.alloc(1 << 20)));
    assert.throws(() => decode(bomb), MsgpackError);
    assert.ok(process.memoryUsage().heapUsed - before < 64 << 20);
  });
});

test('a map cannot reach a prototype', () => {
  const value = decode(encode(JSON.parse('{"__proto__": {"polluted": 1}}')));
  assert.equal(Object.getPrototypeOf(value), null);
  assert.equal({}.polluted, undefined);
});

test('random bytes either decode and encode to something that decodes the same, or are refused', () => {
  let seed = 12345;
  const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 16;
  for (let i = 0; i < 20000; i++) {
    const bytes = Buffer.from(Array.from({ length: 1 + (random() % 24) }, () => random() & 0xff));
    let value;
    try {
      value = decode(bytes);
    } catch (error) {
      assert.ok(error instanceof MsgpackError, `${bytes.toString('hex')}: ${error.stack}`);
      continue;
    }
    assert.deepStrictEqual(decode(encode(value)), value, bytes.toString('hex'));
  }
});

test('reading within a larger buffer', () => {
  const bytes = Buffer.from('ff93010203ff', 'hex');
  assert.deepStrictEqual(decode(bytes, 1, 5), [1, 2, 3]);
  assert.throws(() => decode(bytes, 1, 4), MsgpackError);
});
