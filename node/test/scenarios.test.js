'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { main } = require('./run-scenarios.js');

test('the scenarios that every language runs', async () => {
  const { passed, failed, total } = await main();
  assert.equal(failed, 0);
  assert.equal(passed, total);
  assert.ok(total > 30);
});
