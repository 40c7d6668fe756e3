// Two processes on one machine exchange a message: node quickstart.js
//
// The program starts a second copy of itself, which waits for a message, and talks to it. The
// two find each other with no configuration and no server. [--network ID] [--runtime-dir DIR]
// keep them apart from other agents of this user.
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { parseArgs } = require('node:util');
const { Agent } = require('x0x');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { network: { type: 'string' }, 'runtime-dir': { type: 'string' } },
});
const options = { networkId: values.network, runtimeDir: values['runtime-dir'] };

async function talkTo(targetId) {
  const agent = new Agent(options);
  await agent.joinNetwork();
  await agent.publish('topic', Buffer.from('hello'));

  const { outcome } = await agent.connectToAgent(targetId);
  console.log(`connected: ${outcome}`);
  await agent.sendDirect(targetId, Buffer.from('hello, second process'));
  const message = await agent.recvDirect();
  console.log(`${message.sender} says '${message.payloadStr()}'`);
  await agent.close();
}

async function waitForAMessage() {
  const agent = new Agent(options);
  await agent.joinNetwork();
  console.log(agent.agentId.toString()); // how the other process learns whom to talk to
  const message = await agent.recvDirect();
  console.log(`${message.sender} says '${message.payloadStr()}'`);
  await agent.sendDirect(message.sender, 'hello, first process');
  await agent.close();
}

async function main() {
  if (positionals[0] === 'wait') return waitForAMessage();
  const other = spawn(process.execPath, [__filename, 'wait', ...process.argv.slice(2)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(other.stdout, 'data');
  other.stdout.pipe(process.stdout);
  await talkTo(line.toString().trim());
  await once(other, 'close');
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
