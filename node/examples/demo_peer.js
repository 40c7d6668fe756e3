// One of four processes that find each other and talk, each in another language (`make demo`).
// It reports as JSON lines on stdout. Exit: 0 done, 1 failed, 2 too slow, 3 never started.
const { parseArgs } = require('node:util');
const readline = require('node:readline');
const { Agent } = require('x0x');

const TOPIC = 'demo/greetings';

function say(event) {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      network: { type: 'string' },
      'runtime-dir': { type: 'string' },
      peers: { type: 'string', default: '3' },
      timeout: { type: 'string', default: '30' },
    },
  });
  const [name] = positionals;
  const peers = Number(values.peers);
  const timeout = Number(values.timeout) * 1000;
  if (!name || !(peers > 0) || !(timeout > 0)) throw new Error('usage: demo_peer NAME --network ID --runtime-dir DIR');

  const agent = new Agent({ networkId: values.network, runtimeDir: values['runtime-dir'] });
  const greetings = agent.subscribe(TOPIC);
  const messages = agent.directMessages();
  say({ event: 'open', name, id: agent.agentId.toString() });

  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  if ((await lines.next()).done) return 3;

  const progress = { greetings: 0, sent: 0, received: 0 };
  const late = setTimeout(() => {
    console.error(`${name}: of ${peers} each there are only`, progress);
    process.exit(2);
  }, timeout);

  await agent.joinNetwork();
  await agent.publish(TOPIC, JSON.stringify({ name }));
  await Promise.all([
    greet(agent, greetings, { name, peers, timeout, progress }),
    receive(messages, { peers, progress }),
  ]);
  clearTimeout(late);
  say({ event: 'done' });

  while (!(await lines.next()).done); // the others may still need this process
  await agent.leaveNetwork();
  await agent.close();
  return 0;
}

/** Answers the first greeting of each other agent with a private message. */
async function greet(agent, greetings, { name, peers, timeout, progress }) {
  const seen = new Set([agent.agentId.toString()]);
  const sends = [];
  for await (const message of greetings) {
    const from = message.sender.toString();
    if (seen.has(from)) continue;
    seen.add(from);
    const theirs = JSON.parse(message.payloadStr()).name;
    say({ event: 'greeting', from, name: theirs });
    progress.greetings++;
    const text = JSON.stringify({ text: `hello ${theirs}, this is ${name}` });
    sends.push(
      agent.sendDirect(from, text, { timeout }).then(({ path, rtt }) => {
        say({ event: 'sent', to: from, name: theirs, path, rtt_us: Math.round(rtt * 1000) });
        progress.sent++;
      }),
    );
    if (sends.length === peers) break;
  }
  await Promise.all(sends);
}

async function receive(messages, { peers, progress }) {
  for await (const message of messages) {
    say({ event: 'received', from: message.sender.toString(), text: JSON.parse(message.payloadStr()).text });
    if (++progress.received === peers) break;
  }
}

main().then(
  (code) => process.exit(code),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
