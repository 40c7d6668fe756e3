'use strict';

// argv: package folder, source of the worker. Ends with code 4 when three workers have traffic.
const { Worker } = require('node:worker_threads');
const [packageDir, source] = process.argv.slice(2);

let ready = 0;
for (let i = 0; i < 3; i++) {
  const options = { networkId: `exit-${process.pid}`, localDiscovery: false };
  new Worker(source, { eval: true, workerData: { packageDir, options, join: false, rounds: 2 } }).on('message', () => {
    if (++ready === 3) process.exit(4);
  });
}
