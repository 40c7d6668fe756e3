// The figures of the Node package for `make bench`, against an echo agent in Go. Prints one
// JSON object; core/internal/cmd/x0xbench puts it beside the raw layers.
'use strict';

const { parseArgs } = require('node:util');
const { Agent, liveHandles } = require('..');

const ROUNDS = 7;
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

async function perCall(count, call) {
  const rounds = [];
  for (let r = 0; r < ROUNDS; r++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) await call();
    rounds.push(Number(process.hrtime.bigint() - start) / count / 1000);
  }
  return median(rounds);
}

function perPlainCall(count, call) {
  const rounds = [];
  for (let r = 0; r < ROUNDS; r++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) call();
    rounds.push(Number(process.hrtime.bigint() - start) / count / 1000);
  }
  return median(rounds);
}

async function main() {
  const { values } = parseArgs({
    options: { network: { type: 'string' }, 'runtime-dir': { type: 'string' }, echo: { type: 'string' } },
  });
  const figures = {};
  const agent = new Agent({ networkId: values.network, runtimeDir: values['runtime-dir'] });
  await agent.joinNetwork();
  const ping = Buffer.alloc(64);
  ping[0] = 'e'.charCodeAt(0);
  await agent.sendDirect(values.echo, Buffer.from('s'));

  const roundTrip = async () => {
    await agent.sendDirect(values.echo, ping);
    await agent.recvDirect();
  };
  await perCall(200, roundTrip);
  figures.rtt_us = await perCall(500, roundTrip);
  figures.wake_us = await perCall(500, () => agent.joinNetwork());

  const size = 100;
  const count = 200_000;
  const receive = async (oneAtATime) => {
    await agent.sendDirect(values.echo, Buffer.from(`g ${count} ${size}`));
    let got = 0;
    const start = process.hrtime.bigint();
    if (oneAtATime) {
      for await (const message of agent.directMessages()) {
        if (message.payload.length === size) got++;
        if (got === count) break;
      }
    } else {
      while (got < count) got += (await agent.recvDirectMany(4096)).length;
    }
    return count / (Number(process.hrtime.bigint() - start) / 1e9);
  };
  const several = async (oneAtATime) => {
    const rates = [];
    for (let i = 0; i < 5; i++) rates.push(await receive(oneAtATime));
    return median(rates);
  };
  figures.batch_per_s = await several(false);
  figures.one_per_s = await several(true);
  figures.event_us = 1e6 / figures.batch_per_s;
  await agent.close();

  figures.call_us = perPlainCall(20_000, () => liveHandles());
  figures.null_us = perPlainCall(20_000, () => process.uptime()); // as little as a native call can do
  console.log(JSON.stringify(figures));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
