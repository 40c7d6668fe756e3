'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const HELP = `Usage: npx x0x [command]

  version     the versions of this package, its library and Node (default)
  self-test   two agents on this machine find each other and exchange messages
  --help      this text

x0x is a library: const { Agent } = require('x0x'). See README.md beside this file.`;

async function main([command = 'version', ...rest], print = console.log) {
  const x0x = require('./index.js');
  switch (rest.length > 0 ? '' : command) {
    case 'version':
    case '--version':
    case '-V':
      return version(x0x, print);
    case 'self-test':
    case '--self-test':
      return selfTest(x0x, print);
    case 'help':
    case '--help':
    case '-h':
      print(HELP);
      return 0;
    default:
      print(HELP);
      return 2;
  }
}

function version(x0x, print) {
  print(`x0x ${x0x.VERSION} (${x0x.__platform__.detected}, node ${process.version})`);
  try {
    print(x0x.libraryInfo().build);
    return 0;
  } catch (error) {
    print(error.message);
    return 1;
  }
}

/** What a bug report needs: which step of the way between two agents does not work here. */
async function selfTest(x0x, print) {
  const runtimeDir = fs.mkdtempSync(path.join(os.tmpdir(), 'x0x-self-test-'));
  const options = { runtimeDir, networkId: `self-test-${process.pid}-${Date.now()}`, logLevel: 'warn' };
  const limit = { timeout: 10_000 };
  const agents = [];
  let code = version(x0x, print);
  let step = 'open two agents';
  try {
    const [a, b] = [0, 1].map(() => {
      const agent = new x0x.Agent(options);
      agents.push(agent);
      return agent;
    });
    print(`ok   ${step}`);
    step = 'join the network';
    await a.joinNetwork(limit);
    await b.joinNetwork(limit);
    print(`ok   ${step}`);
    step = 'connect and send a private message';
    await a.connectToAgent(b.agentId, limit);
    const receipt = await a.sendDirect(b.agentId, 'ping', limit);
    const direct = await b.recvDirect(limit);
    if (direct.payloadStr() !== 'ping' || !direct.sender.equals(a.agentId)) throw new Error('another message arrived');
    print(`ok   ${step} (${receipt.path}, ${receipt.rtt.toFixed(2)} ms)`);
    step = 'publish to a topic';
    const sub = b.subscribe('self-test');
    await a.publish('self-test', 'hello', limit);
    const { value } = await sub.next(limit);
    if (value.payloadStr() !== 'hello') throw new Error('another message arrived');
    print(`ok   ${step}`);
    step = 'close';
    await Promise.all(agents.map((agent) => agent.close()));
    if (x0x.liveHandles() !== 0) throw new Error(`${x0x.liveHandles()} handles were left open`);
    print(`ok   ${step}`);
  } catch (error) {
    print(`FAIL ${step}: ${error.code ? `${error.code}: ` : ''}${error.message}`);
    code = 1;
  }
  await Promise.all(agents.map((agent) => agent.close()));
  fs.rmSync(runtimeDir, { recursive: true, force: true });
  print(code === 0 ? 'self-test passed' : 'self-test failed');
  return code;
}

module.exports = { main };
