'use strict';

// argv: package folder. Two agents talk while signals arrive; stops when told on stdin.
const { execFile } = require('node:child_process');
const { Agent, liveHandles } = require(process.argv[2]);
const options = JSON.parse(process.argv[3]);
const spawning = process.argv[4] === 'spawn';

let signals = 0;
process.on('SIGUSR2', () => signals++);
process.on('SIGWINCH', () => signals++);

(async () => {
  const a = new Agent(options);
  const b = new Agent(options);
  await Promise.all([a.joinNetwork(), b.joinNetwork()]);
  await a.connectToAgent(b.agentId);
  let stop = false;
  let rounds = 0;
  const traffic = (async () => {
    while (!stop) {
      await a.sendDirect(b.agentId, Buffer.alloc(500));
      await b.recvDirect();
      if (++rounds === 20) console.log('ready');
    }
  })();
  let children = 0;
  if (spawning) {
    const spawn = () => execFile('/bin/true', (error) => (error ? process.exit(9) : (children++, stop || spawn())));
    for (let i = 0; i < 4; i++) spawn();
  }
  await new Promise((resolve) => process.stdin.on('data', resolve).on('end', resolve));
  stop = true;
  await traffic;
  await Promise.all([a.close(), b.close()]);
  console.log(JSON.stringify({ rounds, signals, children, handles: liveHandles() }));
  process.exit(0);
})();
